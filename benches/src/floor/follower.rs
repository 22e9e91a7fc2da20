//! One that follows: a single thread that logs what has come, acknowledges it, and applies it.

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;

use storage::Batch;

use super::disk::Disk;

/// Bytes that are read at once: many frames.
const READ_BYTES: usize = 1 << 20;

/// Follows whoever connects first, until it is gone; tells who `waits` when it listens.
///
/// # Panics
/// If the network or the disk fails.
pub fn follow(waits: &str, address: &str, dir: &Path) {
    let disk = Disk::open(dir);
    let listener = TcpListener::bind(address).expect("an address");
    super::listens(waits);
    let (stream, _leader) = listener.accept().expect("a leader");
    stream.set_nodelay(true).expect("a socket");
    let mut acks = stream.try_clone().expect("a socket");
    let mut frames = BufReader::with_capacity(READ_BYTES, stream);
    let (mut log, mut applied) = (Batch::new(), Batch::new());
    loop {
        log.clear();
        applied.clear();
        let last = loop {
            let mut head = [0; 12];
            if frames.read_exact(&mut head).is_err() {
                return;
            }
            let (bytes, index) = head.split_at(4);
            let bytes = u32::from_be_bytes(bytes.try_into().expect("four bytes"));
            let index = u64::from_be_bytes(index.try_into().expect("eight bytes"));
            let mut frame = vec![0; bytes as usize];
            frames.read_exact(&mut frame).expect("a whole frame");
            Disk::note(&mut log, index, &frame);
            applied.append(&Batch::from_bytes(&frame).expect("what the leader wrote"));
            // All that is here already.
            if frames.buffer().len() < head.len() {
                break index;
            }
        };
        disk.log(&log);
        acks.write_all(&last.to_be_bytes()).expect("a leader");
        disk.apply(&mut applied, last);
    }
}
