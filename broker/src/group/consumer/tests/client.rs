//! What a client knows and says of itself.

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::*;

pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a client knows of itself. Clients 0 and 1 are static, client 4 speaks the classic protocol.
#[derive(Debug, Clone, Default)]
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) life: u32,
    pub(super) epoch: i32,
    pub(super) wants: u8,
    pub(super) holds: Partitions,
    pub(super) deaf: bool,
    /// It asked and has no answer yet.
    pub(super) waits: bool,
    /// It made something up: what it says of itself proves nothing any more.
    pub(super) liar: bool,
    pub(super) joined: bool,
}

impl Client {
    pub(super) fn id(&self) -> Arc<str> {
        Arc::from(format!("m{}-{}", self.number, self.life))
    }

    pub(super) fn instance(&self) -> Option<Arc<str>> {
        (self.number < 2).then(|| Arc::from(format!("i{}", self.number)))
    }

    pub(super) fn is_classic(&self) -> bool {
        self.number == 4
    }

    pub(super) fn lose(&mut self) {
        self.life += 1;
        self.epoch = 0;
        self.holds.clear();
        (self.waits, self.joined, self.liar) = (false, false, false);
    }

    /// The topics it wants: always the first, and what its last act says.
    pub(super) fn topics(&self) -> BTreeSet<Arc<str>> {
        let bits = self.wants | 1;
        let each = NAMES
            .iter()
            .enumerate()
            .filter(|(at, _)| bits & (1 << at) != 0);
        each.map(|(_, name)| Arc::from(*name)).collect()
    }
}

/// A subscription in version 1, with what is owned.
pub(super) fn subscription(topics: &BTreeSet<Arc<str>>, holds: &[(Arc<str>, Vec<i32>)]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(1);
    out.put_i32(topics.len() as i32);
    for topic in topics {
        out.put_i16(topic.len() as i16);
        out.put_slice(topic.as_bytes());
    }
    out.put_i32(-1);
    out.put_i32(holds.len() as i32);
    for (topic, partitions) in holds {
        out.put_i16(topic.len() as i16);
        out.put_slice(topic.as_bytes());
        out.put_i32(partitions.len() as i32);
        partitions.iter().for_each(|at| out.put_i32(*at));
    }
    out.freeze()
}

/// The share in a SyncGroup answer.
pub(super) fn read_share(bytes: &Bytes, topics: &FixedTopics) -> Partitions {
    let mut bytes = bytes.clone();
    let mut share = Partitions::new();
    bytes.advance(2);
    for _ in 0..bytes.get_i32() {
        let length = usize::try_from(bytes.get_i16()).expect("a length");
        let name = bytes.split_to(length);
        let name = std::str::from_utf8(&name).expect("a name");
        let of: BTreeSet<i32> = (0..bytes.get_i32()).map(|_| bytes.get_i32()).collect();
        if let Some((id, _)) = topics.find(name) {
            share.insert(id, of);
        }
    }
    share
}
