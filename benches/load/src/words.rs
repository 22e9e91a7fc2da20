//! A result as people read it: the same words on a terminal and on a page.

use std::time::Duration;

use crate::summary::{Latencies, Summary};

impl Summary {
    /// What was measured, where, and what it comes to: a name and a line each.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("workload", self.workload_text()),
            ("load", self.load_text()),
            ("target", self.target_text()),
            ("environment", self.environment.text()),
            ("result", self.result_text()),
            ("cpu", self.cpu_text()),
        ]
    }

    fn workload_text(&self) -> String {
        let work = &self.workload;
        let part = |part: &crate::summary::Part| format!("{} % {}", part.percent, part.kind.name());
        format!(
            "{}: {}; {}; {} records under {} with {} bytes each; seed {}",
            work.name,
            work.mix.iter().map(part).collect::<Vec<String>>().join(", "),
            work.distribution.name(),
            grouped(work.records),
            work.prefix,
            grouped(work.value_bytes as u64),
            work.seed,
        )
    }

    fn load_text(&self) -> String {
        let load = &self.load;
        let pace = match load.rate {
            None => "closed loop".to_owned(),
            Some(rate) => format!(
                "open loop of {} operations a second, latency from when each was to begin",
                grouped(rate)
            ),
        };
        format!(
            "{} clients on {} thread{}, {pace}; {} s after {} s of warm-up",
            grouped(load.clients as u64),
            load.threads,
            if load.threads == 1 { "" } else { "s" },
            load.span_seconds,
            load.warmup_seconds,
        )
    }

    fn target_text(&self) -> String {
        let target = &self.target;
        format!(
            "{} {}, {} nodes, {} replicas, by {}, at {}",
            target.kind,
            target.versions.join(" and "),
            target.nodes,
            target.replicas,
            target.via,
            target.endpoints.join(", "),
        )
    }

    fn result_text(&self) -> String {
        let rate = self
            .operations_per_second
            .map_or("no rate".to_owned(), |rate| format!("{} a second", grouped(whole(rate))));
        let mut text = format!("{} operations, {rate}", grouped(self.operations));
        text += &format!("; {} failed", grouped(self.failed));
        if self.conflicts > 0 {
            text += &format!("; {} conflicts", grouped(self.conflicts));
        }
        if self.never_begun > 0 {
            text += &format!("; {} never begun", grouped(self.never_begun));
        }
        text
    }

    fn cpu_text(&self) -> String {
        let cpu = &self.cpu;
        let of = |seconds: Option<f64>| {
            seconds.map_or("not measured".to_owned(), |seconds| format!("{seconds:.3} s"))
        };
        let servers = match cpu.server_processes {
            0 => "servers (not all on this machine)".to_owned(),
            processes => format!("{processes} servers"),
        };
        format!(
            "for 1,000 operations: {servers} {}, clients {}",
            of(cpu.server_seconds_per_1000),
            of(cpu.client_seconds_per_1000),
        )
    }
}

impl Latencies {
    /// Names of the cells.
    pub const HEAD: [&'static str; 7] = ["COUNT", "MEAN", "P50", "P90", "P99", "P99.9", "MAX"];

    /// Count, mean, quantiles and longest, in milliseconds; a dash for what is not known.
    #[must_use]
    pub fn cells(&self) -> [String; 7] {
        [
            grouped(self.count),
            format!("{:.2}", self.mean_us / 1e3),
            ms(self.p50_us),
            ms(self.p90_us),
            ms(self.p99_us),
            ms(self.p999_us),
            ms(Some(self.max_us)),
        ]
    }
}

impl crate::run::Second {
    /// Operations that ended well, for a whole second of this length.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.operations as f64 / self.took.max(Duration::from_millis(1)).as_secs_f64()
    }

    /// As a line, below that of [`Second::HEAD`](crate::run::Second::HEAD).
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{:>5.0} s  {:>10}  {:>8}  {:>9}  {:>9}  {:>9}  {:>8}",
            self.at.as_secs_f64(),
            grouped(whole(self.per_second())),
            grouped(self.failed),
            ms(self.p50_us),
            ms(self.p99_us),
            ms(self.max_us),
            grouped(self.behind),
        )
    }

    /// What the columns of a line are.
    pub const HEAD: &'static str =
        "   time        op/s    failed     p50 ms     p99 ms     max ms    behind";
}

/// Microseconds in milliseconds, with as many digits as say something.
fn ms(us: Option<u64>) -> String {
    match us {
        None => "-".to_owned(),
        Some(us @ 0..10_000) => format!("{:.2}", us as f64 / 1e3),
        Some(us @ 10_000..1_000_000) => format!("{:.1}", us as f64 / 1e3),
        Some(us) => grouped(us / 1_000),
    }
}

/// A rate without its fraction.
fn whole(rate: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "a rate; a cast of floats saturates")]
    return rate.round().max(0.0) as u64;
}

/// A number with commas between thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Second;
    use crate::summary::tests::{measured, summary};

    #[test]
    fn facts_say_what_was_measured_and_where() {
        let facts = summary(&measured()).facts();
        let of = |name: &str| facts.iter().find(|fact| fact.0 == name).unwrap().1.clone();
        assert_eq!(
            of("workload"),
            "ycsb-f: 50 % read, 50 % modify; zipfian 0.99 scrambled; 1,000 records under bench/ \
             with 256 bytes each; seed 18446744073709551615"
        );
        assert_eq!(
            of("target"),
            "crib 0.1.0, 3 nodes, 3 replicas, by batched stream, at 127.0.0.1:6711"
        );
        assert_eq!(of("result"), "101 operations, 51 a second; 0 failed; 1 conflicts");
        assert_eq!(of("cpu"), "for 1,000 operations: 3 servers 2.000 s, clients not measured");
    }

    #[test]
    fn numbers_are_short_and_lines_stand_under_their_head() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [None, Some(420), Some(12_345), Some(2_500_000)].map(ms),
            ["-", "0.42", "12.3", "2,500"]
        );
        let second = &measured().seconds[1];
        assert_eq!(second.text().len(), Second::HEAD.len());
        assert_eq!(
            second.text(),
            "    2 s         100         0       0.50       0.99       2.00         0"
        );
    }

    #[test]
    fn latencies_have_a_cell_for_each_head() {
        let read = &summary(&measured()).latencies[0];
        assert_eq!(read.cells(), ["100", "0.51", "0.50", "0.90", "0.99", "-", "1.00"]);
    }
}
