//! Which session a fetch belongs to, and the broker's cache of sessions.
//! Invariant: the cache's lock is held for bookkeeping only, never while partitions are looked at.
//! Step 10 of the hallway.

use std::sync::Arc;
use std::time::Instant;

use logway_protocol::ErrorCode;
use logway_protocol::message::fetch::FetchRequest;
use parking_lot::Mutex;

use super::reading::{Reading, SharedReading};
use crate::context::Context;
use crate::fetch::{FINAL_EPOCH, INITIAL_EPOCH, Kept, SessionCache, next_epoch};
use crate::handler::Header;

/// First version with topic ids.
const BY_ID: i16 = 13;
/// Partitions of all sessions together; each takes some 150 bytes.
const PARTITIONS_MAX: usize = 250_000;

/// The fetch sessions of a broker.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    cache: Mutex<SessionCache<SharedReading>>,
    started: Instant,
}

impl FetchSessions {
    /// Room for `slots` sessions.
    pub(crate) fn new(slots: usize) -> FetchSessions {
        FetchSessions {
            cache: Mutex::new(SessionCache::new(slots, PARTITIONS_MAX)),
            started: Instant::now(),
        }
    }

    /// The sessions kept and evicted, as Prometheus text.
    pub(crate) fn metrics_text(&self) -> String {
        let cache = self.cache.lock();
        format!(
            "# HELP logway_broker_fetch_sessions Fetch sessions kept.\n\
             # TYPE logway_broker_fetch_sessions gauge\n\
             logway_broker_fetch_sessions {}\n\
             # HELP logway_broker_fetch_session_evictions Fetch sessions ended for others.\n\
             # TYPE logway_broker_fetch_session_evictions counter\n\
             logway_broker_fetch_session_evictions_total {}\n",
            cache.len(),
            cache.evictions()
        )
    }

    /// Keeps the partitions of a full fetch for the requests to come; 0 if there is no room.
    pub(super) fn keep(&self, reading: &SharedReading, kept: Kept) -> i32 {
        let now_ms = self.now_ms();
        let mut cache = self.cache.lock();
        cache
            .keep(Arc::clone(reading), kept, now_ms, crate::random::number)
            .unwrap_or(0)
    }

    /// Whether nobody else used the session since this request's epoch.
    pub(super) fn is_due(&self, id: i32, epoch: i32) -> bool {
        self.cache.lock().is_due(id, next_epoch(epoch))
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A fetch that may go on.
pub(super) enum Begun {
    /// Tells about all its partitions, and is kept if it is to become a session.
    Full {
        reading: SharedReading,
        keep: Option<Kept>,
    },
    /// Tells what is new in a session.
    Incremental {
        reading: SharedReading,
        id: i32,
        epoch: i32,
    },
}

impl Begun {
    pub(super) fn reading(&self) -> &SharedReading {
        match self {
            Begun::Full { reading, .. } | Begun::Incremental { reading, .. } => reading,
        }
    }

    pub(super) fn is_session(&self) -> bool {
        matches!(self, Begun::Incremental { .. })
    }
}

/// Finds or makes what the request reads.
pub(super) fn begin(
    context: &Context,
    header: &Header,
    request: &FetchRequest,
) -> Result<Begun, ErrorCode> {
    let by_id = header.version >= BY_ID;
    let (id, epoch) = (request.session_id, request.session_epoch);
    let sessions = &context.fetch_sessions;
    if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
        if id != 0 {
            sessions.cache.lock().remove(id);
        }
        let reading = Reading::full(context, request, by_id);
        let keep = (epoch == INITIAL_EPOCH).then(|| Kept {
            privileged: request.replica_id >= 0 || request.replica_state.replica_id >= 0,
            by_id,
            size: reading.session.len(),
        });
        let reading = Arc::new(Mutex::new(reading));
        return Ok(Begun::Full { reading, keep });
    }
    let now_ms = sessions.now_ms();
    let reading = sessions.cache.lock().take_turn(id, epoch, by_id, now_ms)?;
    let size = {
        let mut reading = reading.lock();
        reading.update(context, request, by_id);
        reading.session.len()
    };
    if size == 0 {
        // Nothing is left to read: the session ends, and the answer says so.
        sessions.cache.lock().remove(id);
        return Ok(Begun::Full {
            reading,
            keep: None,
        });
    }
    if !sessions.cache.lock().resize(id, size) {
        return Err(ErrorCode::FetchSessionIdNotFound);
    }
    Ok(Begun::Incremental { reading, id, epoch })
}
