//! Random scripts from a seed. Which troubles a script has, and how fast it goes forward, the seed
//! says too: many scripts with different troubles show more than all troubles at once.

use raft_world::Rng;

/// What a script may hold. Weights, 0 for never.
struct Mix {
    nodes: u64,
    voters: u64,
    stabilize: u64,
    cuts: u64,
    splits: u64,
    drops: u64,
    storms: u64,
    changes: u64,
    transfers: u64,
    compacts: u64,
    restarts: u64,
    queues: u64,
}

/// Makes a command, or a few, one a line.
type Make = fn(&Mix, &mut Rng) -> String;

/// The commands of a seed: one `init`, then 60 to 120 others. Where some belong together, more.
pub(crate) fn script(seed: u64) -> Vec<String> {
    let mut rng = Rng::new(seed);
    let mix = Mix::draw(&mut rng);
    let mut script = vec![format!("init {} {} 1 1", mix.nodes, mix.voters)];
    if rng.below(100) < 70 {
        script.push(format!("campaign {}", 1 + rng.below(mix.voters)));
        script.push("stabilize".to_owned());
    }
    let length = 60 + rng.below(61);
    while (script.len() as u64) <= length {
        command(&mix, &mut rng, &mut script);
    }
    script
}

/// The number of nodes of a script.
pub(crate) fn nodes(script: &[String]) -> u64 {
    let words = script.first().and_then(|init| init.split(' ').nth(1));
    words.and_then(|nodes| nodes.parse().ok()).expect("a script begins with `init`")
}

fn command(mix: &Mix, rng: &mut Rng, script: &mut Vec<String>) {
    let weights: [(u64, Make); 20] = [
        (22, |mix, rng| format!("ready {}", mix.node(rng))),
        (30, |mix, rng| format!("deliver {}", mix.link(rng))),
        (mix.stabilize, |_, _| "stabilize".to_owned()),
        (10, |mix, rng| {
            // Now and then long enough for any timer.
            let ticks = rng.pick(&[1, 2, 2, 3, 10, 14, 30]).expect("not empty");
            format!("tick {} {ticks}", mix.node(rng))
        }),
        (2, |mix, rng| format!("campaign {}", mix.node(rng))),
        (9, |mix, rng| format!("propose {} x{}", mix.node(rng), rng.below(1000))),
        (4, |mix, rng| format!("read {} r{}", mix.node(rng), rng.below(1000))),
        (mix.transfers, |mix, rng| format!("transfer {} {}", mix.node(rng), mix.node(rng))),
        (mix.changes, change),
        (mix.cuts, |mix, rng| format!("cut {}", mix.link(rng))),
        (mix.cuts / 2, |mix, rng| format!("cut1 {}", mix.link(rng))),
        (mix.splits, split),
        ((mix.cuts + mix.splits) / 3, |_, _| "heal".to_owned()),
        (mix.storms, storm),
        (mix.drops, |mix, rng| format!("drop {}", mix.link(rng))),
        (mix.compacts, |mix, rng| format!("compact {}", mix.node(rng))),
        (mix.compacts / 2, lag),
        (mix.restarts, |mix, rng| format!("restart {}", mix.node(rng))),
        (mix.queues, |mix, rng| match rng.below(5) {
            0..3 => format!("queue {}", mix.node(rng)),
            _ => format!("sync {} {}", mix.node(rng), 1 + rng.below(3)),
        }),
        (mix.queues / 5, |mix, rng| format!("crash {}", mix.node(rng))),
    ];
    let mut point = rng.below(weights.iter().map(|(weight, _)| weight).sum());
    for (weight, make) in weights {
        if point < weight {
            script.extend(make(mix, rng).lines().map(str::to_owned));
            return;
        }
        point -= weight;
    }
}

/// Two sides that hear nothing of each other; often one node on one of them.
fn split(mix: &Mix, rng: &mut Rng) -> String {
    let one = mix.node(rng);
    let is_even = rng.below(2) == 0;
    let sides: Vec<bool> =
        (1..=mix.nodes).map(|node| if is_even { rng.below(2) == 0 } else { node == one }).collect();
    let mut cuts = vec!["heal".to_owned()];
    for (left, _) in (1..).zip(&sides).filter(|(_, side)| **side) {
        for (right, _) in (1..).zip(&sides).filter(|(_, side)| !**side) {
            cuts.push(format!("cut {left} {right}"));
        }
    }
    cuts.join("\n")
}

/// One node misses so much that it will need a snapshot, which may be lost, as may the way to it.
fn lag(mix: &Mix, rng: &mut Rng) -> String {
    let behind = mix.node(rng);
    let others = (1..=mix.nodes).filter(|&node| node != behind);
    let mut lines: Vec<String> =
        others.clone().map(|node| format!("cut {behind} {node}")).collect();
    lines.push(format!("propose {} missed{}", mix.node(rng), rng.below(1000)));
    lines.push("stabilize".to_owned());
    lines.extend(others.clone().map(|node| format!("compact {node}")));
    lines.push("heal".to_owned());
    if rng.below(2) == 0 {
        // One round of a beat: whoever leads has the snapshot on the link now.
        lines.extend(others.clone().map(|node| format!("tick {node} 2\nready {node}")));
        lines.extend(others.clone().map(|node| format!("deliver {node} {behind}")));
        lines.push(format!("ready {behind}"));
        lines.extend(others.clone().map(|node| format!("deliver {behind} {node}\nready {node}")));
        lines.push(match rng.below(4) {
            0 => format!("restart {behind}"),
            1 => format!("drop {} {behind}", mix.node(rng)),
            2 => {
                let lost = |node| format!("cut1 {node} {behind}\ndeliver {node} {behind}");
                others.map(lost).collect::<Vec<String>>().join("\n")
            }
            _ => "stabilize".to_owned(),
        });
    }
    lines.join("\n")
}

/// Time goes on for most nodes, long enough for an election or just not, and messages arrive.
fn storm(mix: &Mix, rng: &mut Rng) -> String {
    let mut lines = Vec::new();
    for node in 1..=mix.nodes {
        if rng.below(100) < 80 {
            lines.push(format!(
                "tick {node} {}",
                rng.pick(&[2, 10, 10 + 2 * node]).expect("not empty")
            ));
        }
    }
    lines.push("stabilize".to_owned());
    lines.join("\n")
}

fn change(mix: &Mix, rng: &mut Rng) -> String {
    let mut wishes: Vec<u64> = (0..=rng.below(3)).map(|_| mix.node(rng)).collect();
    wishes.sort_unstable();
    wishes.dedup();
    let wishes: Vec<String> = wishes
        .iter()
        .map(|node| format!(" {}{node}", rng.pick(&["v", "v", "l", "r"]).expect("not empty")))
        .collect();
    format!("conf {}{}", mix.node(rng), wishes.concat())
}

impl Mix {
    fn draw(rng: &mut Rng) -> Mix {
        let nodes = rng.pick(&[1, 2, 3, 3, 3, 4, 5, 5, 6, 7]).expect("not empty");
        let mut trouble = |weight| if rng.below(100) < 55 { weight } else { 0 };
        Mix {
            nodes,
            cuts: trouble(5),
            splits: trouble(3),
            drops: trouble(4),
            storms: trouble(6),
            changes: trouble(5),
            transfers: trouble(3),
            compacts: trouble(5),
            restarts: trouble(3),
            queues: trouble(12),
            stabilize: rng.pick(&[0, 2, 6, 12]).expect("not empty"),
            voters: (1 + rng.below(nodes)).max(nodes.min(3)).min(5),
        }
    }

    fn node(&self, rng: &mut Rng) -> u64 {
        1 + rng.below(self.nodes)
    }

    fn link(&self, rng: &mut Rng) -> String {
        let from = self.node(rng);
        let to = self.node(rng);
        // Few of the links that lead nowhere.
        let to = if to == from { self.node(rng) } else { to };
        format!("{from} {to}")
    }
}
