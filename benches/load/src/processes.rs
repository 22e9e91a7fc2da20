//! Processes of a cluster on this machine: which they are, and the CPU that they use.
//!
//! All of it is read from `/proc`, as far as this user may. Where that is not possible there is no
//! figure.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::time::Duration;

/// The kernel counts in hundredths, whatever its own clock is.
const TICK: Duration = Duration::from_millis(10);
/// The state of a socket that listens.
const LISTENS: &str = "0A";

/// CPU that all of these have used, in all their threads; none if there are none, or one has ended.
#[must_use]
pub fn cpu_of_all(pids: &[u32]) -> Option<Duration> {
    if pids.is_empty() {
        return None;
    }
    pids.iter().map(|pid| cpu_of(&pid.to_string())).sum()
}

/// CPU that this process has used.
#[must_use]
pub fn own_cpu() -> Option<Duration> {
    cpu_of("self")
}

fn cpu_of(pid: &str) -> Option<Duration> {
    cpu_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// User and system time of a line of `stat`.
fn cpu_in(stat: &str) -> Option<Duration> {
    // The name of the program comes first, in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
    Some(TICK * user + TICK * system)
}

/// The processes on this machine that listen at these addresses, `host:port`; none unless there is
/// one for each of them.
#[must_use]
pub fn listening_at(addresses: &[String]) -> Option<Vec<u32>> {
    let mut ports = BTreeSet::new();
    for address in addresses {
        let found = address.to_socket_addrs().ok()?.find(|found| is_here(found.ip()))?;
        ports.insert(found.port());
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let sockets: BTreeSet<String> =
        tables.iter().flatten().flat_map(|table| sockets_of(table, &ports)).collect();
    let pids: Vec<u32> = all_pids().into_iter().filter(|pid| has_any(*pid, &sockets)).collect();
    (!pids.is_empty() && pids.len() == ports.len()).then_some(pids)
}

/// Whether an address is one of this machine.
fn is_here(ip: IpAddr) -> bool {
    TcpListener::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// Sockets of a table of the kernel that listen on one of these ports, as links to them read.
fn sockets_of(table: &str, ports: &BTreeSet<u16>) -> Vec<String> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = u16::from_str_radix(fields.get(1)?.rsplit_once(':')?.1, 16).ok()?;
        let (state, inode) = (fields.get(3)?, fields.get(9)?);
        (*state == LISTENS && ports.contains(&port)).then(|| format!("socket:[{inode}]"))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

fn all_pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

fn has_any(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links
        .filter_map(|link| fs::read_link(link.path()).ok())
        .any(|link| link.to_str().is_some_and(|link| sockets.contains(link)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_read_behind_a_name_with_brackets() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 8 0 1";
        assert_eq!(cpu_in(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_in("42 (a"), None);
    }

    #[test]
    fn listening_sockets_of_a_port_are_found() {
        let table = "  sl  local_address rem_address   st tx rx tr tm retrnsmt uid timeout inode\n\
             0: 0100007F:1A37 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n\
             1: 0100007F:1A37 0100007F:9999 01 00000000:00000000 00:00000000 00000000 0 0 78 1\n\
             2: 0100007F:1A38 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 79 1\n";
        assert_eq!(sockets_of(table, &BTreeSet::from([6711])), ["socket:[77]"]);
    }

    #[test]
    fn no_processes_have_no_cpu() {
        assert_eq!(cpu_of_all(&[]), None);
        // No process has this number.
        assert_eq!(cpu_of_all(&[u32::MAX]), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_process_is_found_by_its_port_and_uses_cpu() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(listening_at(&[address]), Some(vec![std::process::id()]));
        assert!(own_cpu().is_some());
    }
}
