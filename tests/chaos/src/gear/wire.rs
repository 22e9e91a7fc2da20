//! A network whose packets are lost, doubled, late and out of order: for root alone.
//!
//! ```text
//!  caller ── to 198.19.x.1 ──► device ──► this
//!                                          │
//!  198.18.x.1, node 1 ◄── from 198.19.x.1 ─┴── device
//! ```
//!
//! The device is one of those whose packets a program reads and writes. Node `i` listens at
//! 198.18.x.i, and is reached at 198.19.x.i, which leads to the device, with the node's own address
//! as that of the caller. Exchanging the two addresses of a packet sends it on: to the node, and
//! what that answers back to the caller. Checksums are over the sum of both, and stay right. So the
//! real TCP of the kernel meets real loss, without a namespace for each node.
//!
//! What happens to a packet is drawn from a seed; which packet comes next is not.
//!
//! Invariant: a packet is counted before its fate is carried out; the device goes with this.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use verify::random::Random;

/// Nodes that there are addresses for.
const NODES: usize = 8;
/// Largest packet.
const PACKET_BYTES: usize = 1_500;
/// Packets that wait; more are lost, as in a router.
const WAITING_MAX: usize = 20_000;
/// `TUNSETIFF`, for packets without a head of the device's. The language is one that calls it
/// without unsafe code; the file is this process's own, so that it stays attached.
const ATTACH: &str = "
import fcntl, struct, sys
fcntl.ioctl(0, 0x400454ca, struct.pack('16sH22x', sys.argv[1].encode(), 0x1001))
";

/// What the packets of a node meet, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Of a thousand, so many are lost.
    pub(crate) lost: u16,
    /// So many arrive twice.
    pub(crate) doubled: u16,
    /// All are late by this.
    pub(crate) late: Duration,
    /// And by up to this more, each for itself: so they overtake each other.
    pub(crate) uneven: Duration,
}

/// What was done to packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All that came.
    pub(crate) packets: u64,
    /// Lost.
    pub(crate) lost: u64,
    /// Sent on twice.
    pub(crate) doubled: u64,
    /// Kept for a while.
    pub(crate) late: u64,
    /// Sent on before one that came earlier.
    pub(crate) overtook: u64,
}

impl Counts {
    /// What was done since then.
    pub(crate) fn since(self, then: Counts) -> Counts {
        Counts {
            packets: self.packets - then.packets,
            lost: self.lost - then.lost,
            doubled: self.doubled - then.doubled,
            late: self.late - then.late,
            overtook: self.overtook - then.overtook,
        }
    }
}

/// The network.
pub(crate) struct Wire {
    shared: Arc<Shared>,
    /// The number `x` of the addresses.
    number: u8,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    weather: [Weather; NODES],
    counts: Counts,
    /// By when they are due, and the order in which they came.
    waiting: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    came: u64,
    /// The latest that was sent on.
    sent: u64,
    is_over: bool,
}

impl Wire {
    /// Sets it up.
    ///
    /// # Errors
    /// Why it cannot be: who is not root, or lacks the tools.
    pub(crate) fn new(seed: u64) -> Result<Wire, String> {
        let [.., low] = std::process::id().to_be_bytes();
        // Others may have taken some numbers.
        let mut last = String::new();
        for number in (0..=u8::MAX).map(|nth| nth.wrapping_add(low)).take(16) {
            match attach(number) {
                Ok(device) => {
                    let shared = Arc::new(Shared::default());
                    let wire = Wire { shared: Arc::clone(&shared), number };
                    address(number)?;
                    let out = device.try_clone().map_err(|error| error.to_string())?;
                    let reader = Arc::clone(&shared);
                    std::thread::spawn(move || reader.take_in(device, Random::new(seed)));
                    std::thread::spawn(move || shared.send_on(out));
                    return Ok(wire);
                }
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    /// Where nodes are reached, and where they listen.
    pub(crate) fn places(&self) -> Vec<(String, String)> {
        let number = self.number;
        let place =
            |node| (format!("198.19.{number}.{node}:6710"), format!("198.18.{number}.{node}:6710"));
        (1..=NODES).map(place).collect()
    }

    /// From now on this is what the packets of a node meet.
    pub(crate) fn set(&self, at: usize, weather: Weather) {
        self.shared.state.lock().weather[at] = weather;
    }

    /// All packets arrive, once and at once.
    pub(crate) fn calm(&self) {
        self.shared.state.lock().weather = Default::default();
    }

    /// What was done so far.
    pub(crate) fn counts(&self) -> Counts {
        self.shared.state.lock().counts
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.state.lock().is_over = true;
        self.shared.changed.notify_all();
        // Who reads from the device is told so.
        let _ = ip(&[&format!("link delete {}", name(self.number))]);
    }
}

impl Shared {
    /// Takes packets in until the device is gone.
    fn take_in(&self, mut device: File, mut random: Random) {
        let mut bytes = [0; PACKET_BYTES];
        while let Ok(length) = device.read(&mut bytes) {
            let Some(node) = callee(&bytes[..length]) else { continue };
            let packet = exchanged(&bytes[..length]);
            self.state.lock().arrive(node, packet, &mut random);
            self.changed.notify_one();
        }
        self.state.lock().is_over = true;
        self.changed.notify_one();
    }

    /// Sends packets on when they are due.
    fn send_on(&self, mut device: File) {
        let mut state = self.state.lock();
        while !state.is_over {
            let now = Instant::now();
            match state.waiting.peek().map(|Reverse((due, ..))| *due) {
                None => self.changed.wait(&mut state),
                Some(due) if due > now => {
                    self.changed.wait_until(&mut state, due);
                }
                Some(_) => {
                    let Some(Reverse((_, came, packet))) = state.waiting.pop() else { continue };
                    state.counts.overtook += u64::from(came < state.sent);
                    state.sent = state.sent.max(came);
                    // What the kernel does not take is lost, as packets are.
                    let _ = parking_lot::MutexGuard::unlocked(&mut state, || device.write(&packet));
                }
            }
        }
    }
}

impl State {
    fn arrive(&mut self, node: usize, packet: Vec<u8>, random: &mut Random) {
        let weather = self.weather[node];
        self.counts.packets += 1;
        let mut falls = |permille: u16| random.below(1_000) < usize::from(permille);
        let (is_lost, is_doubled) = (falls(weather.lost), falls(weather.doubled));
        if is_lost || self.waiting.len() >= WAITING_MAX {
            self.counts.lost += 1;
            return;
        }
        if is_doubled {
            self.counts.doubled += 1;
            self.put(packet.clone(), weather, random);
        }
        self.put(packet, weather, random);
    }

    fn put(&mut self, packet: Vec<u8>, weather: Weather, random: &mut Random) {
        let uneven = usize::try_from(weather.uneven.as_micros()).unwrap_or(usize::MAX);
        let late = weather.late + Duration::from_micros(random.below(uneven.max(1)) as u64);
        self.counts.late += u64::from(!late.is_zero());
        self.came += 1;
        self.waiting.push(Reverse((Instant::now() + late, self.came, packet)));
    }
}

/// Whose node a packet is about, if it is of the fourth version and ours: others are the kernel's
/// attempts to find neighbours.
fn callee(packet: &[u8]) -> Option<usize> {
    let is_whole = packet.len() >= 20 && packet[0] >> 4 == 4;
    let node = usize::from(*packet.get(19)?).checked_sub(1)?;
    (is_whole && packet[16] == 198 && node < NODES).then_some(node)
}

/// A packet with the addresses of its ends exchanged.
fn exchanged(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let (left, right) = packet[12..20].split_at_mut(4);
    left.swap_with_slice(right);
    packet
}

fn name(number: u8) -> String {
    format!("crib-wire{number}")
}

/// A device of this process's own.
fn attach(number: u8) -> Result<File, String> {
    let device = File::options().read(true).write(true).open("/dev/net/tun");
    let device = device.map_err(|error| format!("/dev/net/tun: {error}"))?;
    let other = device.try_clone().map_err(|error| error.to_string())?;
    let mut python = Command::new("python3");
    python.args(["-c", ATTACH, &name(number)]).stdin(other);
    let said = python.output().map_err(|error| format!("python3: {error}"))?;
    match said.status.success() {
        true => Ok(device),
        false => Err(String::from_utf8_lossy(&said.stderr).trim().to_owned()),
    }
}

/// Gives the device its addresses.
fn address(number: u8) -> Result<(), String> {
    let device = name(number);
    let mut lines = vec![format!("link set {device} mtu {PACKET_BYTES} up")];
    for node in 1..=NODES {
        let listen = format!("198.18.{number}.{node}");
        lines.push(format!("addr add {listen}/32 dev {device}"));
        lines.push(format!("route add 198.19.{number}.{node}/32 dev {device} src {listen}"));
    }
    ip(&lines.iter().map(String::as_str).collect::<Vec<&str>>())
}

fn ip(lines: &[&str]) -> Result<(), String> {
    // The system's tools are not in everybody's path.
    let path = std::env::var("PATH").unwrap_or_default();
    let mut ip = Command::new("ip");
    ip.args(["-batch", "-"]).env("PATH", format!("{path}:/usr/sbin:/sbin"));
    ip.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = || {
        let mut child = ip.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(lines.join("\n").as_bytes())?;
        }
        child.wait_with_output()
    };
    let said = run().map_err(|error: std::io::Error| format!("ip: {error}"))?;
    match said.status.success() {
        true => Ok(()),
        false => Err(format!("ip: {}", String::from_utf8_lossy(&said.stderr).trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(weather: Weather, packets: usize) -> (Counts, Vec<u64>) {
        let (mut state, mut random) = (State::default(), Random::new(1));
        state.weather[3] = weather;
        for _ in 0..packets {
            state.arrive(3, vec![0; 20], &mut random);
        }
        let waiting = std::mem::take(&mut state.waiting).into_sorted_vec();
        (state.counts, waiting.into_iter().rev().map(|Reverse((_, came, _))| came).collect())
    }

    #[test]
    fn packets_meet_the_weather_of_their_node() {
        let (counts, order) = after(Weather::default(), 1_000);
        assert_eq!(counts, Counts { packets: 1_000, ..Counts::default() });
        assert!(order.is_sorted(), "nothing is late");
        let (counts, _) = after(Weather { lost: 1_000, doubled: 1_000, ..Weather::default() }, 10);
        assert_eq!(counts, Counts { packets: 10, lost: 10, ..Counts::default() });
        let weather = Weather { lost: 100, doubled: 50, ..Weather::default() };
        let (counts, order) = after(weather, 10_000);
        assert!((900..1_100).contains(&counts.lost), "{counts:?}");
        assert!((350..550).contains(&counts.doubled), "{counts:?}");
        assert_eq!(order.len() as u64, 10_000 - counts.lost + counts.doubled);
        let uneven = Duration::from_secs(100);
        let (counts, order) = after(Weather { uneven, ..Weather::default() }, 100);
        assert!(counts.late > 90 && !order.is_sorted(), "{counts:?}");
    }

    #[test]
    fn packets_of_others_are_left_alone() {
        let mut packet = vec![0x45; 20];
        packet[16..].copy_from_slice(&[198, 19, 7, 3]);
        assert_eq!(callee(&packet), Some(2));
        assert_eq!(callee(&packet[..19]), None);
        for (at, byte) in [(0, 0x60), (16, 224), (19, 0), (19, 200)] {
            let mut other = packet.clone();
            other[at] = byte;
            assert_eq!(callee(&other), None, "{at}");
        }
    }

    #[test]
    fn ends_of_a_packet_are_exchanged_and_nothing_else() {
        let packet: Vec<u8> = (0..24).collect();
        let mut expected = packet.clone();
        expected[12..20].copy_from_slice(&[16, 17, 18, 19, 12, 13, 14, 15]);
        assert_eq!(exchanged(&packet), expected);
    }
}
