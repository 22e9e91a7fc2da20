//! `floor follow ADDRESS DIR` and `floor lead ADDRESS DIR FOLLOWER FOLLOWER`: the processes of the
//! thinnest path that a put can take. Started by `kv-bench floor`; ends with its parent.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use benches::floor;
use mimalloc::MiMalloc;

/// That of `crib`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    std::thread::spawn(|| {
        let _end = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["follow", address, dir] => floor::follow(address, Path::new(dir)),
        ["lead", address, dir, one, other] => {
            floor::lead(address, Path::new(dir), &[one.to_owned(), other.to_owned()]);
        }
        _ => {
            eprintln!("usage: floor follow ADDRESS DIR | floor lead ADDRESS DIR FOLLOWER FOLLOWER");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
