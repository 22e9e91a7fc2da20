//! The one that leads: a thread for the network, one for the log, one that applies, and one for
//! each follower's acknowledgements.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use storage::{Batch, Cf};

use super::disk::Disk;
use super::service::{self, Answer, Put};

/// Of three, with the leader.
const QUORUM: usize = 2;

/// Up to which frame each of the three is durable: two followers and the leader.
#[derive(Default)]
struct Durable {
    upto: Mutex<[u64; 3]>,
    changed: Condvar,
}

/// A frame that is on its way, and who waits for it.
struct Frame {
    index: u64,
    writes: Batch,
    answers: Vec<Answer>,
}

/// Leads two followers that listen, for ever; tells who `waits` when it listens itself.
///
/// # Panics
/// If the network or the disk fails.
pub fn lead(waits: &str, address: &str, dir: &Path, followers: [&str; 2]) {
    let (disk, durable) = (Disk::open(dir), Arc::new(Durable::default()));
    let streams: Vec<TcpStream> = followers.map(reach).into();
    for (nth, stream) in streams.iter().enumerate() {
        let (acks, durable) = (stream.try_clone().expect("a socket"), Arc::clone(&durable));
        thread::spawn(move || durable.hear(nth, acks));
    }
    let (puts, waiting) = channel();
    let (frames, logged) = channel();
    let (log, own) = (disk.clone(), Arc::clone(&durable));
    thread::spawn(move || write(&log, &own, streams, &waiting, &frames));
    thread::spawn(move || apply(&disk, &durable, &logged));
    service::serve(waits, address, puts);
}

fn reach(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a follower");
    stream.set_nodelay(true).expect("a socket");
    stream
}

impl Durable {
    fn set(&self, nth: usize, index: u64) {
        self.upto.lock().expect("nobody panics")[nth] = index;
        self.changed.notify_one();
    }

    fn wait(&self, index: u64) {
        let is_missing =
            |upto: &mut [u64; 3]| upto.iter().filter(|&&upto| upto >= index).count() < QUORUM;
        let upto = self.upto.lock().expect("nobody panics");
        drop(self.changed.wait_while(upto, is_missing).expect("nobody panics"));
    }

    fn hear(&self, nth: usize, mut acks: TcpStream) {
        let mut index = [0; 8];
        while acks.read_exact(&mut index).is_ok() {
            self.set(nth, u64::from_be_bytes(index));
        }
        panic!("a follower is gone");
    }
}

/// Sends and logs what waits, all of it at once.
fn write(
    disk: &Disk,
    durable: &Durable,
    mut followers: Vec<TcpStream>,
    waiting: &Receiver<Vec<Put>>,
    frames: &Sender<Frame>,
) {
    let mut log = Batch::new();
    for index in 1.. {
        let Ok(first) = waiting.recv() else { return };
        let (mut writes, mut answers) = (Batch::new(), Vec::new());
        for Put { key, value, answer } in first.into_iter().chain(waiting.try_iter().flatten()) {
            writes.put(Cf::Default, &key, &value);
            answers.push(answer);
        }
        let bytes = writes.as_bytes();
        let length = u32::try_from(bytes.len()).expect("callers are few");
        let frame = [&length.to_be_bytes()[..], &u64::to_be_bytes(index), bytes].concat();
        for follower in &mut followers {
            follower.write_all(&frame).expect("a follower");
        }
        log.clear();
        Disk::note(&mut log, index, bytes);
        if frames.send(Frame { index, writes, answers }).is_err() {
            return;
        }
        disk.log(&log);
        durable.set(2, index);
    }
}

/// Applies what a quorum has, all of it at once, and answers.
fn apply(disk: &Disk, durable: &Durable, frames: &Receiver<Frame>) {
    while let Ok(Frame { mut index, mut writes, mut answers }) = frames.recv() {
        for more in frames.try_iter() {
            index = more.index;
            writes.append(&more.writes);
            answers.extend(more.answers);
        }
        durable.wait(index);
        disk.apply(&mut writes, index);
        service::answer(answers);
    }
}
