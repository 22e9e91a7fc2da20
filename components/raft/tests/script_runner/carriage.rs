//! Commands that move, lose, repeat and hold back packets.

use raft_world::Packet;

use crate::script_runner::arguments::{self, Args, Failure};
use crate::script_runner::links::{Link, Pick};
use crate::script_runner::story;
use crate::script_runner::world::World;

impl World {
    /// Commands about packets and links.
    pub(crate) fn carry(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        if name == "stabilize" {
            self.stabilize();
            return Ok(true);
        }
        if name == "isolate" || name == "rejoin" || name == "cut" || name == "heal" {
            self.cut_or_heal(name, args)?;
            return Ok(true);
        }
        if !matches!(
            name,
            "deliver" | "drop" | "duplicate" | "reorder" | "hold" | "release" | "cut1" | "heal1"
        ) {
            return Ok(false);
        }
        let pick = Pick {
            kind: args.text("kind").map(str::to_string),
            nth: args.key("nth")?,
            count: args.key("count")?,
        };
        let together: bool = args.key("together")?.unwrap_or(false);
        let links = self.chosen_links(args)?;
        if name == "deliver" {
            self.deliver(&links, &pick, together);
            return Ok(true);
        }
        for link in links {
            match name {
                "drop" => self.lose(link, &pick),
                "duplicate" => {
                    self.links.copies(link, &pick).into_iter().for_each(|p| self.links.push(p));
                }
                "reorder" => self.links.reorder(link),
                "hold" => self.links.hold(link, pick.kind.clone()),
                "release" => self.links.release(link),
                "cut1" => self.links.cut(link),
                _ => self.links.heal(link),
            }
        }
        Ok(true)
    }

    /// `FROM TO`, either of them `all`; nothing means all links.
    fn chosen_links(&self, args: &mut Args<'_>) -> Result<Vec<Link>, Failure> {
        let from = args.0.next_pos().unwrap_or("all");
        let to = args.0.next_pos().unwrap_or("all");
        let (from, to) = (self.peers(&[from])?, self.peers(&[to])?);
        let pairs = from.iter().flat_map(|&from| to.iter().map(move |&to| (from, to)));
        Ok(pairs.filter(|(from, to)| from != to).collect())
    }

    fn cut_or_heal(&mut self, name: &str, args: &mut Args<'_>) -> Result<(), Failure> {
        let words = args.words();
        let all = self.peers(&[])?;
        let links = match (name, words.as_slice()) {
            ("heal", []) => self.between(&all, &all),
            ("isolate" | "rejoin", words) => self.between(&self.peers(words)?, &all),
            (_, [one, other]) => self.between(&[arguments::peer(one)?], &[arguments::peer(other)?]),
            _ => return Err("two peers are needed".into()),
        };
        for link in links {
            match name {
                "isolate" | "cut" => self.links.cut(link),
                _ => self.links.heal(link),
            }
        }
        Ok(())
    }

    /// What is under way on these links now, not what comes of it.
    fn deliver(&mut self, links: &[Link], pick: &Pick, together: bool) {
        let taken: Vec<Vec<Packet>> =
            links.iter().map(|&link| self.links.take(link, pick, true)).collect();
        for (link, packets) in links.iter().zip(taken) {
            if together && !packets.is_empty() {
                packets.iter().for_each(|packet| self.tell_arrival(packet));
                self.act(link.1, |node, now, turn| {
                    packets.into_iter().try_for_each(|packet| node.receive(now, packet, turn))
                });
                continue;
            }
            for packet in packets {
                self.tell_arrival(&packet);
                self.arrive(packet);
            }
        }
    }

    fn tell_arrival(&mut self, packet: &Packet) {
        let (term, text) = (packet.message.term, story::message(packet, self.stamps));
        self.tell(format!("{} gets {text} from {}@{term}", packet.to, packet.from));
    }

    fn lose(&mut self, link: Link, pick: &Pick) {
        for packet in self.links.take(link, pick, true) {
            let (term, text) = (packet.message.term, story::message(&packet, self.stamps));
            self.tell(format!("{}@{term} → {} {text} ✗", packet.from, packet.to));
            if packet.is_snapshot() {
                self.report_snapshot(link.0, link.1);
            }
        }
    }
}
