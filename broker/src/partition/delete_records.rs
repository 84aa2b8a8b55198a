//! DeleteRecords: gives a log a later start. Invariant: when a caller is told that records are gone,
//! `log-start-offset-checkpoint` says so on disk, and no crash brings them back (Kafka writes that
//! file within a minute). Step 8 of the hallway. Everything here blocks.

use std::sync::Arc;

use logway_journal::{ChangeError, DiskError};
use thiserror::Error;
use tracing::{info, warn};

use super::{Availability, Partition, Partitions};

/// Why no records were deleted.
#[derive(Debug, Error)]
pub(crate) enum DeleteRecordsError {
    #[error("cleanup.policy does not delete")]
    Policy,
    #[error("offset {offset} is not between 0 and the high watermark {high_watermark}")]
    OffsetOutOfRange { offset: i64, high_watermark: i64 },
    #[error("partition is not served")]
    Unavailable(Availability),
    #[error(transparent)]
    Log(#[from] ChangeError),
    #[error("write log start offset: {0}")]
    Checkpoint(#[from] Arc<DiskError>),
}

impl Partitions {
    /// Deletes the records before an offset of each partition, `None` standing for the high
    /// watermark; answers with the log starts that hold now.
    pub(crate) fn delete_records(
        &self,
        wanted: &[(Arc<Partition>, Option<i64>)],
    ) -> Vec<Result<i64, DeleteRecordsError>> {
        let mut results: Vec<Result<i64, DeleteRecordsError>> = wanted
            .iter()
            .map(|(partition, offset)| partition.delete_before(*offset))
            .collect();
        let changed = wanted.iter().zip(&results);
        let changed =
            changed.filter_map(|((partition, _), result)| result.is_ok().then_some(partition));
        // Locked before the logs are asked, so that two requests cannot overtake each other here.
        let mut data_dir = self.data_dir().lock();
        let states: Vec<_> = changed
            .filter_map(|partition| partition.log_state())
            .collect();
        let states = states
            .iter()
            .map(|(folder, state)| (folder.as_str(), *state));
        if let Err(source) = data_dir.note_logs(states) {
            warn!("write log start offsets: {source}; deleted records may come back after a crash");
            let source = Arc::new(source);
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(Arc::clone(&source).into());
            }
        }
        results
    }
}

impl Partition {
    fn delete_before(&self, offset: Option<i64>) -> Result<i64, DeleteRecordsError> {
        if !self.config().deletes {
            return Err(DeleteRecordsError::Policy);
        }
        let mut writer = self.writer.lock();
        let availability = self.availability();
        let (Availability::Online, Some(log)) = (availability, writer.log.as_mut()) else {
            return Err(DeleteRecordsError::Unavailable(availability));
        };
        let high_watermark = self.high_watermark();
        let offset = offset.unwrap_or(high_watermark);
        if !(0..=high_watermark).contains(&offset) {
            return Err(DeleteRecordsError::OffsetOutOfRange {
                offset,
                high_watermark,
            });
        }
        if offset > log.log_start_offset() {
            let deleted = log.delete_before(offset)?;
            info!(
                topic = self.topic(),
                partition = self.index(),
                offset,
                segments = deleted.segments,
                "records deleted"
            );
            self.announce_change();
        }
        Ok(log.log_start_offset())
    }
}
