//! The partitions of one fetch session: where each is read, what was last said about it, and in
//! which order they get their turn.
//! Invariant: a partition that is not listed has nothing to tell; one that gave records goes behind
//! all others, so none starves. Step 10 of the hallway.
//!
//! A poll takes listed partitions from the front, looks at each and finishes with it: kept for the
//! answer, or unlisted when there is nothing. Whoever hears of a change lists the partition again.
//! A fetch without a session uses the same machine once.

use std::collections::{HashMap, VecDeque};

use logway_protocol::{Text, Uuid};

/// How a topic is named by the requests of a session: all by name, or all by id (version 13).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(Text),
    Id(Uuid),
}

/// What is asked of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) partition: i32,
    pub(crate) fetch_offset: i64,
    pub(crate) max_bytes: i32,
    /// -1 for a client that does not know it, or reads with an older version.
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// What an answer says about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    /// It holds records.
    pub(crate) records: bool,
    /// It holds an error or a diverging epoch, which are always told.
    pub(crate) failed: bool,
}

/// What the client was last told; nothing yet, or an error, is unlike everything.
type Told = Option<(i64, i64, i64)>;

impl Seen {
    /// What a partition says that cannot be read.
    pub(crate) const fn nothing() -> Seen {
        Seen {
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            records: false,
            failed: true,
        }
    }

    fn to_tell(self) -> Told {
        let offsets = (
            self.high_watermark,
            self.last_stable_offset,
            self.log_start_offset,
        );
        (!self.failed).then_some(offsets)
    }
}

/// One partition of a session, with whatever serves it.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    /// Number of its topic; see [`Session::topic`].
    pub(crate) topic: u32,
    pub(crate) asked: Asked,
    pub(crate) served: T,
    told: Told,
    listed: bool,
}

/// All partitions of a session.
#[derive(Debug)]
pub(crate) struct Session<T> {
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    topics: Vec<TopicKey>,
    topic_numbers: HashMap<TopicKey, u32>,
    places: HashMap<(u32, i32), u32>,
    listed: VecDeque<u32>,
}

impl<T> Session<T> {
    /// An empty session with room for `partitions`.
    pub(crate) fn with_capacity(partitions: usize) -> Session<T> {
        Session {
            slots: Vec::with_capacity(partitions),
            free: Vec::new(),
            topics: Vec::new(),
            topic_numbers: HashMap::new(),
            places: HashMap::with_capacity(partitions),
            listed: VecDeque::with_capacity(partitions),
        }
    }

    /// Partitions in the session.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Partitions that may have something to tell.
    pub(crate) fn listed(&self) -> usize {
        self.listed.len()
    }

    /// The topic's number, which stays the same for the session's life.
    pub(crate) fn number_of(&mut self, topic: &TopicKey) -> u32 {
        if let Some(number) = self.topic_numbers.get(topic) {
            return *number;
        }
        // A frame's text would keep the whole frame in memory.
        let topic = match topic {
            TopicKey::Name(name) => TopicKey::Name(Text::from(&**name)),
            TopicKey::Id(id) => TopicKey::Id(*id),
        };
        let number = u32::try_from(self.topics.len()).unwrap_or(u32::MAX);
        self.topics.push(topic.clone());
        self.topic_numbers.insert(topic, number);
        number
    }

    /// The topic with that number.
    pub(crate) fn topic(&self, number: u32) -> Option<&TopicKey> {
        self.topics.get(number as usize)
    }

    /// Takes up a partition, or what is asked of it from now on; it gets its turn.
    pub(crate) fn ask(&mut self, topic: u32, asked: Asked, served: impl FnOnce(u32) -> T) -> u32 {
        let at = match self.places.get(&(topic, asked.partition)) {
            Some(at) => *at,
            None => self.take_place(topic, asked, served),
        };
        if let Some(slot) = self.slot_mut(at) {
            slot.asked = asked;
        }
        self.list(at);
        at
    }

    fn take_place(&mut self, topic: u32, asked: Asked, served: impl FnOnce(u32) -> T) -> u32 {
        let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let at = self.free.pop().unwrap_or(next);
        let slot = Slot {
            topic,
            asked,
            served: served(at),
            told: None,
            listed: false,
        };
        match self.slots.get_mut(at as usize) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        self.places.insert((topic, asked.partition), at);
        at
    }

    /// Drops a partition from the session.
    pub(crate) fn forget(&mut self, topic: &TopicKey, partition: i32) {
        let number = self.topic_numbers.get(topic);
        let at = number.and_then(|number| self.places.remove(&(*number, partition)));
        let Some(at) = at else { return };
        let slot = self.slots.get_mut(at as usize).and_then(Option::take);
        if slot.is_some_and(|slot| slot.listed) {
            self.listed.retain(|other| *other != at);
        }
        self.free.push(at);
    }

    /// The partition at a place.
    pub(crate) fn slot(&self, at: u32) -> Option<&Slot<T>> {
        self.slots.get(at as usize)?.as_ref()
    }

    /// The partition at a place, to change what serves it.
    pub(crate) fn slot_mut(&mut self, at: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(at as usize)?.as_mut()
    }

    /// Places of all partitions.
    pub(crate) fn places(&self) -> impl Iterator<Item = u32> + use<T> {
        0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Something happened to the partition: it gets its turn behind those that wait already.
    pub(crate) fn list(&mut self, at: u32) {
        if let Some(slot) = self.slot_mut(at)
            && !slot.listed
        {
            slot.listed = true;
            self.listed.push_back(at);
        }
    }

    /// The next partition whose turn it is. Give it back with `unlist`, `relist` or `told`.
    pub(crate) fn take_listed(&mut self) -> Option<u32> {
        self.listed.pop_front()
    }

    /// A taken partition has nothing to tell until it is listed again.
    pub(crate) fn unlist(&mut self, at: u32) {
        if let Some(slot) = self.slot_mut(at) {
            slot.listed = false;
        }
    }

    /// Taken partitions are not answered this time: they keep their turns, first of all.
    pub(crate) fn relist(&mut self, taken: impl DoubleEndedIterator<Item = u32>) {
        for at in taken.rev() {
            self.listed.push_front(at);
        }
    }

    /// Whether an answer that says `seen` would tell the client something.
    pub(crate) fn is_news(&self, at: u32, seen: Seen) -> bool {
        self.slot(at).is_some_and(|slot| {
            seen.records || seen.failed || slot.told != seen.to_tell() || slot.told.is_none()
        })
    }

    /// The client is told `seen` about a taken partition. With records or an error it stays listed,
    /// behind all others: the client may ask the same again.
    pub(crate) fn told(&mut self, at: u32, seen: Seen) {
        let Some(slot) = self.slot_mut(at) else {
            return;
        };
        slot.told = seen.to_tell();
        if seen.records || seen.failed {
            self.listed.push_back(at);
        } else {
            slot.listed = false;
        }
    }

    /// The client is told `seen` about a partition, whose turn is not touched by that.
    pub(crate) fn note(&mut self, at: u32, seen: Seen) {
        if let Some(slot) = self.slot_mut(at) {
            slot.told = seen.to_tell();
        }
    }
}
