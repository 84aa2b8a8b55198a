//! How a known file ends: not seen any more, quiet, read to its last byte, acknowledged, forgotten. Step 2 of
//! the hallway.
//!
//! **Invariant:** a file is let go only when it is read to its end and everything of it is acknowledged.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use tracing::{debug, info};

use super::engine::{Clock, Engine};
use super::tailed::{Phase, Tailed};
use crate::checkpoint::FileId;

impl Engine {
    /// Books the known files that a complete scan did not see.
    pub(super) fn miss(&mut self, clock: Clock) {
        let forget_ms = u64::try_from(self.timing.forget_after.as_millis()).unwrap_or(u64::MAX);
        let missing = self.files.values().filter(|file| file.scan < self.scans);
        let missing: Vec<FileId> = missing.map(|file| file.id).collect();
        for id in missing {
            let Some(tailed) = self.files.get_mut(&id) else {
                continue;
            };
            match tailed.phase {
                Phase::Live | Phase::Leaving { .. } if tailed.suspect => self.lose(id, clock),
                Phase::Live => {
                    debug!(path = %tailed.path.display(), "file has no name any more; reading it to its end");
                    tailed.phase = Phase::Leaving { since: clock.now };
                    self.enqueue(id, clock);
                }
                Phase::Unproven => {
                    let seen_ms = self.store.get(id).map_or(0, |known| known.seen_ms);
                    if clock.wall_ms.saturating_sub(seen_ms) > forget_ms {
                        self.drop_file(id);
                    }
                }
                Phase::Leaving { .. } | Phase::Finished | Phase::Lost { .. } => {}
            }
        }
    }

    /// Moves files along that are on their way out.
    pub(super) fn retire(&mut self, clock: Clock) {
        let (quiet, hold) = (self.timing.leaving_quiet, self.timing.copy_hold);
        let leaving = self
            .files
            .values()
            .filter(|file| file.superseded || file.phase != Phase::Live);
        let ids: Vec<FileId> = leaving.map(|file| file.id).collect();
        for id in ids {
            let Some(tailed) = self.files.get_mut(&id) else {
                continue;
            };
            match tailed.phase {
                Phase::Leaving { since } if is_quiet(tailed, clock, since, quiet) => {
                    if tailed.ending {
                        tailed.phase = Phase::Finished;
                    } else {
                        tailed.ending = true;
                        tailed.read_at = None;
                        self.enqueue(id, clock);
                    }
                }
                // Rotated, and still named: an unfinished last line will not be finished any more.
                Phase::Live if is_quiet(tailed, clock, tailed.grown_at, quiet) => {
                    tailed.superseded = false;
                    let unfinished = tailed.cursor.line_start < tailed.size;
                    if unfinished && !tailed.ending {
                        (tailed.ending, tailed.superseded) = (true, true);
                        tailed.read_at = None;
                        self.enqueue(id, clock);
                    } else {
                        tailed.ending = false;
                    }
                }
                Phase::Finished if tailed.acks.is_settled() => self.finish(id),
                Phase::Lost { since }
                    if tailed.acks.is_settled() && clock.now.duration_since(since) >= hold =>
                {
                    self.drop_file(id);
                }
                _ => {}
            }
        }
    }

    /// Lets go of a file that is read and acknowledged to its end.
    fn finish(&mut self, id: FileId) {
        let Some(tailed) = self.files.get_mut(&id) else {
            return;
        };
        let links = tailed.file.as_ref().and_then(|file| file.metadata().ok());
        let is_deleted = links.is_none_or(|metadata| metadata.nlink() == 0);
        info!(path = %tailed.path.display(), origin = %id, position = tailed.cursor.line_start,
            deleted = is_deleted, "file is read to its end and let go");
        tailed.file = None;
        tailed.ending = false;
        if is_deleted {
            self.drop_file(id);
        } else {
            // Moved where no pattern looks: remembered for a while, it may come back.
            tailed.phase = Phase::Unproven;
        }
    }

    fn drop_file(&mut self, id: FileId) {
        self.disown_inode(id);
        if let Some(tailed) = self.files.remove(&id) {
            self.lineage.forget(tailed.home, id);
        }
        self.store.forget(id);
    }
}

/// Whether a file is read to its end and has not grown for `quiet`; at once after its last line was sent.
fn is_quiet(tailed: &Tailed, clock: Clock, since: std::time::Instant, quiet: Duration) -> bool {
    let idle = clock
        .now
        .saturating_duration_since(since.max(tailed.grown_at));
    !tailed.queued && tailed.read_at.is_some() && (tailed.ending || idle >= quiet)
}
