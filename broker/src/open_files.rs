//! How many files and sockets this process may open. Invariant: sockets leave room for the files of
//! the logs, so that a crowd of clients cannot stop appends. At start.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

/// Open files that the logs keep at most; see `logway_journal::OPEN_FILES_MAX`.
const FILES_MAX: u64 = logway_journal::OPEN_FILES_MAX as u64;
/// Part of the limit kept for everything that is neither log file nor client.
const RESERVE_SHARE: u64 = 8;
/// But no more than this.
const RESERVE_MAX: u64 = 64;

/// Raises the soft limit of open files to the hard one, as Java does.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(source) = setrlimit(Resource::Nofile, raised) {
        debug!("raise the limit of open files: {source}");
    }
}

/// How many files this process may open, if that is limited.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Client connections for which there is room below a limit of open files.
pub(crate) fn connections_max(limit: Option<u64>) -> usize {
    let Some(limit) = limit else {
        return usize::MAX;
    };
    let files = (limit / 2).min(FILES_MAX);
    let reserve = (limit / RESERVE_SHARE).min(RESERVE_MAX);
    let room = limit.saturating_sub(files + reserve).max(1);
    usize::try_from(room).unwrap_or(usize::MAX)
}
