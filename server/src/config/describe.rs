//! What each key means, for people: the text of `crib config default`.
//!
//! A key of a cluster is taken when the cluster is born, and kept by it; on a node that joins later
//! it has no effect.

/// A key and its meaning.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, with a dot between section and key.
    pub name: &'static str,
    /// What it is and why one would change it, in lines.
    pub about: &'static str,
}

const fn key(name: &'static str, about: &'static str) -> Key {
    Key { name, about }
}

/// Every key, in the order in which it is printed: those without a section first.
pub const KEYS: &[Key] = &[
    key("data-dir", "Where everything is kept. One process at a time may use it."),
    key("listen", "Where gRPC listens: clients, other stores and placement, on one port."),
    key("advertise", "Where others reach that port, host:port. Empty: the same as `listen`."),
    key("roles", "What this node is. For later: a node of one role alone is not supported yet."),
    key(
        "founders",
        "The addresses of the 1, 3 or 5 stores that the cluster is born with, the same list on\n\
         each. Empty, and nothing to join: this node founds a cluster of its own.",
    ),
    key("join", "Addresses of nodes of a cluster that this node is to join."),
    key(
        "cluster-token",
        "Founders with the same list and the same token make one cluster; choose a new one for\n\
         each cluster, so that they never take each other for their own.",
    ),
    key("api-version", "Cluster. How keys are formed: \"v2\", \"v1\" or \"v1ttl\". Never changes."),
    key(
        "replicas",
        "Cluster. Replicas of a region: 3 survive the loss of one store, 5 of two. Once the\n\
         cluster is born, `crib placement replicas` changes it.",
    ),
    key(
        "labels",
        "Where this node is: `labels = { zone = \"b\" }`. Replicas are spread over zones.\n\
         As a flag or in the environment: `zone=b,rack=7`.",
    ),
    key("http.listen", "Where health, metrics and JSON are served. Empty: nowhere."),
    key("http.advertise", "Where others reach that port. Empty: the same as `http.listen`."),
    key(
        "http.tls",
        "What that port asks for, where the node has certificates: \"mutual\", a certificate of\n\
         `tls.ca`; \"server\", nothing, as for probes that have none; \"off\": plain text.",
    ),
    key("http.connections-max", "Connections at a time; further ones wait."),
    key("http.header-size-max", "Largest head of a request. At least 8KiB."),
    key("http.body-size-max", "Largest body of a request."),
    key("http.request-timeout", "How long a request may take, and how long its head may."),
    key("region.split-size", "A region that is larger is split. Smaller spreads load sooner."),
    key("region.target-size", "About how large the parts are. At most `region.split-size`."),
    key("region.split-keys", "A region that has more keys is split."),
    key(
        "region.check-interval",
        "How often the sizes of regions that were written to are looked at.",
    ),
    key(
        "raft.election-timeout",
        "How long a silent leader is protected. Shorter finds a dead one sooner and suspects a\n\
         slow one more often. The same on all nodes, which do not talk otherwise: stop all to\n\
         change it. At least two heartbeats, at most 60s.",
    ),
    key("raft.election-spread", "Random part of the wait before a peer campaigns."),
    key("raft.heartbeat-interval", "How often a leader that is not asleep is heard."),
    key(
        "raft.lease",
        "Whether leaders answer reads without asking the others each time. The same on all\n\
         nodes, which do not talk otherwise: stop all to change it.",
    ),
    key("raft.clock-drift-ppm", "How fast or slow clocks may run, in parts per million."),
    key("raft.liveness-interval", "How often stores vouch for each other; costs a sync each time."),
    key(
        "raft.support-span",
        "How long a store vouches. Shorter finds a dead store sooner and suspects a slow disk\n\
         more often. At least three liveness intervals.",
    ),
    key("raft.workers", "Threads that step groups. More help when one is busy all the time."),
    key("raft.appliers", "Threads that apply what is committed."),
    key("raft.command-size-max", "Largest command. Larger ones are refused."),
    key("raft.proposed-size-max", "Commands that are not answered yet, together. Then: busy."),
    key("raft.inbox-size-max", "Messages that are not processed yet, together. Then they drop."),
    key("raft.lag-size-max", "Log that is kept for a peer that lags. Beyond it: a snapshot."),
    key(
        "raft.undetermined-after",
        "After so long without its leader, a write has no known outcome.",
    ),
    key("raft.disk-stall-after", "After so long without its disk a store gives up what it leads."),
    key("raft.disk-hang-after", "After so long without its disk, though there is room, it stops."),
    key("raft.snapshots-sent-max", "Snapshots that are sent at a time."),
    key("raft.snapshots-received-max", "Snapshots that are received at a time."),
    key("raft.snapshot-rate-max", "Network that snapshots may take, per second."),
    key("raft.groups-max", "Groups of one store, destroyed ones included."),
    key("placement.heartbeat-interval", "How often a store says how it is."),
    key("placement.disconnected-after", "A store that is silent for so long is disconnected."),
    key(
        "placement.down-after",
        "A store that is silent for so long is down: its replicas are made anew elsewhere.\n\
         Longer than a restart takes.",
    ),
    key("placement.full-percent", "A store whose disk is fuller is given no replicas."),
    key(
        "placement.location-labels",
        "Cluster. Labels that tell where a store is, the widest first: `[\"zone\", \"rack\"]`.\n\
         Replicas of a region are kept apart in the first of them that can be. Once the cluster\n\
         is born, `crib placement labels` changes them.",
    ),
    key("storage.block-cache-size", "Memory for what is read. More means fewer reads of the disk."),
    key("storage.memory-size-max", "Memory for what was written and is in no table yet."),
    key(
        "storage.raft-memory-size",
        "Part of it for the log. It should hold the log of all groups.",
    ),
    key("storage.data-memory-size", "Part of it for each family of data."),
    key("storage.log-size-max", "How long the write-ahead log may get: what a start has to read."),
    key("storage.background-jobs", "Threads that write and merge tables. From 1 to 64."),
    key("storage.background-rate-max", "What these may write per second. 0: no limit."),
    key("storage.open-files-max", "Tables that may be open."),
    key(
        "storage.keep-free",
        "With less room on the disk a leader takes deletes alone; placement makes others lead,\n\
         and gives the store no more replicas. What the others decide it still follows. Log and\n\
         tables that are written anew need some of it; 0: nothing is kept.",
    ),
    key("limits.connections-max", "Connections at a time; further ones are closed."),
    key("limits.streams-max", "Calls at a time on one connection."),
    key("limits.network-threads", "Threads that serve connections; 0: half of the cores."),
    key(
        "limits.message-size-max",
        "Largest message that a client may send: of a batched stream, up to 128 requests.",
    ),
    key("limits.peer-message-size-max", "Largest message between stores."),
    key("limits.key-size-max", "Largest key. At most 14KiB."),
    key("limits.value-size-max", "Largest value."),
    key(
        "limits.requests-max",
        "Writes under way, and reads that ask a majority, all together. Then: busy.",
    ),
    key("limits.request-timeout", "How long each of them may take."),
    key("limits.handshake-timeout", "How long the beginning of a connection may take."),
    key("limits.keepalive-interval", "A connection that is silent for so long is asked."),
    key("limits.keepalive-timeout", "How long its answer may take. Then it is closed."),
    key(
        "tls.ca",
        "PEM file of who signs certificates. All three files, or none: without them, whoever\n\
         reaches the port may speak as any store.",
    ),
    key("tls.cert", "PEM file of this node's certificate, good for a server and for a client."),
    key("tls.key", "PEM file of its private key."),
    key(
        "tls.check-interval",
        "How often the three files are looked at. Renewed ones are used by connections from then\n\
         on; if one cannot be used, the log says so, and the old ones are used further. SIGHUP\n\
         looks at once.",
    ),
    key("log.level", "error, warn, info, debug or trace; also by part: \"info,raft=debug\"."),
    key("log.format", "\"text\", \"json\", or \"auto\": text on a terminal, JSON elsewhere."),
];
