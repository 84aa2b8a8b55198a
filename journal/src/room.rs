//! Room on the disk ahead of the segment that is written: how much, and when.
//!
//! Invariant: only a log that is written fast has any; a small, slow or idle one takes no more of
//! the disk than its bytes. It is a wish: a disk that has none to give changes nothing.
//! Hallway: step 8.
//!
//! A file system that finds the blocks of many appends at once (`fallocate`) spends a sixth less on
//! each. The file's size stays what was written, so nobody who reads or recovers it sees a difference.

/// Bytes that a segment gets in one go before it is given room, and the least it is given.
pub(crate) const STEP_BYTES_MIN: u64 = 1 << 20;
/// Most it is given at once.
const STEP_BYTES_MAX: u64 = 16 << 20;
/// It is given what it takes in this time at the pace of its last bytes.
const AHEAD_MS: u64 = 250;

/// What was asked for on behalf of one segment.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// End of the room, as a position in the file; 0 before any was asked for.
    end: u64,
    /// Position at which the next decision is made.
    next: u64,
    /// Position and time of the last one.
    last: Option<(u64, i64)>,
    refused: bool,
}

impl Room {
    /// Where the room should end, if more is to be asked for before `len` bytes are written at
    /// `position`. The segment gets no larger than `limit`.
    pub(crate) fn wanted(
        &mut self,
        (position, len): (u64, u64),
        limit: u64,
        now_ms: i64,
    ) -> Option<u64> {
        let after = position + len;
        if self.refused || (self.last.is_some() && after <= self.next) {
            return None;
        }
        let last = self.last.replace((position, now_ms));
        self.next = position + STEP_BYTES_MIN;
        let (last_position, last_ms) = last?;
        let written = position.saturating_sub(last_position);
        let took_ms = u64::try_from(now_ms.saturating_sub(last_ms)).unwrap_or(0);
        let ahead = (written * AHEAD_MS / took_ms.max(1)).min(STEP_BYTES_MAX);
        let end = (after.max(position + ahead)).min(limit.max(after));
        if ahead < STEP_BYTES_MIN || end == after {
            return None;
        }
        self.end = end;
        self.next = end;
        Some(end)
    }

    /// The disk has no room to give to this segment.
    pub(crate) fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether some may be left behind `size` bytes.
    pub(crate) fn is_left(&self, size: u64) -> bool {
        self.end > size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const LIMIT: u64 = 1 << 30;

    /// Appends of 64 KiB, one each `every_ms`; ends of the rooms that were wanted.
    fn wanted(room: &mut Room, bytes: std::ops::Range<u64>, every_ms: i64) -> Vec<u64> {
        let step = 64 << 10;
        let appends = bytes.step_by(step as usize).enumerate();
        appends
            .filter_map(|(at, position)| room.wanted((position, step), LIMIT, at as i64 * every_ms))
            .collect()
    }

    #[test]
    fn a_small_log_gets_none() {
        assert_eq!(wanted(&mut Room::default(), 0..MIB, 0), []);
    }

    #[test]
    fn a_slow_log_gets_none() {
        // 1.3 MB/s.
        assert_eq!(wanted(&mut Room::default(), 0..100 * MIB, 50), []);
    }

    #[test]
    fn room_grows_with_the_pace() {
        // 6.5 MB/s, and as fast as the clock can tell: the most.
        let steps = wanted(&mut Room::default(), 0..64 * MIB, 10);
        assert_eq!(steps.first(), Some(&(MIB + MIB * 250 / 160)));
        let steps = wanted(&mut Room::default(), 0..64 * MIB, 0);
        assert_eq!(steps.get(..2), Some(&[17 * MIB, 33 * MIB][..]));
    }

    #[test]
    fn room_ends_with_the_segment() {
        let mut room = Room::default();
        assert_eq!(room.wanted((0, 10), 2 * MIB, 0), None);
        assert_eq!(room.wanted((MIB, 10), 2 * MIB, 0), Some(2 * MIB));
        assert!(room.is_left(MIB + 10));
        assert!(!room.is_left(2 * MIB));
        // A batch that is larger than a segment may be has one for itself.
        assert_eq!(room.wanted((2 * MIB, MIB), 2 * MIB, 0), None);
    }

    #[test]
    fn a_disk_that_refuses_is_not_asked_again() {
        let mut room = Room::default();
        assert_eq!(room.wanted((0, 10), LIMIT, 0), None);
        assert_eq!(room.wanted((MIB, 10), LIMIT, 0), Some(17 * MIB));
        room.refuse();
        assert_eq!(wanted(&mut room, MIB..64 * MIB, 0), []);
    }
}
