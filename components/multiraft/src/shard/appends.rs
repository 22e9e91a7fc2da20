//! Appends whose entries were not in memory.

use raft::{Body as RaftBody, Input, Message, Mode, RoleStatus};
use types::Time;

use super::Shard;
use super::event::{Fetch, Fetched};
use crate::entry::Entry;
use crate::message::{Body, Envelope};

impl Shard {
    /// The entries of an append were read back, or the first of them. It goes out unless it is not
    /// said any more: while this peer leads the same term, its log only grows. How large entries
    /// are that are not in memory was not known when it was planned: what is too large goes out in
    /// several. A probe has one answer, told by its stamp, so that only the first of them goes.
    pub(super) fn fetched(&mut self, now: Time, fetched: Fetched) {
        let Fetched { fetch, entries } = fetched;
        let Fetch { group: id, peer, to, message, range } = fetch;
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.peer() != peer || !group.is_live() {
            return;
        }
        group.fetches -= 1;
        let status = group.core.status();
        if status.role != RoleStatus::Leader || status.term != message.term {
            return;
        }
        let wanted = range.end.since(range.start);
        let valid = entries.filter(|read| read.iter().all(|entry| status.log.contains(entry.id)));
        let read = valid.as_ref().map_or(0, Vec::len) as u64;
        let mode = status.peers().find(|other| other.id == to).map(|other| other.progress.mode);
        let is_pipelined = mode == Some(Mode::Replicate);
        if let (Some(entries), Some(store)) = (valid.filter(|_| read > 0), group.home(to)) {
            let parts = parts(&message, entries, self.config.raft.append_bytes_max);
            let most = if is_pipelined { parts.len() } else { 1 };
            for (message, entries) in parts.into_iter().take(most) {
                let body = Body::Raft(message, entries);
                self.pending.send(store, Envelope { group: id, from: peer, to, body });
            }
            if read == wanted || !is_pipelined {
                return;
            }
        }
        // Compacted meanwhile, or there is more of it: the core is to look again.
        self.step_live(now, id, peer, Input::Lost(to));
    }
}

/// An append as several that follow each other, none with more bytes than that but for one entry.
fn parts(message: &Message, entries: Vec<Entry>, bytes_max: u64) -> Vec<(Message, Vec<Entry>)> {
    let RaftBody::Append { mut prev, commit, stamp, .. } = message.body else {
        unreachable!("entries are read for appends")
    };
    let mut parts: Vec<(Message, Vec<Entry>)> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let (id, size) = (entry.id, entry.payload.bytes());
        match parts.last_mut() {
            Some((message, part)) if bytes + size <= bytes_max => {
                if let RaftBody::Append { last, .. } = &mut message.body {
                    *last = id.index;
                }
                part.push(entry);
                bytes += size;
            }
            _ => {
                let body = RaftBody::Append { prev, last: id.index, commit, stamp };
                parts.push((Message { body, ..*message }, vec![entry]));
                bytes = size;
            }
        }
        prev = id;
    }
    parts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft::Stamp;
    use types::{EntryId, Index, Term};

    use super::*;
    use crate::entry::Payload;

    #[test]
    fn append_is_cut_into_several_that_follow_each_other() {
        let id = |index| EntryId::new(Term(2), Index(index));
        let entry = |(index, bytes): (u64, usize)| Entry {
            id: id(index),
            payload: Payload::Command(Bytes::from(vec![0; bytes])),
        };
        let (commit, stamp) = (Index(9), Stamp(7));
        let body = |prev, last| RaftBody::Append { prev, last, commit, stamp };
        let whole = Message { term: Term(3), body: body(id(4), Index(9)) };
        let sizes = [(5, 40), (6, 60), (7, 1), (8, 500), (9, 99)];
        let largest = sizes.map(entry).iter().map(|entry| entry.payload.bytes()).min();
        let overhead = largest.expect("there are some") - 1;
        let cut = parts(&whole, sizes.map(entry).into(), 100 + 2 * overhead);
        let told: Vec<_> = (cut.iter())
            .map(|(message, entries)| {
                assert_eq!(message.term, Term(3));
                let ids: Vec<u64> = entries.iter().map(|entry| entry.id.index.0).collect();
                (message.body, ids)
            })
            .collect();
        let expected = [
            (body(id(4), Index(6)), vec![5, 6]),
            (body(id(6), Index(7)), vec![7]),
            (body(id(7), Index(8)), vec![8]),
            (body(id(8), Index(9)), vec![9]),
        ];
        assert_eq!(told, expected);
        assert_eq!(parts(&whole, sizes.map(entry).into(), u64::MAX).len(), 1);
    }
}
