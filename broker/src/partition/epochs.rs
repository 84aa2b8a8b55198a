//! Leader epochs of a partition: those the log has seen, and the present one, which begins at the
//! log's end before its first record. Step 10 of the hallway.

use super::Partition;

impl Partition {
    /// The largest epoch of at most `epoch` and the offset at which it ends; none if neither the
    /// log nor this leader knows it.
    pub(crate) fn epoch_end_offset(&self, epoch: i32) -> Option<(i32, i64)> {
        let known = self.reader.epoch_end_offset(epoch);
        let present = self.is_unwritten().then_some(self.leader_epoch);
        let present = present.filter(|present| *present == epoch);
        known.or(present.map(|epoch| (epoch, self.reader.log_end_offset())))
    }

    /// The epoch of the record at `offset`; none if it is not known.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        let present = (self.reader.latest_epoch().is_none()).then_some(self.leader_epoch);
        self.reader.epoch_at(offset).or(present)
    }

    /// Whether this leader has written nothing yet.
    fn is_unwritten(&self) -> bool {
        let latest = self.reader.latest_epoch();
        latest.is_none_or(|(latest, _)| latest < self.leader_epoch)
    }
}
