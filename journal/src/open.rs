//! Opening a log: what the folder holds, what of it is sound, what has to go.
//!
//! Invariant: after opening, the files hold whole batches with rising offsets and nothing else; what
//! was cut off or removed cannot come back after another crash.
//! Hallway: step 8, at start.
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::active::ActiveSegment;
use crate::checkpoint::TMP_SUFFIX;
use crate::compact::{CLEANED_SUFFIX, complete_swaps};
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::epoch::{EPOCH_FILE, Epochs};
use crate::error::{DiskError, OpenError};
use crate::log::Log;
use crate::recovery::{FoundSegment, Recoverer};
use crate::segment::{
    DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SegmentView, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
    parse_file_name, path_of,
};
use crate::snapshot::{SNAPSHOT_SUFFIX, Snapshots};
use crate::sync::Durable;
use crate::view::{Shared, View};

/// What is known from outside about the state in which the log was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// The data folder had its clean-shutdown mark: nothing is scanned.
    pub clean: bool,
    /// From `recovery-point-offset-checkpoint`: what is below was made durable and is not scanned.
    pub recovery_point: i64,
    /// From `log-start-offset-checkpoint`: what is below was deleted.
    pub log_start_offset: i64,
}

impl Log {
    /// Opens the log in `dir`, which is created if it is missing (its parent is not), and recovers
    /// it as far as `recovery` says.
    ///
    /// If [`Log::recovery_point`] then is lower than `recovery` said, the caller writes it to the
    /// checkpoint before anything is appended: new records must not pass for durable ones.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        recovery: Recovery,
        now_ms: i64,
    ) -> Result<Log, OpenError> {
        let exists = disk.exists(dir).map_err(DiskError::of("look at", dir))?;
        if !exists {
            disk.create_dir(dir).map_err(DiskError::of("create", dir))?;
        }
        let (found, snapshots) = if exists {
            list(&*disk, dir)?
        } else {
            Default::default()
        };
        let (epochs, has_epochs) = Epochs::load(&*disk, dir)?;
        let mut recoverer = Recoverer {
            disk: &*disk,
            dir,
            config: &config,
            recovery,
            now_ms,
            epochs,
            rebuild_epochs: !has_epochs,
            aborted_known_below: i64::MAX,
        };
        let segments = recoverer.recover(&found)?;
        let (epochs, aborted_known_below) = (recoverer.epochs, recoverer.aborted_known_below);
        Log::assemble(
            disk,
            dir,
            config,
            Assembly {
                recovery,
                segments,
                snapshots,
                epochs,
                aborted_known_below,
                now_ms,
            },
        )
    }

    fn assemble(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        assembly: Assembly,
    ) -> Result<Log, OpenError> {
        let Assembly {
            recovery,
            segments,
            snapshots,
            mut epochs,
            aborted_known_below,
            now_ms,
        } = assembly;
        let log_start = recovery.log_start_offset.max(0);
        let (closed, active, log_end_offset, repaired) = match segments {
            Some(found) if found.log_end_offset >= log_start => {
                let (end, repaired) = (found.log_end_offset, found.repaired);
                (found.closed, found.active, end, repaired)
            }
            Some(found) => {
                tracing::warn!(dir = %dir.display(), log_start,
                    log_end = found.log_end_offset, "the log ends before its start: it is emptied");
                let all = found.closed.iter().map(SegmentView::base_offset);
                let all = all.chain([found.active.base_offset()]);
                remove_segments(&*disk, dir, &all.collect::<Vec<_>>())?;
                let active = ActiveSegment::create(&*disk, dir, log_start, now_ms)?;
                (Vec::new(), active, log_start, true)
            }
            None => {
                let active = ActiveSegment::create(&*disk, dir, log_start, now_ms)?;
                (Vec::new(), active, log_start, true)
            }
        };
        let first = closed
            .first()
            .map_or(active.base_offset(), SegmentView::base_offset);
        let log_start_offset = log_start.max(first);
        if recovery.clean && !repaired {
            epochs.found_clean();
        }
        epochs.truncate_start(log_start_offset);
        epochs.truncate_end(log_end_offset);
        epochs.write(&*disk)?;
        let promised = match recovery.clean {
            true => log_end_offset,
            false => recovery.recovery_point,
        };
        let durable = match repaired {
            true => promised.min(active.base_offset()),
            false => promised,
        };
        let is_dir_durable = recovery.clean && !repaired;
        let closed: Arc<[Arc<SegmentView>]> = closed.into_iter().map(Arc::new).collect();
        let view = View {
            closed: Arc::clone(&closed),
            active: active.view.clone(),
            log_start_offset,
            log_end_offset,
            epochs: epochs.entries(),
        };
        let mut log = Log {
            shared: Arc::new(Shared::new(disk, Arc::from(dir), view)),
            config,
            closed,
            active,
            log_start_offset,
            log_end_offset,
            epochs,
            durable: Durable::new(durable.clamp(0, log_end_offset), is_dir_durable),
            snapshots,
            aborted_known_below,
            swapping: std::sync::Weak::new(),
        };
        // Those past the end would be wrong of what will be appended.
        log.remove_snapshots_above(log_end_offset)?;
        Ok(log)
    }
}

/// What a log is put together from.
struct Assembly {
    recovery: Recovery,
    segments: Option<crate::recovery::Recovered>,
    snapshots: Snapshots,
    epochs: Epochs,
    aborted_known_below: i64,
    now_ms: i64,
}

/// The segments in a folder, in offset order, and the snapshots beside them. Leftovers of
/// unfinished work are removed.
fn list(disk: &dyn Disk, dir: &Path) -> Result<(Vec<FoundSegment>, Snapshots), OpenError> {
    let mut segments: BTreeMap<i64, FoundSegment> = BTreeMap::new();
    let mut indexes = Vec::new();
    let mut snapshots = Vec::new();
    let listed = disk.list(dir).map_err(DiskError::of("list", dir))?;
    for entry in complete_swaps(disk, dir, listed)? {
        let path = dir.join(&entry.name);
        let is_leftover = [DELETED_SUFFIX, TMP_SUFFIX, CLEANED_SUFFIX];
        if entry.is_dir || entry.name == EPOCH_FILE {
            continue;
        }
        if is_leftover
            .iter()
            .any(|suffix| entry.name.ends_with(suffix))
        {
            disk.remove_file(&path)
                .map_err(DiskError::of("remove", &path))?;
            continue;
        }
        match parse_file_name(&entry.name) {
            Some((base_offset, LOG_SUFFIX)) => {
                let Some(len) = u32::try_from(entry.len)
                    .ok()
                    .filter(|len| *len <= i32::MAX as u32)
                else {
                    return Err(OpenError::SegmentTooLarge {
                        path,
                        len: entry.len,
                    });
                };
                segments.insert(base_offset, FoundSegment::new(base_offset, len));
            }
            Some((base_offset, suffix @ (INDEX_SUFFIX | TIME_INDEX_SUFFIX | TXN_INDEX_SUFFIX))) => {
                indexes.push((base_offset, suffix.to_owned(), entry.len));
            }
            Some((offset, SNAPSHOT_SUFFIX)) => snapshots.push(offset),
            // Of nobody we know.
            _ => {}
        }
    }
    for (base_offset, suffix, len) in indexes {
        match segments.get_mut(&base_offset) {
            Some(segment) if suffix == INDEX_SUFFIX => segment.offset_index_len = Some(len),
            Some(segment) if suffix == TXN_INDEX_SUFFIX => segment.txn_index_len = Some(len),
            Some(segment) => segment.time_index_len = Some(len),
            None => {
                let path = path_of(dir, base_offset, &suffix);
                disk.remove_file(&path)
                    .map_err(DiskError::of("remove", &path))?;
            }
        }
    }
    let segments = segments.into_values().collect();
    Ok((segments, Snapshots::found(snapshots)))
}

/// Removes segments with all their files: the names go first, the bytes after, the newest segment
/// first, so that a crash in between leaves no gap.
pub(crate) fn remove_segments(
    disk: &dyn Disk,
    dir: &Path,
    base_offsets: &[i64],
) -> Result<(), DiskError> {
    for base_offset in base_offsets.iter().rev() {
        remove_segment(disk, dir, *base_offset)?;
    }
    Ok(())
}

/// Removes one segment for good: it cannot come back after a crash.
pub(crate) fn remove_segment(
    disk: &dyn Disk,
    dir: &Path,
    base_offset: i64,
) -> Result<(), DiskError> {
    let mut renamed = Vec::new();
    for suffix in [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX] {
        let path = path_of(dir, base_offset, suffix);
        let deleted = crate::checkpoint::with_suffix(&path, DELETED_SUFFIX);
        match disk.rename(&path, &deleted) {
            Ok(()) => renamed.push(deleted),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DiskError::of("rename", path)(error)),
        }
    }
    disk.sync_dir(dir).map_err(DiskError::of("sync", dir))?;
    // Nobody would miss the transaction index of a segment that a crash brings back, so it goes after
    // the segment has gone for good.
    let beside =
        [TXN_INDEX_SUFFIX, SNAPSHOT_SUFFIX].map(|suffix| path_of(dir, base_offset, suffix));
    for path in renamed.into_iter().chain(beside) {
        // The next start removes what stays.
        if let Err(error) = disk.remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove a deleted segment file");
        }
    }
    Ok(())
}
