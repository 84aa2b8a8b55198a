//! The embedded store: SQLite, one writer, many readers. Step 11 of the hallway, its second half.
//!
//! Invariant: a row and the offset it came from become visible together (design D10). The writing
//! connection belongs to one thread; readers have their own read-only connections and never wait
//! for it. One process at a time: a lock file guards the store.

mod blocks;
mod counts;
mod dictionary;
mod error;
mod offsets;
mod reader;
mod retention;
mod schema;
mod search;
mod series;
mod skip;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use counts::Counts;
pub use error::{OpenError, ReadError, WriteError};
pub use offsets::{Advance, Claim, Placement, StoredOffset};
pub use reader::Reader;
pub use retention::Sweep;
pub use search::{Found, LogFilter, LogRow, Order, Page, Position};
pub use series::{Aggregate, Bucketed, Measurement, MetricFilter, SeriesInfo, UnparsedRow};
pub use write::Applied;
pub use writer::{Batch, Writer, WriterState};

pub(crate) use offsets::all as stored_offsets;
pub(crate) use search::find;
pub(crate) use series::{measurements, query, series, unparsed};
pub(crate) use writer::now_ms;

/// The writing side of a store.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    path: PathBuf,
    dictionary: dictionary::Dictionary,
    counts: Counts,
    block: blocks::Block,
    now_ms: i64,
    /// Held until the store is dropped.
    _lock: File,
}

impl Store {
    /// Opens or makes the store at `path`, together with its folder.
    ///
    /// # Errors
    /// When another process has it, when it is of another version, or when the disk refuses.
    pub fn open(path: &Path) -> Result<Store, OpenError> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder {
                path: folder.to_path_buf(),
                source,
            })?;
        }
        let lock = lock(path)?;
        let conn = schema::open_writer(path)?;
        let sqlite = |source| OpenError::Sqlite {
            path: path.to_path_buf(),
            source,
        };
        let counts = Counts::read(&conn).map_err(sqlite)?;
        let block = blocks::Block::read(&conn, counts.next_id).map_err(sqlite)?;
        Ok(Store {
            conn,
            path: path.to_path_buf(),
            dictionary: dictionary::Dictionary::default(),
            counts,
            block,
            now_ms: 0,
            _lock: lock,
        })
    }

    /// The store's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the store the time, milliseconds since 1970; written beside moved offsets.
    pub fn set_now(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    /// What the store holds.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Lets the file grow to `pages` pages only: a full disk, for tests.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) {
        self.conn
            .pragma_update(None, "max_page_count", pages)
            .expect("a pragma of SQLite");
    }

    /// The first offset of a partition that is not stored yet.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next_offset(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<i64>, ReadError> {
        Ok(offsets::one(&self.conn, group, topic, partition)?)
    }
}

/// Takes the lock file beside the store; it names the process that holds it.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let folder = |source| OpenError::Folder {
        path: lock_path.clone(),
        source,
    };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(folder)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)
                .and_then(|()| write!(file, "{}", std::process::id()))
                .map_err(folder)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let holder = match file.take(20).read_to_string(&mut holder) {
                Ok(1..) => format!(" (process {})", holder.trim()),
                _ => String::new(),
            };
            Err(OpenError::Locked {
                path: path.to_path_buf(),
                holder,
            })
        }
        Err(TryLockError::Error(source)) => Err(folder(source)),
    }
}
