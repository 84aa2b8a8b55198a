//! Fetch 4-17: whole batches, verbatim, from every partition asked for, with a wait for enough bytes.
//! Invariant: nothing is decoded; a fetch inside a batch returns the whole batch; records are never
//! null (librdkafka breaks on that); a waiting fetch sleeps until one of its partitions has news.
//! Step 10 of the hallway.
//!
//! Versions: 7 sessions (KIP-227), 12 diverging epochs, 13 topic ids, 15 replica state. Deviations:
//! no fetch session is ever made (the answer says session 0, so clients send full fetches); there
//! are no aborted transactions; followers are answered like consumers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use logway_journal::{FetchSlice, ReadError};
use logway_protocol::ErrorCode;
use logway_protocol::message::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, PartitionData,
};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use self::records::reply;
use super::error::{Code, of_availability, of_leader_epoch};
use super::{Header, Reply, frame};
use crate::context::Context;
use crate::net::FileRange;
use crate::partition::{Availability, FetchWaiter, Partition};

mod records;

/// Longest wait that is granted, whatever a client asks for.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Isolation level of `read_committed`.
const READ_COMMITTED: i8 = 1;

/// One partition asked for: where it stands in the request, and what serves it.
struct Target<'a> {
    topic: usize,
    asked: &'a FetchPartition,
    served: Result<Arc<Partition>, ErrorCode>,
}

/// What one look at all partitions found.
struct Found {
    slices: Vec<Result<FetchSlice, ErrorCode>>,
    bytes: usize,
    failed: bool,
}

/// Waits as asked, reads, answers.
pub(super) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: FetchRequest,
) -> Reply {
    if request.session_id != 0 {
        let error_code = ErrorCode::FetchSessionIdNotFound.code();
        return frame(
            header,
            &FetchResponse {
                error_code,
                ..FetchResponse::default()
            },
        );
    }
    let targets = targets(context, header, &request.topics);
    let limit = usize::try_from(request.max_bytes.min(context.settings.fetch_max_bytes));
    let limit = limit.unwrap_or(0);
    let found = wait_for_bytes(context, &request, &targets, limit).await;
    context.metrics.fetched_bytes.inc_by(found.bytes as u64);
    let mut ranges = Vec::new();
    let response = respond(&request, &targets, found, &mut ranges);
    reply(context, header, &response, ranges).await
}

fn targets<'a>(context: &Context, header: &Header, topics: &'a [FetchTopic]) -> Vec<Target<'a>> {
    let image = context.metadata.image();
    let mut targets = Vec::with_capacity(topics.iter().map(|topic| topic.partitions.len()).sum());
    for (index, topic) in topics.iter().enumerate() {
        let (partitions, unknown) = if header.version >= 13 {
            match image.topic_by_id(&topic.topic_id) {
                Some(known) => (
                    context.partitions.of_topic(&known.name),
                    ErrorCode::UnknownTopicOrPartition,
                ),
                None => (Arc::default(), ErrorCode::UnknownTopicId),
            }
        } else {
            (
                context.partitions.of_topic(&topic.topic),
                ErrorCode::UnknownTopicOrPartition,
            )
        };
        for asked in &topic.partitions {
            let found = usize::try_from(asked.partition)
                .ok()
                .and_then(|at| partitions.get(at));
            let served = found
                .cloned()
                .flatten()
                .ok_or(unknown)
                .and_then(|partition| {
                    let code =
                        of_leader_epoch(asked.current_leader_epoch, partition.leader_epoch());
                    if code == ErrorCode::None {
                        Ok(partition)
                    } else {
                        Err(code)
                    }
                });
            targets.push(Target {
                topic: index,
                asked,
                served,
            });
        }
    }
    targets
}

/// Looks until there is enough, something is wrong, or the time is up.
async fn wait_for_bytes(
    context: &Context,
    request: &FetchRequest,
    targets: &[Target<'_>],
    limit: usize,
) -> Found {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait.min(WAIT_MAX);
    let needed = usize::try_from(request.min_bytes).unwrap_or(0).min(limit);
    let is_enough = |found: &Found| {
        found.bytes >= needed || found.failed || targets.is_empty() || wait.is_zero()
    };
    let found = look(targets, limit);
    if is_enough(&found) {
        return found;
    }
    let registered = Registered::new(targets);
    loop {
        // From here on appends are counted; what came before is seen by this look.
        registered
            .waiter
            .rearm(i64::try_from(needed).unwrap_or(i64::MAX));
        let found = look(targets, limit);
        if is_enough(&found) {
            return found;
        }
        let missing = needed.saturating_sub(found.bytes);
        registered.waiter.credit(needed - missing);
        tokio::select! {
            biased;
            () = context.stopping.cancelled() => return found,
            waited = timeout_at(deadline, registered.waiter.wait()) => {
                if waited.is_err() {
                    return look(targets, limit);
                }
            }
        }
    }
}

/// A waiter that is registered at all partitions and leaves them when dropped.
struct Registered<'a> {
    targets: &'a [Target<'a>],
    waiter: Arc<FetchWaiter>,
}

impl<'a> Registered<'a> {
    fn new(targets: &'a [Target<'a>]) -> Registered<'a> {
        let waiter = FetchWaiter::new(i64::MAX);
        for partition in targets
            .iter()
            .filter_map(|target| target.served.as_ref().ok())
        {
            partition.register(&waiter);
        }
        Registered { targets, waiter }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        for partition in self
            .targets
            .iter()
            .filter_map(|target| target.served.as_ref().ok())
        {
            partition.unregister(&self.waiter);
        }
    }
}

/// Finds what can be read of every partition now, without reading it.
fn look(targets: &[Target<'_>], limit: usize) -> Found {
    let mut found = Found {
        slices: Vec::with_capacity(targets.len()),
        bytes: 0,
        failed: false,
    };
    for target in targets {
        let slice = match &target.served {
            Ok(partition) => slice(
                partition,
                target.asked,
                limit.saturating_sub(found.bytes),
                found.bytes == 0,
            ),
            Err(code) => Err(*code),
        };
        match &slice {
            Ok(slice) => found.bytes += slice.len(),
            Err(_) => found.failed = true,
        }
        found.slices.push(slice);
    }
    found
}

fn slice(
    partition: &Partition,
    asked: &FetchPartition,
    room: usize,
    first: bool,
) -> Result<FetchSlice, ErrorCode> {
    let availability = partition.availability();
    if availability == Availability::Deleted {
        return Err(of_availability(availability));
    }
    let limit = usize::try_from(asked.partition_max_bytes)
        .unwrap_or(0)
        .min(room);
    // The first batch of the answer may exceed every limit, or a consumer would never get past it.
    partition
        .reader()
        .read(asked.fetch_offset, limit, first)
        .map_err(|failure| report(partition, asked, &failure))
}

fn report(partition: &Partition, asked: &FetchPartition, failure: &ReadError) -> ErrorCode {
    let code = failure.code();
    if code != ErrorCode::OffsetOutOfRange {
        let (topic, index) = (partition.topic(), partition.index());
        warn!(
            topic,
            partition = index,
            offset = asked.fetch_offset,
            "fetch: {failure}"
        );
    }
    code
}

fn respond(
    request: &FetchRequest,
    targets: &[Target<'_>],
    found: Found,
    ranges: &mut Vec<FileRange>,
) -> FetchResponse {
    let mut responses: Vec<FetchableTopicResponse> = request
        .topics
        .iter()
        .map(|topic| FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: Vec::with_capacity(topic.partitions.len()),
        })
        .collect();
    let committed = request.isolation_level == READ_COMMITTED;
    for (target, slice) in targets.iter().zip(found.slices) {
        if let Some(topic) = responses.get_mut(target.topic) {
            topic
                .partitions
                .push(partition_data(target, slice, committed, ranges));
        }
    }
    FetchResponse {
        responses,
        ..FetchResponse::default()
    }
}

fn partition_data(
    target: &Target<'_>,
    slice: Result<FetchSlice, ErrorCode>,
    committed: bool,
    ranges: &mut Vec<FileRange>,
) -> PartitionData {
    let partition_index = target.asked.partition;
    let read = slice.and_then(|slice| {
        let partition = target.served.as_ref().map_err(|code| *code)?;
        let records = records::field(&slice, ranges);
        Ok((partition, records))
    });
    match read {
        Ok((partition, records)) => {
            let high_watermark = partition.high_watermark();
            PartitionData {
                partition_index,
                high_watermark,
                last_stable_offset: high_watermark,
                log_start_offset: partition.log_start_offset(),
                aborted_transactions: committed.then(Vec::new),
                records: Some(records),
                ..PartitionData::default()
            }
        }
        Err(code) => PartitionData {
            partition_index,
            error_code: code.code(),
            high_watermark: -1,
            aborted_transactions: committed.then(Vec::new),
            records: Some(Bytes::new().into()),
            ..PartitionData::default()
        },
    }
}
