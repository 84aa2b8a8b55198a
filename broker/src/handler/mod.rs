//! One file per API, and the way from a frame to the right one.
//! Invariant: a handler is `async fn handle(context, header, request) -> response`; it never sees a
//! socket, and whatever a request holds, it answers or the connection is closed with a counted
//! reason. Step 7 of the hallway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use logway_protocol::codec::Decoder;
use logway_protocol::header::{decode_request_header, encode_response};
use logway_protocol::{ApiKey, EncodeError, ErrorCode, Message, Request as ApiRequest, Text};
use tracing::error;

use crate::context::Context;
use crate::net::{BytePermit, Part};
use crate::quota::{RequestTime, Silence, timed};

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alteration;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
pub(crate) mod error;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod refusal;
mod sync_group;
mod txn_offset_commit;
mod update_features;
mod write_txn_markers;

pub(crate) use api_versions::features;
pub(crate) use fetch::FetchSessions;
pub(crate) use refusal::Refusal;

/// What a client is told that created or deleted too many partitions.
const QUOTA_EXCEEDED: &str = "The throttling quota has been exceeded.";

/// Whether a request gives the controller no time. Kafka's does nothing of it then and refuses each part of
/// it, what would be refused for other reasons too; only a request that leaves the controller nothing to do is
/// answered as ever.
fn is_out_of_time(timeout_ms: i32) -> bool {
    timeout_ms <= 0
}

/// Who asks, and in which version the answer must be written.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<Text>,
    pub(crate) peer: SocketAddr,
    /// Bytes of the request, as quotas count them.
    pub(crate) bytes: usize,
    silence: Arc<Silence>,
    /// None if nobody's request time is limited.
    time: Option<Arc<RequestTime>>,
}

impl Header {
    /// The client id as quotas know it.
    pub(crate) fn client(&self) -> &str {
        self.client_id.as_deref().unwrap_or_default()
    }

    /// Has the client pay for partitions that it creates or deletes. Requests from version `strict_from`
    /// on are refused while it has not waited for the last ones; older ones silence it afterwards.
    fn pay(&self, context: &Context, partitions: usize, strict_from: i16) -> Result<(), ErrorCode> {
        let strict = self.version >= strict_from;
        let paid = context.quotas.mutated(self.client(), partitions, strict);
        self.silence.extend(paid.unwrap_or_else(|due| due));
        paid.map(|_| ())
            .map_err(|_| ErrorCode::ThrottlingQuotaExceeded)
    }

    /// Counts the request's time and silences the connection for as long as that or `so_far` asks:
    /// what to tell the client, in milliseconds.
    fn silence(&self, context: &Context, so_far: Duration) -> i32 {
        let asked = self.time.as_ref().map(|time| {
            let took = time.spent();
            context.quotas.requested(self.client(), took)
        });
        let silence = so_far.max(asked.unwrap_or_default());
        self.silence.extend(silence);
        i32::try_from(silence.as_millis()).unwrap_or(i32::MAX)
    }
}

/// A request whose header is known and whose body is still bytes.
#[derive(Debug)]
pub(crate) struct Request {
    header: Header,
    body: Bytes,
    /// The version is one this broker does not speak: only ApiVersions has an answer to that.
    unsupported: bool,
}

impl Request {
    /// Whether later requests of the same kind may start before this one is answered.
    pub(crate) fn is_pipelined(&self) -> bool {
        self.header.api == ApiKey::Produce
    }
}

/// What a request leads to.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A whole frame.
    Frame(Bytes),
    /// A whole frame whose records lie in files, and the memory that the other parts were charged to.
    Parts {
        parts: Vec<Part>,
        permit: Option<BytePermit>,
    },
    /// Nothing is answered (`acks=0`).
    Silent,
    /// The connection ends.
    Close(Refusal),
}

/// Reads a frame's header and decides whether this broker speaks it.
pub(crate) fn decode(
    context: &Context,
    frame: Bytes,
    (peer, silence): (SocketAddr, &Arc<Silence>),
) -> Result<Request, Refusal> {
    let bytes = frame.len();
    let (header, body) = decode_request_header(frame).map_err(Refusal::Header)?;
    let version = header.api_version;
    let api = ApiKey::from_code(header.api_key)
        .filter(|api| SERVED.contains(api))
        .ok_or(Refusal::UnknownApi {
            key: header.api_key,
        })?;
    let unsupported = !api
        .versions()
        .is_some_and(|versions| versions.contains(&version));
    if unsupported && api != ApiKey::ApiVersions {
        return Err(Refusal::UnsupportedVersion {
            api: api.name(),
            version,
        });
    }
    context.metrics.request(api.name());
    let header = Header {
        api,
        version,
        correlation_id: header.correlation_id,
        client_id: header.client_id,
        peer,
        bytes,
        silence: Arc::clone(silence),
        time: (context.quotas.limits_requests()).then(Arc::default),
    };
    Ok(Request {
        header,
        body,
        unsupported,
    })
}

/// Names every API served, with the module whose `handle` answers it.
macro_rules! served {
    ($($api:ident => $module:ident),* $(,)?) => {
        /// The APIs that ApiVersions lists.
        pub(crate) const SERVED: &[ApiKey] =
            &[ApiKey::Produce, ApiKey::Fetch, $(ApiKey::$api),*];

        async fn answer(context: &Arc<Context>, header: &Header, body: Bytes) -> Reply {
            match header.api {
                ApiKey::Produce => match decode_body(header, body) {
                    Ok(request) => produce::handle(context, header, request).await,
                    Err(refusal) => Reply::Close(refusal),
                },
                ApiKey::Fetch => match decode_body(header, body) {
                    Ok(request) => fetch::handle(context, header, request).await,
                    Err(refusal) => Reply::Close(refusal),
                },
                $(ApiKey::$api => match decode_body(header, body) {
                    Ok(request) => {
                        let mut response = Box::pin($module::handle(context, header, request)).await;
                        throttle(context, header, &mut response);
                        frame(header, &response)
                    }
                    Err(refusal) => Reply::Close(refusal),
                },)*
                other => Reply::Close(Refusal::UnknownApi { key: other.code() }),
            }
        }
    };
}

served! {
    ListOffsets => list_offsets,
    Metadata => metadata,
    OffsetCommit => offset_commit,
    OffsetFetch => offset_fetch,
    OffsetForLeaderEpoch => offset_for_leader_epoch,
    FindCoordinator => find_coordinator,
    JoinGroup => join_group,
    Heartbeat => heartbeat,
    LeaveGroup => leave_group,
    SyncGroup => sync_group,
    DescribeGroups => describe_groups,
    ListGroups => list_groups,
    ApiVersions => api_versions,
    CreateTopics => create_topics,
    DeleteTopics => delete_topics,
    InitProducerId => init_producer_id,
    DescribeConfigs => describe_configs,
    DescribeCluster => describe_cluster,
    AlterConfigs => alter_configs,
    IncrementalAlterConfigs => incremental_alter_configs,
    DeleteRecords => delete_records,
    DeleteGroups => delete_groups,
    OffsetDelete => offset_delete,
    ConsumerGroupHeartbeat => consumer_group_heartbeat,
    ConsumerGroupDescribe => consumer_group_describe,
    AddPartitionsToTxn => add_partitions_to_txn,
    AddOffsetsToTxn => add_offsets_to_txn,
    EndTxn => end_txn,
    WriteTxnMarkers => write_txn_markers,
    TxnOffsetCommit => txn_offset_commit,
    DescribeProducers => describe_producers,
    DescribeTransactions => describe_transactions,
    ListTransactions => list_transactions,
    DescribeLogDirs => describe_log_dirs,
    CreatePartitions => create_partitions,
    ElectLeaders => elect_leaders,
    AlterPartitionReassignments => alter_partition_reassignments,
    ListPartitionReassignments => list_partition_reassignments,
    DescribeClientQuotas => describe_client_quotas,
    AlterClientQuotas => alter_client_quotas,
    DescribeUserScramCredentials => describe_user_scram_credentials,
    DescribeQuorum => describe_quorum,
    UpdateFeatures => update_features,
    ListConfigResources => list_config_resources,
    DescribeTopicPartitions => describe_topic_partitions,
}

/// Runs a request to its reply.
pub(crate) async fn run(context: Arc<Context>, request: Request) -> Reply {
    let Request {
        mut header,
        body,
        unsupported,
    } = request;
    if unsupported {
        // The client reads the list in version 0 and asks again (KIP-511).
        header.version = 0;
        return frame(&header, &api_versions::unsupported());
    }
    match header.time.clone() {
        None => answer(&context, &header, body).await,
        // In a box: the future of every request would else have room for another.
        Some(time) => timed(time, Box::pin(answer(&context, &header, body))).await,
    }
}

/// Tells the client how long to be silent, if its requests take too much time.
fn throttle<M: Message>(context: &Context, header: &Header, response: &mut M) {
    if header.time.is_some() {
        header.silence(context, Duration::ZERO);
    }
    // A request that may not overlap with others began in no silence: this one is its own.
    if let Some(until) = header.silence.until() {
        let left = until.saturating_duration_since(Instant::now());
        let left = left.as_millis().saturating_add(1);
        response.set_throttle_time_ms(i32::try_from(left).unwrap_or(i32::MAX));
    }
}

/// Bytes behind the last field are left alone, as Kafka does: librdkafka 2.16 sends three of them
/// in a Metadata 13 request for all topics.
fn decode_body<R: ApiRequest>(header: &Header, body: Bytes) -> Result<R, Refusal> {
    let version = header.version;
    let mut input = Decoder::new(body, version, R::is_flexible(version));
    R::decode(&mut input).map_err(|source| Refusal::Body {
        api: header.api.name(),
        source,
    })
}

/// Encodes a response. One that cannot be written in its version is our own mistake: the
/// connection ends, because its client would wait forever.
fn frame<M: Message>(header: &Header, response: &M) -> Reply {
    match encode_response(header.api, header.version, header.correlation_id, response) {
        Ok(bytes) => Reply::Frame(bytes),
        Err(source) => unwritable(header, source),
    }
}

fn unwritable(header: &Header, source: EncodeError) -> Reply {
    let api = header.api.name();
    error!(
        api,
        version = header.version,
        "response cannot be encoded: {source}"
    );
    Reply::Close(Refusal::Response { api, source })
}
