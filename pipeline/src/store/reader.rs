//! Read-only connections for queries, used on blocking threads only.
//!
//! Invariant: a query never runs on an async worker, never waits for the writer, and never longer
//! than the time limit: it is interrupted then. Connections and waiting queries are bounded. Step 12.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::ReadError;
use super::schema;
use super::search::{self, Found, LogFilter, Page};

/// Connections, hence queries that run at once.
const CONNECTIONS_MAX: usize = 4;
/// Longest time one query may take.
const QUERY_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest time a query waits for a free connection.
const WAIT_TIME_MAX: Duration = Duration::from_secs(5);

/// A cheap handle to the read-only connections.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Reader {
    /// Opens a first connection to the store at `path`, which must exist.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(path: &Path) -> Result<Reader, ReadError> {
        let first = schema::open_reader(path)?;
        Ok(Reader {
            pool: Arc::new(Pool {
                path: path.to_path_buf(),
                idle: Mutex::new(vec![first]),
                permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            }),
        })
    }

    /// Finds one page of log lines.
    ///
    /// # Errors
    /// As [`Reader::run`].
    pub async fn find(&self, filter: LogFilter, page: Page) -> Result<Found, ReadError> {
        self.run(move |conn| search::find(conn, &filter, page))
            .await
    }

    /// Runs `query` on a blocking thread with a connection of its own.
    ///
    /// # Errors
    /// What SQLite says; [`ReadError::Busy`] when no connection becomes free,
    /// [`ReadError::TooSlow`] when the query was interrupted.
    pub async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = Arc::clone(&self.pool.permits).acquire_owned();
        let permit = tokio::time::timeout(WAIT_TIME_MAX, permit)
            .await
            .map_err(|_| ReadError::Busy)?
            .map_err(|_| ReadError::Closed)?;
        let pool = Arc::clone(&self.pool);
        let conn = pool.idle.lock().pop();
        let (handle_out, handle_in) = tokio::sync::oneshot::channel();
        let mut work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let conn = match conn {
                Some(conn) => conn,
                None => schema::open_reader(&pool.path)?,
            };
            // The caller may have given up already; then nobody interrupts, and nobody waits.
            drop(handle_out.send(conn.get_interrupt_handle()));
            let answer = query(&conn);
            pool.idle.lock().push(conn);
            answer
        });
        let Ok(answer) = tokio::time::timeout(QUERY_TIME_MAX, &mut work).await else {
            if let Ok(handle) = handle_in.await {
                handle.interrupt();
            }
            drop(work.await);
            return Err(ReadError::TooSlow(QUERY_TIME_MAX.as_secs()));
        };
        answer
            .map_err(|_| ReadError::Closed)?
            .map_err(ReadError::Sqlite)
    }
}
