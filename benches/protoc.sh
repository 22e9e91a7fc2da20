#!/bin/sh
# The `protoc` for the peer's prost codec: the one that crate `protobuf-build` already ships, so
# that nobody has to install or download a compiler. Cargo runs raft-proto's build script with
# CARGO_MANIFEST_DIR set to that crate, whose neighbour in the registry is protobuf-build.
# `.cargo/config.toml` points PROTOC here. On another machine a `protoc` on the PATH serves.
set -eu
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) bundled=protoc-linux-x86_64 ;;
  Linux-aarch64) bundled=protoc-linux-aarch_64 ;;
  Darwin-*) bundled=protoc-osx-x86_64 ;;
  *) bundled=none ;;
esac
for protoc in "${CARGO_MANIFEST_DIR:-.}"/../protobuf-build*/bin/"$bundled"; do
  if [ -x "$protoc" ]; then exec "$protoc" "$@"; fi
done
exec protoc "$@"
