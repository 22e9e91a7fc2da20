//! Compiles the `.proto` files with protox, a compiler in Rust: nobody needs `protoc`.

use std::error::Error;

const FILES: &[&str] = &[
    "crib/raft/v1/raft.proto",
    "crib/store/v1/store.proto",
    "crib/kv/v1/kv.proto",
    "crib/placement/v1/placement.proto",
    "crib/placement/v1/state.proto",
    "metapb.proto",
    "errorpb.proto",
    "kvrpcpb.proto",
    "pdpb.proto",
    "keyspacepb.proto",
    "tikvpb.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let files = protox::compile(FILES, ["."])?;
    // Payloads are shared with the buffer they arrived in.
    let mut config = prost_build::Config::new();
    config.bytes(["."]);
    // How connections are made is the business of who opens them.
    #[cfg(feature = "services")]
    config.service_generator(
        tonic_prost_build::configure().build_transport(false).service_generator(),
    );
    config.compile_fds(files)?;
    Ok(())
}
