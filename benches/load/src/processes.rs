//! Processes of a cluster on this machine: which they are, and the CPU that they use.
//!
//! All of it is read from `/proc`, as far as this user may. Where that is not possible there is no
//! figure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
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

/// Whether there is such a process, and it has not ended.
pub(crate) fn runs(pid: u32) -> bool {
    // Whoever has ended stays as a zombie until its parent has looked.
    state_of(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// What the kernel says of a process, in a letter: `T` stands still. None if there is none.
#[must_use]
pub fn state_of(pid: u32) -> Option<char> {
    state_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// CPU that this process has used.
#[must_use]
pub fn own_cpu() -> Option<Duration> {
    cpu_of("self")
}

fn cpu_of(pid: &str) -> Option<Duration> {
    cpu_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The state of the process of a line of `stat`, as a letter.
fn state_in(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// User and system time of a line of `stat`.
fn cpu_in(stat: &str) -> Option<Duration> {
    // The name of the program comes first, in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
    Some(TICK * user + TICK * system)
}

/// The processes on this machine that listen at these addresses, `host:port`; none unless each of
/// them has one.
#[must_use]
pub fn listening_at(addresses: &[String]) -> Option<Vec<u32>> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let listeners: Vec<Listener> =
        tables.iter().flatten().flat_map(|table| listeners_in(table)).collect();
    let mut sockets = BTreeSet::new();
    for address in addresses {
        let here = address.to_socket_addrs().ok()?.find(|found| is_here(found.ip()))?;
        sockets.insert(socket_of(&listeners, here)?);
    }
    let owners = owners_of(&sockets);
    let pids: BTreeSet<u32> = owners.values().copied().collect();
    (!pids.is_empty() && owners.len() == sockets.len()).then(|| pids.into_iter().collect())
}

/// Whether an address is one of this machine.
fn is_here(ip: IpAddr) -> bool {
    TcpListener::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// A socket that listens: where, and what links to it read.
type Listener = (SocketAddr, String);

/// Those of a table of the kernel.
fn listeners_in(table: &str) -> Vec<Listener> {
    let listener = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (at, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (ip, port) = at.rsplit_once(':')?;
        let at = SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?);
        (*state == LISTENS).then(|| (at, format!("socket:[{inode}]")))
    };
    table.lines().skip(1).filter_map(listener).collect()
}

/// An address in hex, each word of four bytes as the processor has it in memory.
fn ip_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok();
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into());
    }
    let words = [word(0)?, word(1)?, word(2)?, word(3)?].map(u32::to_ne_bytes);
    let bytes: [u8; 16] = words.concat().try_into().ok()?;
    Some(Ipv6Addr::from(bytes).to_canonical())
}

/// The socket that takes connections to an address: its own, or one for all addresses.
fn socket_of(listeners: &[Listener], wanted: SocketAddr) -> Option<String> {
    let of = |is_it: fn(IpAddr, IpAddr) -> bool| {
        listeners.iter().find(|(at, _)| at.port() == wanted.port() && is_it(at.ip(), wanted.ip()))
    };
    let found = of(|ip, wanted| ip == wanted).or_else(|| of(|ip, _| ip.is_unspecified()));
    found.map(|(_, socket)| socket.clone())
}

/// The process that has each of these sockets open, as far as this user may see.
fn owners_of(sockets: &BTreeSet<String>) -> BTreeMap<String, u32> {
    let mut owners = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for link in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(link.path()).unwrap_or_default();
            if let Some(socket) = target.to_str().filter(|name| sockets.contains(*name)) {
                owners.insert(socket.to_owned(), pid);
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_read_behind_a_name_with_brackets() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 8 0 1";
        assert_eq!(cpu_in(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_in("42 (a"), None);
        assert_eq!((state_in(stat), state_in("42 (a")), (Some('S'), None));
    }

    #[test]
    fn listening_sockets_of_a_port_are_found() {
        let table = "  sl  local_address rem_address   st tx rx tr tm retrnsmt uid timeout inode\n\
             0: 0100007F:1A37 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n\
             1: 0100007F:1A37 0100007F:9999 01 00000000:00000000 00:00000000 00000000 0 0 78 1\n\
             2: 00000000:1A38 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 79 1\n";
        let listeners = listeners_in(table);
        let of = |at: &str| socket_of(&listeners, at.parse().unwrap());
        assert_eq!(of("127.0.0.1:6711").as_deref(), Some("socket:[77]"));
        assert_eq!(of("127.0.0.2:6711"), None);
        assert_eq!(of("127.0.0.2:6712").as_deref(), Some("socket:[79]"), "all addresses");
        assert_eq!(of("127.0.0.1:6713"), None);
    }

    #[test]
    fn addresses_are_read_in_both_forms() {
        assert_eq!(ip_of("0100007F"), Some(Ipv4Addr::LOCALHOST.into()));
        let mapped = ip_of("0000000000000000FFFF00000100007F");
        assert_eq!(mapped, Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(ip_of(&"0".repeat(32)), Some(Ipv6Addr::UNSPECIFIED.into()));
        assert_eq!(ip_of("7F"), None);
    }

    #[test]
    fn no_processes_have_no_cpu() {
        assert_eq!(cpu_of_all(&[]), None);
        // No process has this number.
        assert_eq!((cpu_of_all(&[u32::MAX]), runs(u32::MAX)), (None, false));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_process_is_found_by_its_port_and_uses_cpu() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(listening_at(&[address]), Some(vec![std::process::id()]));
        assert!(own_cpu().is_some() && runs(std::process::id()));
    }
}
