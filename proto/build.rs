//! Compiles the `.proto` files with protox, a compiler in Rust: nobody needs `protoc`.

use std::error::Error;
use std::path::Path;

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
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let files = compiler.file_descriptor_set();
    describe(&mut compiler)?;
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

/// Writes what reflection serves: the files as data, without their comments.
fn describe(compiler: &mut protox::Compiler) -> Result<(), Box<dyn Error>> {
    let bytes = compiler.include_source_info(false).encode_file_descriptor_set();
    let out = std::env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?;
    std::fs::write(Path::new(&out).join("descriptors.bin"), bytes)?;
    Ok(())
}
