//! The pipeline's store, read past its API: what is really in the file.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// One stored log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLine {
    /// Order of storing.
    pub id: i64,
    /// Topic it came through.
    pub topic: String,
    /// Durable id of the file or of the application's run.
    pub origin: Option<String>,
    /// Byte offset in the file, or sequence number.
    pub position: Option<i64>,
    /// Path of the file.
    pub path: Option<String>,
    /// The record's value.
    pub body: Vec<u8>,
}

/// Every stored line in the order of storing.
///
/// # Errors
/// The file is not there yet, or is busy.
pub fn lines(store: &Path) -> Result<Vec<StoredLine>, rusqlite::Error> {
    let conn = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    let mut query = conn.prepare(
        "SELECT l.id, s.topic, o.value, l.position, n.value, l.body FROM logs l
         JOIN sources s ON s.id = l.source
         LEFT JOIN origins o ON o.id = l.origin
         LEFT JOIN names n ON n.id = l.path
         ORDER BY l.id",
    )?;
    let rows = query.query_map([], |row| {
        Ok(StoredLine {
            id: row.get(0)?,
            topic: row.get(1)?,
            origin: row.get(2)?,
            position: row.get(3)?,
            path: row.get(4)?,
            body: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// How many lines are stored.
///
/// # Errors
/// The file is not there yet, or is busy.
pub fn count(store: &Path) -> Result<usize, rusqlite::Error> {
    let conn = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    let count: i64 = conn.query_row("SELECT count(*) FROM logs", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Lines by origin, each in the order of storing; lines without an origin are left out.
pub fn by_origin(lines: &[StoredLine]) -> HashMap<&str, Vec<&StoredLine>> {
    let mut origins: HashMap<&str, Vec<&StoredLine>> = HashMap::new();
    for line in lines {
        if let Some(origin) = &line.origin {
            origins.entry(origin).or_default().push(line);
        }
    }
    origins
}

/// Checks that no position of an origin is there twice and that each origin's lines were stored in
/// the order of their positions.
///
/// # Panics
/// With the first line that is out of place.
pub fn assert_in_order(lines: &[StoredLine]) {
    for (origin, lines) in by_origin(lines) {
        for pair in lines.windows(2) {
            assert!(
                pair[0].position < pair[1].position,
                "origin {origin}: position {:?} (row {}) was stored before {:?} (row {})",
                pair[0].position,
                pair[0].id,
                pair[1].position,
                pair[1].id,
            );
        }
    }
}
