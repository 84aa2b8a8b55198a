//! A sync that waits for file descriptors. Invariant: a sync that was really tried and failed is never
//! tried again (its data may be lost, and the second try would say otherwise). Step 8. Blocks.

use std::time::Duration;

use logway_journal::{SyncError, SyncTarget, Synced};
use tracing::warn;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Tries before it is given up: a minute.
const TRIES: u32 = 600;

/// Syncs; while no file can be opened, tries again for a minute.
pub(crate) fn sync_patiently(target: &SyncTarget) -> Result<Synced, SyncError> {
    for tried in 0..TRIES {
        match target.sync() {
            Err(source) if source.is_out_of_files() => {
                if tried == 0 {
                    warn!("no file can be opened for a sync, which waits for a free descriptor");
                }
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
    target.sync()
}
