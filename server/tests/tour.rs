//! The tour in `docs/tour.md`, typed into a fresh cluster.
//!
//! In blocks marked `console`, a line behind `$ ` is a command and what follows is what it prints,
//! both streams together. `<n>` is a number; `...` is any text in a line, and a line of it alone is
//! any lines. What only reads may be behind for a moment, so it is asked again until it fits or its
//! time is up.

use server::cli::args::Cli;

/// A command and what it prints.
struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

#[test]
fn tour_has_only_commands_that_exist() {
    use clap::CommandFactory as _;
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tour.md"));
    let command = Cli::command();
    for step in steps(&text.unwrap()) {
        let words = step.command.split_whitespace().skip_while(|word| *word != "crib").skip(1);
        let name = words.clone().next().unwrap_or_default();
        let found = command.get_subcommands().any(|known| known.get_name() == name);
        assert!(found, "docs/tour.md:{}: crib {name}", step.line);
    }
}

#[test]
fn patterns_fit_what_they_should_and_nothing_else() {
    let owned =
        |lines: &[&str]| -> Vec<String> { lines.iter().map(|&line| line.to_owned()).collect() };
    let fits = |expected: &[&str], printed: &[&str]| fits(&owned(expected), &owned(printed));
    assert!(fits(&["a <n> b"], &["a 12 b"]));
    assert!(!fits(&["a <n> b"], &["a x b"]));
    assert!(!fits(&["a <n> b"], &["a  b"]));
    assert!(fits(&["a...d"], &["a b c d"]));
    assert!(fits(&["a", "..."], &["a"]));
    assert!(fits(&["a", "...", "z"], &["a", "b", "c", "z"]));
    assert!(!fits(&["a"], &["a", "b"]));
    assert!(!fits(&["a", "b"], &["a"]));
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_console = false;
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| is_console) {
            steps.push(Step { line: at + 1, command: command.to_owned(), expected: Vec::new() });
        } else if let Some(step) = steps.last_mut().filter(|_| is_console) {
            step.expected.push(line.to_owned());
        }
    }
    steps
}

fn fits(expected: &[String], printed: &[String]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return printed.is_empty() };
    if first.trim() == "..." {
        return (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]));
    }
    match printed.split_first() {
        Some((line, after)) => line_fits(first, line) && fits(rest, after),
        None => false,
    }
}

fn line_fits(pattern: &str, line: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("...") {
        return (0..=line.len())
            .any(|at| line.is_char_boundary(at) && line_fits(rest, &line[at..]));
    }
    if let Some(rest) = pattern.strip_prefix("<n>") {
        let digits = line.chars().take_while(char::is_ascii_digit).count();
        return (1..=digits).any(|taken| line_fits(rest, &line[taken..]));
    }
    let mut letters = pattern.chars();
    match letters.next() {
        None => line.is_empty(),
        Some(letter) => {
            line.strip_prefix(letter).is_some_and(|line| line_fits(letters.as_str(), line))
        }
    }
}

#[cfg(feature = "engine")]
mod cluster {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::{fits, steps};

    const CRIB: &str = env!("CARGO_BIN_EXE_crib");
    /// How long a command that reads may take to tell what it is to tell.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn tour_prints_what_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let demo = Demo::start(dir.path());
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tour.md"));
        let steps = steps(&text.unwrap());
        assert!(steps.len() > 20, "the tour is only {} commands long", steps.len());
        for step in &steps {
            let begun = Instant::now();
            loop {
                let printed = demo.type_in(&step.command);
                if fits(&step.expected, &printed) {
                    break;
                }
                let is_late = begun.elapsed() > PATIENCE;
                assert!(
                    only_reads(&step.command) && !is_late,
                    "docs/tour.md:{}: $ {}\nexpected:\n{}\nprinted:\n{}",
                    step.line,
                    step.command,
                    step.expected.join("\n"),
                    printed.join("\n")
                );
            }
        }
    }

    fn only_reads(command: &str) -> bool {
        const WRITES: [&str; 7] =
            [" put ", " del ", " cas ", " split ", " drain ", " undrain ", " remove "];
        !WRITES.iter().any(|word| command.contains(word))
    }

    /// A cluster that ends with the test.
    struct Demo {
        child: Child,
        endpoints: String,
        path: String,
    }

    impl Demo {
        fn start(dir: &Path) -> Demo {
            let (ports, http) = free_ports();
            let mut child = Command::new(CRIB)
                .args(["demo", "-o", "json", "--data-dir"])
                .arg(dir.join("demo"))
                .args(["--port-base", &ports.to_string(), "--http-base", &http.to_string()])
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .expect("the binary was built for this test");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("it is a pipe"))
                .read_line(&mut line)
                .expect("the demo writes text");
            assert!(line.contains("\"cluster_id\""), "the demo did not get ready: {line:?}");
            let bin = Path::new(CRIB).parent().expect("a directory").display().to_string();
            let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
            let endpoints: Vec<String> =
                (1..=3).map(|node| format!("127.0.0.1:{}", ports + node)).collect();
            Demo { child, endpoints: endpoints.join(","), path }
        }

        fn type_in(&self, command: &str) -> Vec<String> {
            let printed = Command::new("sh")
                .args(["-c", &format!("{{ {command}\n}} 2>&1")])
                .env("PATH", &self.path)
                .env("CRIB_ENDPOINTS", &self.endpoints)
                .env("NO_COLOR", "1")
                .stdin(Stdio::null())
                .output()
                .expect("there is a shell");
            String::from_utf8_lossy(&printed.stdout).lines().map(str::to_owned).collect()
        }
    }

    impl Drop for Demo {
        fn drop(&mut self) {
            let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            let _ = self.child.wait();
        }
    }

    /// Two bases, behind each of which three ports are free. Another process may take one before
    /// the demo does; then the demo says so.
    fn free_ports() -> (u16, u16) {
        let mut bases = (21_000..60_000_u16).step_by(10).filter(|base| {
            (1..=3).all(|node| TcpListener::bind(("127.0.0.1", base + node)).is_ok())
        });
        let mut next = || bases.next().expect("some ports are free");
        (next(), next())
    }
}
