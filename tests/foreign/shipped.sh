#!/bin/sh
# The tests that were published with the Rust client, as they are, against `crib demo`:
#
#   tests/foreign/shipped.sh [NAME]     the tests whose names begin so; the default is raw_
#
# TESTED_CRIB names the program; without it, `cargo build -p server` makes one. The tests are copied
# out of cargo's registry into the target directory and built there. One thing is changed in the
# copy: the HTTP client that the tests count regions with is built without TLS, since they use none.
#
# Each of these tests begins by deleting everything, and wants a cluster that stands still: raw keys
# stay in one region here, since one test writes 100 MiB, and then another one scans backwards, which
# this client does not do right over several regions.
set -eu
cd "$(dirname "$0")/../.."

version=0.4.0
name=${1:-raw_}
port_base=${PORT_BASE:-17710}
http_base=${HTTP_BASE:-17810}
target=${CARGO_TARGET_DIR:-$PWD/target}
work="$target/shipped"

program=${TESTED_CRIB:-}
if [ -z "$program" ]; then
    cargo build -p server --bin crib
    program="$target/debug/crib"
fi

# Where cargo keeps the sources of this version.
cargo fetch --quiet
manifest=$(cargo metadata --format-version 1 | tr ',' '\n' |
    sed -n "s/^\"manifest_path\":\"\(.*\/tikv-client-$version\/Cargo.toml\)\"\$/\1/p" | head -n 1)
[ -n "$manifest" ] || { echo "cargo does not know tikv-client $version" >&2; exit 2; }

rm -rf "$work/source" "$work/data"
mkdir -p "$work"
cp -R "$(dirname "$manifest")" "$work/source"
chmod -R u+w "$work/source"
# It was written for another compiler than it is built with here.
rm -f "$work/source/rust-toolchain.toml"
sed '/^\[dev-dependencies.reqwest\]$/,/^$/{
    s/^version = .*/&\ndefault-features = false/
    /native-tls-vendored/d
}' "$work/source/Cargo.toml" >"$work/Cargo.toml"
# A workspace of its own: it lies within ours.
printf '\n[workspace]\n' >>"$work/Cargo.toml"
mv "$work/Cargo.toml" "$work/source/Cargo.toml"

tests="cargo test --manifest-path $work/source/Cargo.toml --target-dir $work/target
    --no-default-features --features integration-tests --test integration_tests"
# Before there are nodes: it takes minutes.
$tests --no-run

"$program" demo --data-dir "$work/data" --port-base "$port_base" --http-base "$http_base" \
    --set region.split-size=64GiB --set region.target-size=32GiB --set region.split-keys=1000000000 \
    -o json >"$work/ready" 2>"$work/demo.log" &
demo=$!
trap 'kill "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true' EXIT
while [ ! -s "$work/ready" ]; do
    kill -0 "$demo" 2>/dev/null || { cat "$work/demo.log" >&2; exit 1; }
    sleep 0.2
done

addresses="127.0.0.1:$((port_base + 1)),127.0.0.1:$((port_base + 2)),127.0.0.1:$((port_base + 3))"
PD_ADDRS=$addresses $tests -- --test-threads 1 "$name"
