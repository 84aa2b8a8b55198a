//! Which open files have more to read: looks at size and time of change, less often while nothing comes. Step
//! 2 of the hallway.
//!
//! **Invariant:** an idle file costs one `fstat` per look and no read; one idle for long costs no descriptor.

use tracing::debug;

use super::engine::{Clock, Engine};
use super::tailed::{Look, Phase};
use crate::checkpoint::FileId;

/// Above this number of files, looks are as rare as scans.
const FILES_MANY: usize = 1024;

impl Engine {
    /// Looks at the open files whose turn it is.
    pub(super) fn poll(&mut self, clock: Clock) {
        if self.once {
            return;
        }
        let many = self.files.len() > FILES_MANY;
        let last = if many {
            self.timing.scan_every
        } else {
            self.timing.poll_last
        };
        let mut grown = Vec::new();
        for tailed in self.files.values_mut() {
            if tailed.queued || tailed.next_poll > clock.now || !tailed.is_readable() {
                continue;
            }
            let Some(Ok(metadata)) = tailed.file.as_ref().map(std::fs::File::metadata) else {
                continue;
            };
            let look = Look::of(&metadata);
            tailed.size = look.size;
            if tailed.read_at == Some(look) {
                tailed.poll_every = (tailed.poll_every * 2).clamp(self.timing.poll_first, last);
                tailed.next_poll = clock.now + tailed.poll_every;
                let unfinished = tailed.cursor.line_start < look.size && !tailed.ending;
                if unfinished && look.age(clock.wall_ms) >= self.timing.close_inactive {
                    // Nobody has written for long: what has no line feed will hardly get one.
                    (tailed.ending, tailed.superseded) = (true, true);
                    grown.push(tailed.id);
                    continue;
                }
                let idle = clock.now.duration_since(tailed.grown_at) >= self.timing.close_inactive;
                if idle && tailed.phase == Phase::Live && tailed.acks.is_settled() {
                    debug!(path = %tailed.path.display(), "closing an idle file");
                    tailed.file = None;
                    tailed.phase = Phase::Unproven;
                }
            } else {
                grown.push(tailed.id);
            }
        }
        for id in grown {
            self.enqueue(id, clock);
        }
    }

    /// Puts a file into the queue of those that may have more to read.
    pub(super) fn enqueue(&mut self, id: FileId, clock: Clock) {
        if let Some(tailed) = self.files.get_mut(&id)
            && tailed.is_readable()
            && !std::mem::replace(&mut tailed.queued, true)
        {
            tailed.grown_at = clock.now;
            self.ready.push_back(id);
        }
    }
}
