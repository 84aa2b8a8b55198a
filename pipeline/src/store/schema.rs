//! The tables of the store and the settings every connection gets.
//!
//! Invariant: rows and the offsets they came from are changed only in one transaction.
//!
//! Durability: WAL with `synchronous=FULL`. A committed transaction survives kill -9 and power loss.
//! `NORMAL` would keep rows and offsets consistent as well, only older after a power loss, but
//! then the offset committed to Kafka for lag tools could promise more than the store holds. FULL
//! costs one fsync per transaction, and transactions grow with the load. Step 11.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;

/// Version of the tables below.
pub(crate) const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE offsets (
  grp         TEXT    NOT NULL,
  topic       TEXT    NOT NULL,
  partition   INTEGER NOT NULL,
  next_offset INTEGER NOT NULL,            -- -1: claimed, nothing stored yet
  epoch       INTEGER NOT NULL,            -- grows with each claim: the fence
  incarnation INTEGER NOT NULL DEFAULT 0,  -- grows when the topic was made anew
  topic_id    TEXT    NOT NULL DEFAULT '', -- KIP-516; empty: unknown
  updated_ms  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (grp, topic, partition)
) WITHOUT ROWID;
CREATE TABLE sources (
  id          INTEGER PRIMARY KEY,
  topic       TEXT    NOT NULL,
  partition   INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  UNIQUE (topic, partition, incarnation)
);
CREATE TABLE origins (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE);
CREATE TABLE names (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE);
CREATE TABLE logs (
  id       INTEGER PRIMARY KEY,            -- order of storing, without gaps, never used twice
  ts       INTEGER NOT NULL,               -- ms
  source   INTEGER NOT NULL,               -- sources
  offset   INTEGER NOT NULL,
  origin   INTEGER,                        -- origins
  position INTEGER,
  format   INTEGER NOT NULL,
  level    INTEGER,
  host     INTEGER,                        -- names
  path     INTEGER,                        -- names
  logger   INTEGER,                        -- names
  service  INTEGER,                        -- names
  body     BLOB    NOT NULL                -- the record's value, byte for byte
);
CREATE UNIQUE INDEX logs_by_position ON logs (origin, position) WHERE origin IS NOT NULL;
CREATE UNIQUE INDEX logs_by_offset ON logs (source, offset) WHERE origin IS NULL;
CREATE INDEX logs_by_time ON logs (ts);
CREATE TABLE blocks (                      -- see blocks.rs
  id     INTEGER PRIMARY KEY,
  min_ts INTEGER NOT NULL,
  max_ts INTEGER NOT NULL,
  bits   BLOB    NOT NULL
);
CREATE TABLE series (
  id    INTEGER PRIMARY KEY,
  name  TEXT NOT NULL,
  tags  TEXT NOT NULL,                     -- JSON object, keys sorted
  field TEXT NOT NULL,
  kind  TEXT NOT NULL,                     -- float, integer, unsigned, boolean, text: as seen last
  UNIQUE (name, tags, field)
);
CREATE TABLE points (
  series INTEGER NOT NULL,
  ts     INTEGER NOT NULL,                 -- ns
  value  NOT NULL,
  PRIMARY KEY (series, ts)
) WITHOUT ROWID;
CREATE TABLE unparsed (
  id     INTEGER PRIMARY KEY,
  source INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  item   INTEGER NOT NULL,
  ts     INTEGER NOT NULL,
  reason TEXT    NOT NULL,
  body   BLOB    NOT NULL,
  UNIQUE (source, offset, item)
);
CREATE INDEX unparsed_by_time ON unparsed (ts);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
";

/// Opens the one writing connection and makes the tables if need be.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |source| OpenError::Sqlite {
        path: path.to_path_buf(),
        source,
    };
    let mut conn = Connection::open(path).map_err(sqlite)?;
    configure_writer(&conn).map_err(sqlite)?;
    let found = version(&conn).map_err(sqlite)?;
    if found == 0 {
        create(&mut conn).map_err(sqlite)?;
    } else if found != VERSION {
        let path = path.to_path_buf();
        return Err(OpenError::Version {
            path,
            found,
            expected: VERSION,
        });
    }
    Ok(conn)
}

/// Opens a connection that cannot write.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.set_prepared_statement_cache_capacity(32);
    conn.execute_batch(
        "PRAGMA query_only = ON; PRAGMA busy_timeout = 2000; PRAGMA cache_size = -4096;
         PRAGMA temp_store = MEMORY;",
    )?;
    Ok(conn)
}

fn configure_writer(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(32);
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
         PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 2000;
         PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;",
    )
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn create(conn: &mut Connection) -> rusqlite::Result<()> {
    let tx = conn.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()
}
