//! Random scripts from a seed. Which troubles a script has, and how fast it goes forward, the seed
//! says too: many scripts with different troubles show more than all troubles at once.

/// What a script may hold. Weights, 0 for never.
struct Mix {
    nodes: u64,
    voters: u64,
    stabilize: u64,
    cuts: u64,
    drops: u64,
    changes: u64,
    transfers: u64,
    compacts: u64,
    restarts: u64,
    queues: u64,
}

/// The commands of a seed: one `init`, then 60 to 120 others.
pub(crate) fn script(seed: u64) -> Vec<String> {
    let mut rng = Rng(seed);
    let mut trouble = |weight: u64| if rng.below(100) < 55 { weight } else { 0 };
    let mut mix = Mix {
        nodes: 0,
        voters: 0,
        stabilize: 4,
        cuts: trouble(5),
        drops: trouble(4),
        changes: trouble(5),
        transfers: trouble(3),
        compacts: trouble(5),
        restarts: trouble(3),
        queues: trouble(12),
    };
    mix.nodes = [1, 2, 3, 3, 3, 4, 5, 5, 6, 7][rng.pick(10)];
    mix.voters = (1 + rng.below(mix.nodes)).max(mix.nodes.min(3)).min(5);
    mix.stabilize = [0, 2, 6, 12][rng.pick(4)];
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
    let weights: [(u64, fn(&Mix, &mut Rng) -> String); 17] = [
        (22, |mix, rng| format!("ready {}", mix.node(rng))),
        (30, |mix, rng| format!("deliver {}", mix.link(rng))),
        (mix.stabilize, |_, _| "stabilize".to_owned()),
        (10, |mix, rng| {
            // Now and then long enough for any timer.
            let ticks = [1, 2, 2, 3, 10, 14, 30][rng.pick(7)];
            format!("tick {} {ticks}", mix.node(rng))
        }),
        (2, |mix, rng| format!("campaign {}", mix.node(rng))),
        (9, |mix, rng| format!("propose {} x{}", mix.node(rng), rng.below(1000))),
        (4, |mix, rng| format!("read {} r{}", mix.node(rng), rng.below(1000))),
        (mix.transfers, |mix, rng| format!("transfer {} {}", mix.node(rng), mix.node(rng))),
        (mix.changes, change),
        (mix.cuts, |mix, rng| format!("cut {}", mix.link(rng))),
        (mix.cuts / 2, |mix, rng| format!("cut1 {}", mix.link(rng))),
        (mix.cuts / 2, |_, _| "heal".to_owned()),
        (mix.drops, |mix, rng| format!("drop {}", mix.link(rng))),
        (mix.compacts, |mix, rng| format!("compact {}", mix.node(rng))),
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
            script.push(make(mix, rng));
            return;
        }
        point -= weight;
    }
}

fn change(mix: &Mix, rng: &mut Rng) -> String {
    let mut wishes: Vec<u64> = (0..=rng.below(3)).map(|_| mix.node(rng)).collect();
    wishes.sort_unstable();
    wishes.dedup();
    let wishes: Vec<String> =
        wishes.iter().map(|node| format!(" {}{node}", ["v", "v", "l", "r"][rng.pick(4)])).collect();
    format!("conf {}{}", mix.node(rng), wishes.concat())
}

impl Mix {
    fn node(&self, rng: &mut Rng) -> u64 {
        1 + rng.below(self.nodes)
    }

    fn link(&self, rng: &mut Rng) -> String {
        format!("{} {}", self.node(rng), self.node(rng))
    }
}

/// The splitmix64 generator.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick(&mut self, bound: u64) -> usize {
        usize::try_from(self.below(bound)).expect("small")
    }
}
