//! `floor follow WAITS ADDRESS DIR` and `floor lead WAITS ADDRESS DIR FOLLOWER FOLLOWER`: the
//! processes of the thinnest path that a put can take. Each connects to `WAITS` when it listens.
//! Started by `kv-bench --floor`; ends with its parent.

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
        ["follow", waits, address, dir] => floor::follow(waits, address, Path::new(dir)),
        ["lead", waits, address, dir, one, other] => {
            floor::lead(waits, address, Path::new(dir), [one, other]);
        }
        _ => {
            eprintln!(
                "usage: floor follow WAITS ADDRESS DIR | \
                 floor lead WAITS ADDRESS DIR FOLLOWER FOLLOWER"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
