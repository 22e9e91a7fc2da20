//! From a command to what it does to the world. The commands are described in `tests/scripts.rs`.

use std::time::Duration;

use goldenscript::{Command, Context};
use raft::{Change, Input, ReadToken};
use raft_world::Packet;
use types::PeerId;

use crate::script_runner::arguments::{self, Args, Failure};
use crate::script_runner::world::World;
use crate::script_runner::{foreign, setup, story};

#[derive(Default)]
pub(crate) struct Runner {
    world: World,
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String, Failure> {
        let mut args = Args(command.consume_args());
        let world = &mut self.world;
        let name = command.name.as_str();
        let is_known = world.look(name, &mut args)?
            || world.set_up(name, &mut args)?
            || world.ask(name, &mut args)?
            || world.carry(name, &mut args)?
            || world.persist(name, &mut args)?;
        if !is_known {
            return Err(format!("there is no command {name}").into());
        }
        args.end()?;
        Ok(world.take_story())
    }
}

impl World {
    /// The named peers, or all.
    pub(crate) fn peers(&self, words: &[&str]) -> Result<Vec<PeerId>, Failure> {
        match words {
            [] | ["all"] => Ok(self.hosts.keys().copied().collect()),
            words => words.iter().map(|word| arguments::peer(word)).collect(),
        }
    }

    /// Commands that only look.
    fn look(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        if !matches!(
            name,
            "status" | "progress" | "log" | "lease" | "pledges" | "deadline" | "disk" | "links"
        ) {
            return Ok(false);
        }
        if name == "links" {
            for link in self.links.busy() {
                let told = |packet: &Packet| {
                    let Packet { from, to, message, .. } = packet;
                    let text = story::message(packet, self.stamps);
                    format!("{from}@{} ⋯ {to} {text}", message.term)
                };
                let lines: Vec<String> = self.links.under_way(link).map(told).collect();
                lines.into_iter().for_each(|line| self.tell(line));
            }
            return Ok(true);
        }
        for id in self.peers(&args.words())? {
            let now = self.now_of(id);
            let stamps = self.stamps;
            let host = self.host(id)?;
            let peer = host.node.peer.as_ref();
            let lines = match name {
                "status" => vec![story::status(&host.node)],
                "log" if peer.is_none() => vec![story::log(id, &host.node.disk.image.log)],
                "log" => vec![story::log(id, &host.node.log)],
                "disk" => vec![story::disk(&host.node, &host.queue)],
                "progress" => peer.map_or(Vec::new(), |peer| {
                    peer.status().peers().map(|other| story::progress(id, &other, stamps)).collect()
                }),
                "lease" => vec![match peer.and_then(|peer| peer.lease(now)) {
                    Some(until) => format!("{id} lease until {}", story::time(until)),
                    None => format!("{id} has no lease"),
                }],
                "pledges" => vec![match peer.and_then(|peer| peer.pledges_wanted(now)) {
                    Some(wanted) => format!("{id} has a lease by the pledges of {wanted} others"),
                    None => format!("{id} has no lease by pledges"),
                }],
                _ => vec![match peer.and_then(raft::Peer::deadline) {
                    Some(at) => format!("{id} deadline {}", story::time(at)),
                    None => format!("{id} has no deadline"),
                }],
            };
            lines.into_iter().for_each(|line| self.tell(line));
        }
        Ok(true)
    }

    /// Commands about the world itself: its beginning, its clock, what is told.
    fn set_up(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        match name {
            "cluster" => setup::cluster(self, args)?,
            "seed" => setup::seed(self, args)?,
            "tamper" => setup::tamper(self, args)?,
            "stamps" => self.stamps = args.word("on or off")? == "on",
            "reports" => self.manual_reports = args.word("auto or manual")? == "manual",
            "tick" | "run" => {
                let span = Duration::from_millis(args.word("milliseconds")?.parse()?);
                let only = args.0.next_pos().map(arguments::peer).transpose()?;
                self.pass(span, only, name == "run");
            }
            "clock" => {
                let id = args.peer()?;
                let millis: i64 = args.word("milliseconds")?.parse()?;
                self.host(id)?.ahead_ns += millis * 1_000_000;
            }
            "time" => self.tell(format!("it is {}", story::time(self.now))),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Commands that ask a peer for something.
    fn ask(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        match name {
            "campaign" => {
                let id = args.peer()?;
                self.input(id, Input::Campaign);
            }
            "step_down" => {
                let id = args.peer()?;
                self.input(id, Input::StepDown);
            }
            "protect" => {
                let id = args.peer()?;
                let millis: u64 = args.word("milliseconds")?.parse()?;
                self.act(id, |node, now, _| {
                    if let Some(peer) = &mut node.peer {
                        peer.protect(now.after(Duration::from_millis(millis)));
                    }
                    Ok(())
                });
            }
            "forget_leader" => {
                let id = args.peer()?;
                self.input(id, Input::ForgetLeader);
            }
            "propose" => self.propose(args)?,
            "read" => {
                let id = args.peer()?;
                let tokens =
                    args.words().into_iter().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
                self.act(id, |node, now, turn| {
                    let mut reads = tokens.into_iter().map(ReadToken);
                    reads.try_for_each(|token| node.step(now, Input::Read(token), turn))
                });
            }
            "change" => {
                let id = args.peer()?;
                let changes: Vec<Change> =
                    args.words().into_iter().map(arguments::change).collect::<Result<_, _>>()?;
                self.input(id, Input::Change(&changes));
            }
            "transfer" => {
                let (id, to) = (args.peer()?, args.peer()?);
                self.input(id, Input::Transfer(to));
            }
            "support" => {
                let (id, peer) = (args.peer()?, args.peer()?);
                let held = args.word("on or off")? == "on";
                self.input(id, Input::Support { peer, held });
            }
            "lost" => {
                let (id, to) = (args.peer()?, args.peer()?);
                self.input(id, Input::Lost(to));
            }
            "snapshot_ended" => {
                let (id, to) = (args.peer()?, args.peer()?);
                self.input(id, Input::SnapshotEnded(to));
            }
            "timer" => {
                let id = args.peer()?;
                self.input(id, Input::Timer);
            }
            "inject" => foreign::inject(self, args)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn propose(&mut self, args: &mut Args<'_>) -> Result<(), Failure> {
        let id = args.peer()?;
        let size = args.key("size")?.unwrap_or(0);
        let times: usize = args.key("times")?.unwrap_or(1);
        let read = args.key("read")?.map(ReadToken);
        let mut commands = Vec::new();
        for word in args.words() {
            for nth in 1..=times {
                let name = if times > 1 { format!("{word}{nth}") } else { word.to_string() };
                commands.push(setup::padded(&name, size));
            }
        }
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        self.act(id, |node, now, turn| {
            node.propose(now, &commands, turn)?;
            read.map_or(Ok(()), |token| node.step(now, Input::Read(token), turn))
        });
        Ok(())
    }

    /// Commands about disks, crashes, compaction.
    fn persist(&mut self, name: &str, args: &mut Args<'_>) -> Result<bool, Failure> {
        match name {
            "manual" => {
                for id in self.peers(&args.words())? {
                    self.host(id)?.manual = true;
                }
            }
            "automatic" => {
                for id in self.peers(&args.words())? {
                    while self.host(id)?.node.disk.queued() > 0 {
                        self.complete_write(id);
                    }
                    self.host(id)?.manual = false;
                }
            }
            "sync" => {
                let id = args.peer()?;
                let queued = self.host(id)?.node.disk.queued();
                let count = args.0.next_pos().map_or(Ok(queued), str::parse)?;
                for _ in 0..count.min(queued) {
                    self.complete_write(id);
                }
            }
            "receipt" => foreign::receipt(self, args)?,
            "crash" | "restart" => {
                let (id, keep) = (args.peer()?, args.key("keep")?.unwrap_or(0));
                self.crash(id, keep)?;
                if name == "restart" {
                    self.start(id, self.now_of(id))?;
                }
            }
            "start" => {
                let id = args.peer()?;
                self.start(id, self.now_of(id))?;
            }
            "flush" => {
                let id = args.peer()?;
                self.host(id)?.node.flush_app();
            }
            "compact" => {
                let id = args.peer()?;
                let before = self.host(id)?.node.log.base;
                self.act(id, |node, now, turn| {
                    node.flush_app();
                    node.compact(now, turn);
                    Ok(())
                });
                let base = self.host(id)?.node.log.base;
                if base != before {
                    self.tell(format!("{id} compacts its log up to {base}"));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
