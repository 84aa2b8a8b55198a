//! Fetch 4-18: whole batches, verbatim, from every partition asked for, with a wait for enough bytes.
//! Invariant: nothing is decoded; a fetch inside a batch returns the whole batch; a waiting fetch
//! sleeps until one of its partitions has news, and then looks at those alone. Step 10 of the hallway.
//!
//! Versions: 7 sessions (KIP-227), 12 diverging epochs, 13 topic ids, 15 replica state, 16 node
//! endpoints, 18 the follower's high watermark. Deviation: followers are answered like consumers.

use std::sync::Arc;
use std::time::Duration;

use logway_protocol::ErrorCode;
use logway_protocol::message::fetch::{FetchRequest, FetchResponse};
use tokio::time::{Instant, timeout_at};

use self::answer::Answer;
use self::look::{Limits, Round};
use self::reading::{Reading, SharedReading};
use self::sessions::Begun;
use super::{Header, Reply, frame};
use crate::context::Context;

mod answer;
mod look;
mod reading;
mod records;
mod sessions;

pub(crate) use sessions::FetchSessions;

/// Longest wait that is granted, whatever a client asks for.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Isolation level of `read_committed`.
const READ_COMMITTED: i8 = 1;

/// Waits as asked, looks, answers.
pub(super) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: FetchRequest,
) -> Reply {
    let begun = match sessions::begin(context, header, &request) {
        Ok(begun) => begun,
        Err(code) => return failure(header, code, 0),
    };
    let bytes = request.max_bytes.min(context.settings.fetch_max_bytes);
    let bytes = usize::try_from(bytes).unwrap_or(0);
    let bytes_max = context.quotas.fetch_bytes_max(header.client());
    let limits = Limits {
        bytes: bytes.min(bytes_max.unwrap_or(usize::MAX)),
        committed: request.isolation_level == READ_COMMITTED,
        may_wait: false,
    };
    let reading = begun.reading();
    let round = wait(context, &request, reading, limits, begun.is_session()).await;
    let silence = context.quotas.fetched(header.client(), round.bytes);
    if !silence.is_zero() {
        return withhold(context, header, &begun, &round, silence);
    }
    context.metrics.fetched_bytes.inc_by(round.bytes as u64);
    let mut answer = Answer::new(context, limits);
    match &begun {
        Begun::Full { keep, .. } => {
            answer.full(&mut reading.lock(), round);
            if let Some(kept) = keep {
                answer.response.session_id = context.fetch_sessions.keep(reading, *kept);
            }
        }
        Begun::Incremental { id, epoch, .. } => {
            if !context.fetch_sessions.is_due(*id, *epoch) {
                return failure(header, ErrorCode::InvalidFetchSessionEpoch, *id);
            }
            answer.incremental(&mut reading.lock(), round);
            answer.response.session_id = *id;
        }
    }
    answer.response.throttle_time_ms = header.silence(context, Duration::ZERO);
    records::reply(context, header, &answer.response, answer.ranges).await
}

/// Answers without records: what was found is too much for now, and is found again by the next fetch.
fn withhold(
    context: &Arc<Context>,
    header: &Header,
    begun: &Begun,
    round: &Round,
    silence: Duration,
) -> Reply {
    let mut session_id = 0;
    if let Begun::Incremental { id, epoch, .. } = begun {
        if !context.fetch_sessions.is_due(*id, *epoch) {
            return failure(header, ErrorCode::InvalidFetchSessionEpoch, *id);
        }
        session_id = *id;
        let mut reading = begun.reading().lock();
        let found = round.found.iter().map(|found| found.place);
        let places: Vec<u32> = round.news.iter().copied().chain(found).collect();
        reading.session.relist(places.into_iter());
    }
    let response = FetchResponse {
        session_id,
        throttle_time_ms: header.silence(context, silence),
        ..FetchResponse::default()
    };
    frame(header, &response)
}

fn failure(header: &Header, code: ErrorCode, session_id: i32) -> Reply {
    let response = FetchResponse {
        error_code: code.code(),
        session_id,
        ..FetchResponse::default()
    };
    frame(header, &response)
}

/// Looks until there is enough, something is urgent, or the time is up.
async fn wait(
    context: &Arc<Context>,
    request: &FetchRequest,
    reading: &SharedReading,
    limits: Limits,
    is_session: bool,
) -> Round {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait.min(WAIT_MAX);
    let needed = usize::try_from(request.min_bytes).unwrap_or(0);
    let needed = needed.min(limits.bytes);
    let (waiter, partitions) = {
        let reading = reading.lock();
        (Arc::clone(&reading.waiter), reading.session.len())
    };
    let is_enough = |round: &Round| {
        let nothing_to_wait_for = wait.is_zero() || round.absent == partitions;
        round.bytes >= needed || round.urgent || round.full || nothing_to_wait_for
    };
    // A fetch that is answered at once need not register anywhere, unless it will come again.
    let first = Round::new(is_session);
    let mut round = look(context, reading, limits, (first, is_session)).await;
    let mut in_time = true;
    while in_time && !is_enough(&round) {
        // From here on appends are counted; what came before is seen by this look.
        waiter.rearm(i64::try_from(needed).unwrap_or(i64::MAX));
        round = look(context, reading, limits, (round, true)).await;
        if is_enough(&round) {
            break;
        }
        waiter.credit(round.bytes);
        tokio::select! {
            biased;
            () = context.stopping.cancelled() => return round,
            waited = timeout_at(deadline, waiter.wait()) => in_time = waited.is_ok(),
        }
        if !in_time {
            round = look(context, reading, limits, (round, true)).await;
        }
    }
    round
}

/// Looks at what was found before and at what changed since; on another thread if that must wait
/// for a disk. `register` has all partitions tell of their changes.
async fn look(
    context: &Arc<Context>,
    reading: &SharedReading,
    limits: Limits,
    (before, register): (Round, bool),
) -> Round {
    let round = look_once(context, &mut reading.lock(), limits, (before, register));
    if !round.cold {
        return round;
    }
    let waiting = {
        let (context, reading) = (Arc::clone(context), Arc::clone(reading));
        let limits = Limits {
            may_wait: true,
            ..limits
        };
        tokio::task::spawn_blocking(move || {
            look_once(&context, &mut reading.lock(), limits, (round, register))
        })
    };
    // A look that panicked found nothing, and the client asks again.
    waiting.await.unwrap_or_default()
}

fn look_once(
    context: &Context,
    reading: &mut Reading,
    limits: Limits,
    (before, register): (Round, bool),
) -> Round {
    let found = before.found.iter().map(|found| found.place);
    reading.session.relist(before.news.into_iter());
    reading.session.relist(found);
    let mut round = Round::new(before.is_session);
    round.look(context, reading, limits, register);
    round
}
