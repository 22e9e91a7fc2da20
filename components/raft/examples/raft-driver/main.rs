//! A neutral way to drive the Raft core: commands on stdin, one a line, observations on stdout.
//!
//! ```text
//! $ printf 'init 3 3 1 1\ncampaign 1\nstabilize\npropose 1 x\nstabilize\nobs\n' | raft-driver
//! INIT
//! PROP true
//! OBS 1 L t=2 lead=1 c=3 a=3 last=3 lt=2 cs=[1, 2, 3][][] app=a38a41ac4762e0b6
//! …
//! ```
//!
//! Any core that understands the same script can be compared with ours line by line, and a bug
//! report can be a text file. What each command does, and what is printed: [`driver`].
//!
//! Exits with 0 at the end of the input, 2 after printing `ERROR …`, 3 after `VIOLATION …`.

mod driver;

use std::io::{stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        // The core asserts what it believes of itself. In release a panic would abort before
        // anything is told.
        println!("VIOLATION assertion: {}", info.to_string().replace('\n', " "));
        std::process::exit(i32::from(driver::VIOLATION));
    }));
    match driver::run(stdin().lock(), stdout().lock()) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("raft-driver: {why}");
            ExitCode::FAILURE
        }
    }
}
