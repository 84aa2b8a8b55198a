//! The newest offset of each key in the dirty part of a log, within a bound of memory.
//!
//! Invariant: memory, a growing table's copy included, stays within the bound; keys are known by
//! 128 bits of hashes that nobody outside can predict, so two keys are never taken for one. It lies
//! about no key: what was put is found.
//! Hallway: step 8, in compaction. (Kafka's SkimpyOffsetMap.)
use std::hash::{BuildHasher, RandomState};

/// Slots of a table that was just begun.
const SLOTS_MIN: usize = 1024;
/// Of so many slots, one fewer may be taken (Kafka's `log.cleaner.io.buffer.load.factor` is 0.9).
const LOAD: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: [u64; 2],
    /// The offset after the newest one; 0 where the slot is free.
    next_offset: i64,
}

/// No room for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Keys and their newest offsets.
#[derive(Debug)]
pub(crate) struct KeyMap {
    slots: Vec<Slot>,
    slots_max: usize,
    taken: usize,
    hashers: [RandomState; 2],
}

impl KeyMap {
    /// An empty map that takes at most `bytes_max` bytes, and nothing before its first key.
    pub(crate) fn new(bytes_max: usize) -> KeyMap {
        KeyMap {
            slots: Vec::new(),
            slots_max: bytes_max / size_of::<Slot>(),
            taken: 0,
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Notes that `key` was written at `offset`, which is larger than all before.
    pub(crate) fn put(&mut self, key: &[u8], offset: i64) -> Result<(), Full> {
        let hash = self.hash(key);
        if let Some(slot) = self.find(hash)
            && slot.next_offset != 0
        {
            slot.next_offset = offset + 1;
            return Ok(());
        }
        let has_room = |taken: usize, slots: usize| taken < slots - slots.div_ceil(LOAD);
        if !has_room(self.taken, self.slots.len()) {
            self.grow();
            if !has_room(self.taken, self.slots.len()) {
                return Err(Full);
            }
        }
        let slot = self.find(hash).ok_or(Full)?;
        *slot = Slot {
            hash,
            next_offset: offset + 1,
        };
        self.taken += 1;
        Ok(())
    }

    /// The newest offset of `key`, if it was put.
    pub(crate) fn get(&self, key: &[u8]) -> Option<i64> {
        let hash = self.hash(key);
        let (before, from) = self.slots.split_at(self.place(hash));
        let slot = from
            .iter()
            .chain(before)
            .find(|slot| slot.next_offset == 0 || slot.hash == hash)?;
        (slot.next_offset != 0).then(|| slot.next_offset - 1)
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }

    /// Where the search for a hash begins.
    fn place(&self, hash: [u64; 2]) -> usize {
        let [high, _] = hash;
        // The high part of the product: spread evenly over any number of slots.
        ((u128::from(high) * self.slots.len() as u128) >> 64) as usize
    }

    /// The slot that has the hash, or the free one where it would be.
    fn find(&mut self, hash: [u64; 2]) -> Option<&mut Slot> {
        let place = self.place(hash);
        let (before, from) = self.slots.split_at_mut(place);
        from.iter_mut()
            .chain(before)
            .find(|slot| slot.next_offset == 0 || slot.hash == hash)
    }

    /// Makes the table larger, if old and new fit into the bound together.
    fn grow(&mut self) {
        let now = self.slots.len();
        let room = self.slots_max - now;
        let double = (now * 2).max(SLOTS_MIN);
        // The last growth takes all the room there is.
        let wanted = if double * 3 <= self.slots_max {
            double
        } else {
            room
        };
        if wanted <= now {
            return;
        }
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); wanted]);
        for slot in old.into_iter().filter(|slot| slot.next_offset != 0) {
            if let Some(place) = self.find(slot.hash) {
                *place = slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_offset_of_each_key_is_found_and_no_other_key() {
        let mut map = KeyMap::new(1 << 20);
        for offset in 0..30_000i64 {
            map.put(&(offset % 9973).to_be_bytes(), offset)
                .expect("fits");
        }
        for key in 0..9973i64 {
            let newest = (0..30_000).rev().find(|offset| offset % 9973 == key);
            assert_eq!(map.get(&key.to_be_bytes()), newest);
        }
        assert_eq!(map.get(b"another"), None);
        assert_eq!(map.get(b""), None);
    }

    #[test]
    fn a_full_map_refuses_new_keys_and_takes_known_ones() {
        for bytes_max in [24, 240, 2400, 100_000, 1_000_000] {
            let mut map = KeyMap::new(bytes_max);
            let keys = (0i64..).take_while(|key| map.put(&key.to_be_bytes(), *key).is_ok());
            let keys = keys.count() as i64;
            assert!(
                keys as usize >= bytes_max / size_of::<Slot>() / 2,
                "{keys} keys in {bytes_max} bytes"
            );
            assert!(map.slots.capacity() * size_of::<Slot>() <= bytes_max);
            for key in 0..keys {
                assert_eq!(map.put(&key.to_be_bytes(), key + 7), Ok(()));
                assert_eq!(map.get(&key.to_be_bytes()), Some(key + 7));
            }
            assert_eq!(map.put(&keys.to_be_bytes(), 1), Err(Full));
            assert_eq!(map.get(&keys.to_be_bytes()), None);
        }
    }
}
