//! The log: one writer that appends batches and rolls segments.
//!
//! Invariant: a view is published only after its bytes are in the file, so what readers see is
//! whole. After a failed sync, or a failed write that could not be cut off again, nothing is written.
//! Hallway: step 8.
use std::path::Path;
use std::sync::{Arc, Weak};

use logway_protocol::batch::{BATCH_HEADER_SIZE, BATCH_OVERHEAD, BatchError, BatchHeader};

use crate::active::ActiveSegment;
use crate::config::LogConfig;
use crate::epoch::Epochs;
use crate::error::{AppendError, ChangeError, DiskError, is_out_of_files};
use crate::open::remove_segment;
use crate::reader::{LogReader, read_error};
use crate::segment::{LOG_SUFFIX, SegmentView, path_of};
use crate::snapshot::Snapshots;
use crate::sync::Durable;
use crate::view::{Shared, View};

/// Bytes at the start of a batch that the log sets: base offset, length, leader epoch.
const PREFIX: usize = 16;

/// The writer of one log. Reading goes through [`Log::reader`].
#[derive(Debug)]
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: LogConfig,
    pub(crate) closed: Arc<[Arc<SegmentView>]>,
    pub(crate) active: ActiveSegment,
    pub(crate) log_start_offset: i64,
    pub(crate) log_end_offset: i64,
    pub(crate) epochs: Epochs,
    pub(crate) durable: Durable,
    pub(crate) snapshots: Snapshots,
    pub(crate) aborted_known_below: i64,
    /// Held by a swap of compacted segments while it is under way.
    pub(crate) swapping: Weak<()>,
}

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Its largest timestamp, from its header.
    pub max_timestamp: i64,
    /// Whether a new segment was begun for it.
    pub rolled: bool,
}

impl Log {
    /// Appends one whole record batch that the caller has validated; its offsets and leader epoch
    /// are set, everything else is written as it is.
    ///
    /// After an error the log is as it was; with [`AppendError::Poisoned`] it stays so.
    /// `now_ms` counts milliseconds since 1970 and matters only for batches without timestamps.
    pub fn append(
        &mut self,
        batch: &[u8],
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let mut header = BatchHeader::decode(batch)?;
        header.base_offset = self.log_end_offset;
        header.partition_leader_epoch = leader_epoch;
        self.write(batch, &header, now_ms)
    }

    /// Appends one whole batch with the offsets and leader epoch it has, as a follower does. Offsets
    /// may be left out before it, not repeated.
    pub fn append_as_is(&mut self, batch: &[u8], now_ms: i64) -> Result<Appended, AppendError> {
        let header = BatchHeader::decode(batch)?;
        self.write(batch, &header, now_ms)
    }

    fn write(
        &mut self,
        batch: &[u8],
        header: &BatchHeader,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        if self.shared.is_poisoned() {
            let dir = self.shared.dir.to_path_buf();
            return Err(AppendError::Poisoned { dir });
        }
        self.check(batch, header)?;
        let rolled = self.is_over(header, now_ms)?;
        if rolled {
            let base_offset = self.next_base_offset(header);
            self.roll_at(base_offset, now_ms)?;
        }
        let prefix = prefix(header);
        let rest = batch.get(PREFIX..).unwrap_or_default();
        let position = self.active.view.size;
        self.active.make_room(batch.len(), &self.config, now_ms);
        let log = &self.active.view.files.log;
        if let Err(error) = log.write_at([&prefix, rest], u64::from(position)) {
            if !is_out_of_files(&error) {
                self.cut_off_failed_write(position);
            }
            return Err(DiskError::of("append to", self.active_path())(error).into());
        }
        self.active.note(header, self.config.index_interval_bytes);
        self.log_end_offset = header.next_offset();
        self.after_append(header);
        self.publish();
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            rolled,
        })
    }

    fn check(&self, batch: &[u8], header: &BatchHeader) -> Result<(), AppendError> {
        let needed = header.total_size();
        if needed > batch.len() {
            let available = batch.len();
            return Err(BatchError::Truncated { needed, available }.into());
        }
        if needed < batch.len() {
            let extra = batch.len() - needed;
            return Err(BatchError::TrailingBytes { extra }.into());
        }
        if needed > i32::MAX as usize {
            return Err(AppendError::TooLarge(needed));
        }
        // An offset of i64::MAX would leave no offset for what comes next.
        let is_next = header.base_offset >= self.log_end_offset;
        if !is_next || header.last_offset_delta < 0 || header.last_offset() == i64::MAX {
            return Err(AppendError::Offsets {
                last_offset: header.last_offset(),
                expected: self.log_end_offset,
            });
        }
        debug_assert!(batch.len() >= BATCH_HEADER_SIZE);
        Ok(())
    }

    fn is_over(&mut self, header: &BatchHeader, now_ms: i64) -> Result<bool, AppendError> {
        let is_over = self.active.is_over(header, &self.config, now_ms);
        is_over.map_err(|error| read_error(&self.shared, self.active.base_offset(), error).into())
    }

    /// A new segment begins at the log's end, or at the batch if that is too far away for its index.
    fn next_base_offset(&self, header: &BatchHeader) -> i64 {
        if header.last_offset() - self.log_end_offset > i64::from(i32::MAX) {
            header.base_offset
        } else {
            self.log_end_offset
        }
    }

    /// What was written of a failed append must go: recovery would find a torn batch, or a whole
    /// one whose offsets the next append uses again.
    fn cut_off_failed_write(&mut self, position: u32) {
        self.active.forget_room();
        let log = &self.active.view.files.log;
        if let Err(error) = log.set_len(u64::from(position)) {
            self.shared.poison();
            let path = self.active_path();
            tracing::error!(path = %path.display(), %error,
                "cannot cut off a failed append; the log takes no writes until it is recovered");
        }
    }

    /// Indexes and epochs follow the log; what cannot be written now waits for the next time.
    fn after_append(&mut self, header: &BatchHeader) {
        let mut result = self.active.flush_due_indexes(&self.shared.dir);
        if self
            .epochs
            .assign(header.partition_leader_epoch, header.base_offset)
        {
            result = result.and(self.epochs.write(&*self.shared.disk));
        }
        if let Err(error) = result {
            tracing::warn!(%error, source = %error.source,
                "cannot write beside the log; it will be tried again, and recovery can rebuild it");
        }
    }

    /// Ends the active segment, if it has any batch, and begins a new one.
    pub fn roll(&mut self, now_ms: i64) -> Result<bool, ChangeError> {
        self.check_writable()?;
        if self.active.view.size == 0 {
            return Ok(false);
        }
        self.roll_at(self.log_end_offset, now_ms)?;
        self.publish();
        Ok(true)
    }

    fn roll_at(&mut self, base_offset: i64, now_ms: i64) -> Result<(), DiskError> {
        let dir = Arc::clone(&self.shared.dir);
        if self.active.view.size == 0 {
            // An empty segment is replaced, not closed. Nobody reads it, so it can go at once.
            let new = ActiveSegment::create(&*self.shared.disk, &dir, base_offset, now_ms)?;
            let old = std::mem::replace(&mut self.active, new);
            self.durable.note_dir_change();
            self.sync_names()?;
            return remove_segment(&*self.shared.disk, &dir, old.base_offset());
        }
        if self.closed.is_empty() {
            // A missing segment shows as a gap after the one before it. The first has none before
            // it: without its name a crash could behead the log.
            self.sync_names()?;
        }
        self.active.finish(&dir)?;
        let new = ActiveSegment::create(&*self.shared.disk, &dir, base_offset, now_ms)?;
        let old = std::mem::replace(&mut self.active, new);
        self.durable.note_dir_change();
        let closed = self.closed.iter().cloned();
        self.closed = closed.chain([Arc::new(old.view)]).collect();
        Ok(())
    }

    /// Makes the names of all segments durable, if they are not. Needed before the first segment
    /// gets a successor and before it goes: a crash that keeps neither it nor the one that follows
    /// leaves a folder that knows no offset, and the log would begin at 0 again.
    pub(crate) fn sync_names(&mut self) -> Result<(), DiskError> {
        if !self.durable.is_dir_unsynced() {
            return Ok(());
        }
        let synced = self.shared.disk.sync_dir(&self.shared.dir);
        if let Err(error) = synced {
            if !is_out_of_files(&error) {
                self.shared.poison();
            }
            return Err(DiskError::of("sync", &*self.shared.dir)(error));
        }
        self.durable.note_dir_synced();
        Ok(())
    }

    /// Takes other settings from now on.
    pub fn set_config(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Notes that `epoch` began at `start_offset`, before the leader of that epoch serves.
    pub fn assign_epoch(&mut self, epoch: i32, start_offset: i64) -> Result<(), ChangeError> {
        self.check_writable()?;
        if self.epochs.assign(epoch, start_offset) {
            self.epochs.write(&*self.shared.disk)?;
            self.publish();
        }
        Ok(())
    }

    /// First offset that can be read.
    #[must_use]
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// Offset that the next record will get.
    #[must_use]
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset
    }

    /// Offset at which the segment that is written begins.
    #[must_use]
    pub fn active_base_offset(&self) -> i64 {
        self.active.base_offset()
    }

    /// The log's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Whether the log takes no more writes; see [`AppendError::Poisoned`].
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.shared.is_poisoned()
    }

    /// A handle for reading, to be cloned as often as needed.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }

    /// Closes the segment files of an idle log; whoever needs one opens it again.
    pub fn release_files(&self) {
        self.reader().release_files();
    }

    /// As [`Log::release_files`], for a log that was not written to for a while: gives back the room
    /// on the disk ahead of it, too.
    pub fn rest(&mut self) {
        self.active.give_back_room();
        self.release_files();
    }

    pub(crate) fn check_writable(&self) -> Result<(), ChangeError> {
        if self.shared.is_poisoned() {
            let dir = self.shared.dir.to_path_buf();
            return Err(ChangeError::Poisoned { dir });
        }
        Ok(())
    }

    /// Shows readers the log as it is now.
    pub(crate) fn publish(&self) {
        self.shared.view.store(Arc::new(self.view()));
    }

    fn view(&self) -> View {
        View {
            closed: Arc::clone(&self.closed),
            active: self.active.view.clone(),
            log_start_offset: self.log_start_offset,
            log_end_offset: self.log_end_offset,
            epochs: self.epochs.entries(),
        }
    }

    fn active_path(&self) -> std::path::PathBuf {
        path_of(&self.shared.dir, self.active.base_offset(), LOG_SUFFIX)
    }
}

/// The first bytes of a batch with the offsets and leader epoch of `header`.
fn prefix(header: &BatchHeader) -> [u8; PREFIX] {
    const { assert!(PREFIX == BATCH_OVERHEAD + 4) };
    let mut bytes = [0; PREFIX];
    let (base_offset, rest) = bytes.split_at_mut(8);
    let (length, epoch) = rest.split_at_mut(4);
    base_offset.copy_from_slice(&header.base_offset.to_be_bytes());
    length.copy_from_slice(&header.batch_length.to_be_bytes());
    epoch.copy_from_slice(&header.partition_leader_epoch.to_be_bytes());
    bytes
}
