//! Which fetch sessions are kept: a bounded number, with Kafka's rules for who must go.
//! Invariant: a session answers only requests that carry its next epoch, so a lost, repeated or
//! reordered request never changes what the client believes. Step 10 of the hallway.
//!
//! A new session finds room when the cache is not full, or one unused for two minutes can go, or
//! one that is old enough holds no more partitions; followers' sessions go last (KIP-227).

use std::collections::{BTreeSet, HashMap};

use logway_protocol::ErrorCode;

/// Sessions unused for longer may be evicted; younger ones only go for larger ones later (KIP-227).
const EVICTION_MS: i64 = 120_000;
/// Epoch of a request that asks for a new session.
pub(crate) const INITIAL_EPOCH: i32 = 0;
/// Epoch of a request that wants no session.
pub(crate) const FINAL_EPOCH: i32 = -1;

/// The epoch after `epoch`; it never comes back to those with a meaning.
pub(crate) fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        FINAL_EPOCH => FINAL_EPOCH,
        i32::MAX => 1,
        epoch => epoch.wrapping_add(1),
    }
}

/// What the cache knows of a session that is kept or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// A follower's.
    pub(crate) privileged: bool,
    /// Topics go by id.
    pub(crate) by_id: bool,
    /// Number of partitions.
    pub(crate) size: usize,
}

#[derive(Debug)]
struct Entry<S> {
    session: S,
    kept: Kept,
    epoch: i32,
    created_ms: i64,
    used_ms: i64,
}

impl<S> Entry<S> {
    fn evictable_key(&self, id: i32) -> (bool, usize, i32) {
        (self.kept.privileged, self.kept.size, id)
    }
}

/// The sessions that are kept.
#[derive(Debug)]
pub(crate) struct SessionCache<S> {
    slots: usize,
    partitions_max: usize,
    entries: HashMap<i32, Entry<S>>,
    partitions: usize,
    evictions: u64,
    used: BTreeSet<(i64, i32)>,
    by_all: BTreeSet<(bool, usize, i32)>,
    by_privileged: BTreeSet<(bool, usize, i32)>,
}

impl<S: Clone> SessionCache<S> {
    /// Keeps at most `slots` sessions with at most `partitions_max` partitions together.
    pub(crate) fn new(slots: usize, partitions_max: usize) -> SessionCache<S> {
        SessionCache {
            slots,
            partitions_max,
            entries: HashMap::new(),
            partitions: 0,
            evictions: 0,
            used: BTreeSet::new(),
            by_all: BTreeSet::new(),
            by_privileged: BTreeSet::new(),
        }
    }

    /// Sessions kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sessions that had to go for others.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Keeps a new session under an id that `random` proposes, if there is room; false otherwise.
    /// Its next request must carry epoch 1.
    pub(crate) fn keep(
        &mut self,
        session: S,
        kept: Kept,
        now_ms: i64,
        mut random: impl FnMut() -> i32,
    ) -> Option<i32> {
        if self.partitions + kept.size > self.partitions_max {
            return None;
        }
        if self.entries.len() >= self.slots && !self.evict_for(kept, now_ms) {
            return None;
        }
        // A few thousand ids of two billion are taken: the first try nearly always is free.
        let id = (0..100)
            .map(|_| random())
            .find(|id| *id > 0 && !self.entries.contains_key(id))?;
        let entry = Entry {
            session,
            kept,
            epoch: next_epoch(INITIAL_EPOCH),
            created_ms: now_ms,
            used_ms: now_ms,
        };
        self.index(id, &entry);
        self.partitions += kept.size;
        self.entries.insert(id, entry);
        Some(id)
    }

    /// The session of an incremental request, which takes its turn: the next one is due now.
    ///
    /// # Errors
    /// There is no such session, or the request is not its next one.
    pub(crate) fn take_turn(
        &mut self,
        id: i32,
        epoch: i32,
        by_id: bool,
        now_ms: i64,
    ) -> Result<S, ErrorCode> {
        let entry = self
            .entries
            .get(&id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if entry.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if entry.kept.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let session = entry.session.clone();
        self.change(id, |entry| {
            entry.epoch = next_epoch(entry.epoch);
            entry.used_ms = now_ms;
        });
        Ok(session)
    }

    /// The session has `size` partitions now. False, and the session is gone, if those are too many.
    pub(crate) fn resize(&mut self, id: i32, size: usize) -> bool {
        let Some(entry) = self.entries.get(&id) else {
            // Evicted meanwhile: its client is answered and hears of it with its next request.
            return true;
        };
        let partitions = self.partitions - entry.kept.size + size;
        if partitions > self.partitions_max {
            self.remove(id);
            return false;
        }
        self.partitions = partitions;
        self.change(id, |entry| entry.kept.size = size);
        true
    }

    fn change(&mut self, id: i32, change: impl FnOnce(&mut Entry<S>)) {
        if let Some(mut entry) = self.entries.remove(&id) {
            self.unindex(id, &entry);
            change(&mut entry);
            self.index(id, &entry);
            self.entries.insert(id, entry);
        }
    }

    /// Whether the next request due carries `epoch`: nobody used the session in between.
    pub(crate) fn is_due(&self, id: i32, epoch: i32) -> bool {
        // A session that was evicted meanwhile still answers what it was asked.
        self.entries
            .get(&id)
            .is_none_or(|entry| entry.epoch == epoch)
    }

    /// Ends a session; nothing happens if there is none.
    pub(crate) fn remove(&mut self, id: i32) {
        if let Some(entry) = self.entries.remove(&id) {
            self.unindex(id, &entry);
            self.partitions -= entry.kept.size;
        }
    }

    fn evict_for(&mut self, newcomer: Kept, now_ms: i64) -> bool {
        let stale = self
            .used
            .first()
            .filter(|(used_ms, _)| now_ms - used_ms > EVICTION_MS);
        let evictable = if newcomer.privileged {
            &self.by_privileged
        } else {
            &self.by_all
        };
        let worth = (newcomer.privileged, newcomer.size, 0);
        let smaller = evictable.first().filter(|key| worth >= **key);
        let victim = stale.map(|(_, id)| *id).or(smaller.map(|(_, _, id)| *id));
        let Some(victim) = victim else { return false };
        self.remove(victim);
        self.evictions += 1;
        true
    }

    fn index(&mut self, id: i32, entry: &Entry<S>) {
        self.used.insert((entry.used_ms, id));
        let key = entry.evictable_key(id);
        let old = entry.used_ms - entry.created_ms > EVICTION_MS;
        if old || !entry.kept.privileged {
            self.by_privileged.insert(key);
        }
        if old {
            self.by_all.insert(key);
        }
    }

    fn unindex(&mut self, id: i32, entry: &Entry<S>) {
        self.used.remove(&(entry.used_ms, id));
        let key = entry.evictable_key(id);
        self.by_privileged.remove(&key);
        self.by_all.remove(&key);
    }
}
