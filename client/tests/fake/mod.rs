//! A small cluster inside the test process that misbehaves on demand.
//!
//! It speaks enough of the protocol for producers and consumers without a group, keeps idempotent
//! and transactional producers' numbers as strictly as Kafka does, and serves the requests of a connection in order.

mod log;
mod transaction;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use logway_client::ClientConfig;
use logway_protocol::api_key::ApiKey;
use logway_protocol::error_code::ErrorCode;
use logway_protocol::header::{decode_request_header, encode_response};
use logway_protocol::message::add_offsets_to_txn::AddOffsetsToTxnRequest;
use logway_protocol::message::add_partitions_to_txn::AddPartitionsToTxnRequest;
use logway_protocol::message::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey,
};
use logway_protocol::message::end_txn::EndTxnRequest;
use logway_protocol::message::fetch::{
    FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use logway_protocol::message::find_coordinator::{Coordinator as Found, FindCoordinatorResponse};
use logway_protocol::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use logway_protocol::message::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use logway_protocol::message::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use logway_protocol::message::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use logway_protocol::message::txn_offset_commit::TxnOffsetCommitRequest;
use logway_protocol::message::{Message, Request};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use log::Log;

/// First version of Produce that adds partitions to transactions.
const PRODUCE_V2: i16 = 12;
/// The one topic there is.
pub(crate) const TOPIC: &str = "t";

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The connection ends before anything is done.
    DropBefore,
    /// All is done, the connection ends without an answer.
    DropAfter,
    /// All is done, the connection ends in the midst of the answer.
    DropMidway,
    /// All is done, the answer comes late.
    Delay(Duration),
    /// All is done, no answer ever comes.
    Hang,
    /// All is done, the answer comes twice.
    AnswerTwice,
    /// Every partition answers with this error and nothing is done.
    Refuse(ErrorCode),
    /// The leader of every partition named moves on, and the request is refused for it.
    MoveLeader,
    /// Everything known about producers is lost first.
    ForgetProducers,
}

type Faults = Box<dyn FnMut(ApiKey) -> Fault + Send>;

pub(crate) struct Fake {
    pub(crate) addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

struct Shared {
    addresses: Vec<SocketAddr>,
    faults: Mutex<Faults>,
    state: Mutex<State>,
}

pub(crate) struct State {
    /// Node of each partition's leader, and the epoch.
    pub(crate) leaders: Vec<(usize, i32)>,
    pub(crate) logs: Vec<Log>,
    next_producer: i64,
    /// The produce request being served adds partitions by itself (KIP-890).
    produce_v2: bool,
    pub(crate) requests: HashMap<ApiKey, usize>,
    /// Largest batch taken, in bytes.
    pub(crate) batch_max: usize,
    /// The coordinator of the one transactional id.
    pub(crate) transactions: transaction::Coordinator,
    /// Level of the feature `transaction.version`.
    pub(crate) transaction_version: i16,
    /// Versions not spoken, to play an older broker.
    pub(crate) version_max: HashMap<ApiKey, i16>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Fake {
    /// `nodes` brokers, sharing the leadership of `partitions` partitions.
    pub(crate) async fn start(nodes: usize, partitions: usize) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..nodes {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        Self::serve(listeners, partitions)
    }

    /// One broker at a given address.
    pub(crate) async fn start_at(address: SocketAddr, partitions: usize) -> Self {
        Self::serve(vec![TcpListener::bind(address).await.unwrap()], partitions)
    }

    fn serve(listeners: Vec<TcpListener>, partitions: usize) -> Self {
        let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let nodes = listeners.len();
        let shared = Arc::new(Shared {
            addresses: addresses.clone(),
            faults: Mutex::new(Box::new(|_| Fault::None)),
            state: Mutex::new(State {
                leaders: (0..partitions).map(|p| (p % nodes, 0)).collect(),
                logs: (0..partitions).map(|_| Log::default()).collect(),
                next_producer: 1000,
                produce_v2: false,
                requests: HashMap::new(),
                batch_max: usize::MAX,
                transactions: transaction::Coordinator::default(),
                transaction_version: 0,
                version_max: HashMap::new(),
            }),
        });
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        for (node, listener) in listeners.into_iter().enumerate() {
            let (shared, own) = (shared.clone(), tasks.clone());
            let token = cancel.clone();
            tasks.spawn(cancel.clone().run_until_cancelled_owned(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let served = serve(shared.clone(), node, stream);
                    own.spawn(token.clone().run_until_cancelled_owned(served));
                }
            }));
        }
        Self {
            addresses,
            shared,
            tasks,
            cancel,
        }
    }

    /// Ends all of it, connections too.
    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A client that gives a request up soon: for brokers that never answer some, and for those who
    /// can tell a request that came twice.
    pub(crate) fn impatient(&self) -> ClientConfig {
        ClientConfig {
            request_timeout: Duration::from_millis(400),
            ..self.client()
        }
    }

    /// A client that waits for an answer however slow the machine is.
    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig {
            retry_backoff: Duration::from_millis(5),
            retry_backoff_max: Duration::from_millis(50),
            reconnect_backoff: Duration::from_millis(5),
            reconnect_backoff_max: Duration::from_millis(50),
            ..ClientConfig::new(self.addresses.iter().map(ToString::to_string))
        }
    }

    /// Decides about every request from now on.
    pub(crate) fn faults(&self, faults: impl FnMut(ApiKey) -> Fault + Send + 'static) {
        *self.shared.faults.lock() = Box::new(faults);
    }

    pub(crate) fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.shared.state.lock())
    }

    /// All values of a partition, in order.
    pub(crate) fn values(&self, partition: usize) -> Vec<String> {
        self.state(|state| state.logs[partition].values())
    }
}

async fn serve(shared: Arc<Shared>, node: usize, mut stream: TcpStream) {
    let mut inbox = BytesMut::new();
    loop {
        let frame = loop {
            if let Some(length) = inbox.first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if inbox.len() >= length + 4 {
                    break inbox.split_to(length + 4).freeze().slice(4..);
                }
            }
            match stream.read_buf(&mut inbox).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let (header, body) = decode_request_header(frame).unwrap();
        let api = ApiKey::from_code(header.api_key).unwrap();
        let fault = (shared.faults.lock())(api);
        if fault == Fault::DropBefore {
            return;
        }
        let version = (header.api_version, header.correlation_id);
        let answer = shared
            .state
            .lock()
            .answer((api, version), body, (node, &shared), fault);
        let Some(answer) = answer else { continue };
        match fault {
            Fault::DropAfter => return,
            Fault::DropMidway => {
                let _sent = stream.write_all(&answer[..answer.len() / 2]).await;
                return;
            }
            Fault::Delay(delay) => tokio::time::sleep(delay).await,
            Fault::Hang => return std::future::pending().await,
            Fault::AnswerTwice => {
                let _sent = stream.write_all(&answer).await;
            }
            _ => {}
        }
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

type Asked = (ApiKey, (i16, i32));

impl State {
    fn answer(
        &mut self,
        asked: Asked,
        body: Bytes,
        (node, shared): (usize, &Shared),
        fault: Fault,
    ) -> Option<Bytes> {
        let (api, (version, _)) = asked;
        *self.requests.entry(api).or_default() += 1;
        if fault == Fault::ForgetProducers {
            self.logs.iter_mut().for_each(Log::forget_producers);
        }
        Some(match api {
            ApiKey::ApiVersions => self.api_versions(asked, body),
            ApiKey::Metadata => {
                let request = MetadataRequest::decode_version(body, version).unwrap();
                write(asked, &self.metadata(&request, &shared.addresses))
            }
            ApiKey::InitProducerId => {
                let request = InitProducerIdRequest::decode_version(body, version).unwrap();
                if request.transactional_id.is_some() && !matches!(fault, Fault::Refuse(_)) {
                    return Some(write(
                        asked,
                        &self.transactions.init(&request, &mut self.logs),
                    ));
                }
                self.next_producer += 1;
                let mut response = InitProducerIdResponse {
                    producer_id: self.next_producer,
                    ..Default::default()
                };
                if let Fault::Refuse(code) = fault {
                    response.error_code = code.code();
                }
                write(asked, &response)
            }
            ApiKey::Produce => {
                let request = ProduceRequest::decode_version(body, version).unwrap();
                let acks = request.acks;
                self.produce_v2 = version >= PRODUCE_V2;
                let response = self.produce(&request, node, fault);
                if acks == 0 {
                    return None;
                }
                write(asked, &response)
            }
            ApiKey::ListOffsets => {
                let request = ListOffsetsRequest::decode_version(body, version).unwrap();
                write(asked, &self.list_offsets(&request))
            }
            ApiKey::Fetch => {
                let request = FetchRequest::decode_version(body, version).unwrap();
                write(asked, &self.fetch(&request, node, fault))
            }
            ApiKey::FindCoordinator => write(asked, &find_coordinator(&shared.addresses[0])),
            ApiKey::AddPartitionsToTxn
            | ApiKey::AddOffsetsToTxn
            | ApiKey::TxnOffsetCommit
            | ApiKey::EndTxn => self.transaction(asked, body, fault),
            other => panic!("the fake does not speak {other:?}"),
        })
    }

    fn transaction(&mut self, asked: Asked, body: Bytes, fault: Fault) -> Bytes {
        let (api, (version, _)) = asked;
        let coordinator = &mut self.transactions;
        let refused = match fault {
            Fault::Refuse(code) => code.code(),
            _ => 0,
        };
        match api {
            ApiKey::AddPartitionsToTxn => {
                let request = AddPartitionsToTxnRequest::decode_version(body, version).unwrap();
                let mut response = coordinator.add_partitions(&request);
                if refused != 0 {
                    for topic in &mut response.results_by_topic_v3_and_below {
                        for result in &mut topic.results_by_partition {
                            result.partition_error_code = refused;
                        }
                    }
                }
                write(asked, &response)
            }
            ApiKey::AddOffsetsToTxn => {
                let request = AddOffsetsToTxnRequest::decode_version(body, version).unwrap();
                let mut response = coordinator.add_group(&request);
                response.error_code = response.error_code.max(refused);
                write(asked, &response)
            }
            ApiKey::TxnOffsetCommit => {
                let request = TxnOffsetCommitRequest::decode_version(body, version).unwrap();
                let mut response = coordinator.commit_offsets(&request, version);
                for topic in response.topics.iter_mut().filter(|_| refused != 0) {
                    for result in &mut topic.partitions {
                        result.error_code = refused;
                    }
                }
                write(asked, &response)
            }
            _ => {
                let request = EndTxnRequest::decode_version(body, version).unwrap();
                if refused != 0 {
                    // Nothing is done.
                    let response = logway_protocol::message::end_txn::EndTxnResponse {
                        error_code: refused,
                        ..Default::default()
                    };
                    return write(asked, &response);
                }
                write(asked, &coordinator.end(&request, version, &mut self.logs))
            }
        }
    }

    fn api_versions(&self, asked: Asked, body: Bytes) -> Bytes {
        let (api, (version, correlation_id)) = asked;
        let keys = [
            ApiKey::Produce,
            ApiKey::Fetch,
            ApiKey::ListOffsets,
            ApiKey::Metadata,
            ApiKey::ApiVersions,
            ApiKey::InitProducerId,
            ApiKey::FindCoordinator,
            ApiKey::AddPartitionsToTxn,
            ApiKey::AddOffsetsToTxn,
            ApiKey::TxnOffsetCommit,
            ApiKey::EndTxn,
        ];
        let spoken = |key: ApiKey| {
            let known = key.versions().unwrap();
            let max = self.version_max.get(&key).copied().unwrap_or(*known.end());
            ApiVersion {
                api_key: key.code(),
                min_version: *known.start(),
                max_version: max,
            }
        };
        let api_keys: Vec<_> = keys.into_iter().map(spoken).collect();
        if version > spoken(ApiKey::ApiVersions).max_version {
            let error_code = ErrorCode::UnsupportedVersion.code();
            let response = ApiVersionsResponse {
                error_code,
                api_keys,
                ..Default::default()
            };
            return encode_response(api, 0, correlation_id, &response).unwrap();
        }
        ApiVersionsRequest::decode_version(body, version).unwrap();
        write(
            asked,
            &ApiVersionsResponse {
                api_keys,
                finalized_features_epoch: 1,
                finalized_features: vec![FinalizedFeatureKey {
                    name: "transaction.version".into(),
                    max_version_level: self.transaction_version,
                    min_version_level: 0,
                }],
                ..Default::default()
            },
        )
    }

    fn metadata(&self, request: &MetadataRequest, addresses: &[SocketAddr]) -> MetadataResponse {
        let brokers = addresses
            .iter()
            .zip(0..)
            .map(|(address, node_id)| MetadataResponseBroker {
                node_id,
                host: address.ip().to_string().into(),
                port: address.port().into(),
                rack: None,
            });
        let partitions = |known: bool| {
            let leaders = self.leaders.iter().zip(0..).filter(move |_| known);
            leaders.map(
                |((leader, leader_epoch), partition_index)| MetadataResponsePartition {
                    partition_index,
                    leader_id: i32::try_from(*leader).unwrap(),
                    leader_epoch: *leader_epoch,
                    ..Default::default()
                },
            )
        };
        let topics = request.topics.iter().flatten().map(|topic| {
            let known = topic.name.as_deref() == Some(TOPIC);
            let code = if known {
                ErrorCode::None
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            MetadataResponseTopic {
                error_code: code.code(),
                name: topic.name.clone(),
                partitions: partitions(known).collect(),
                ..Default::default()
            }
        });
        MetadataResponse {
            brokers: brokers.collect(),
            controller_id: 0,
            topics: topics.collect(),
            ..Default::default()
        }
    }

    fn produce(&mut self, request: &ProduceRequest, node: usize, fault: Fault) -> ProduceResponse {
        let mut response = ProduceResponse::default();
        for topic in &request.topic_data {
            let mut answers = Vec::new();
            for data in &topic.partition_data {
                let records = data.records.clone().unwrap();
                let result = self.produce_one(data.index, &records, node, fault);
                let (error_code, base_offset) = match result {
                    Ok(offset) => (ErrorCode::None, offset),
                    Err(code) => (code, -1),
                };
                answers.push(PartitionProduceResponse {
                    index: data.index,
                    error_code: error_code.code(),
                    base_offset,
                    ..Default::default()
                });
            }
            response.responses.push(TopicProduceResponse {
                name: topic.name.clone(),
                partition_responses: answers,
                ..Default::default()
            });
        }
        response
    }

    fn produce_one(
        &mut self,
        partition: i32,
        records: &Bytes,
        node: usize,
        fault: Fault,
    ) -> Result<i64, ErrorCode> {
        let at = usize::try_from(partition).unwrap();
        self.check_leader(at, node, fault)?;
        if records.len() > self.batch_max {
            return Err(ErrorCode::MessageTooLarge);
        }
        let header = logway_protocol::batch::BatchHeader::decode(records).unwrap();
        if header.is_transactional() {
            let producer = (header.producer_id, header.producer_epoch);
            self.transactions
                .admit(partition, producer, self.produce_v2)?;
        }
        self.logs[at].append(records)
    }

    fn check_leader(&mut self, at: usize, node: usize, fault: Fault) -> Result<(), ErrorCode> {
        if let Fault::Refuse(code) = fault {
            return Err(code);
        }
        let nodes = self
            .leaders
            .iter()
            .map(|(node, _)| node + 1)
            .max()
            .unwrap_or(1)
            .max(2);
        let leader = self
            .leaders
            .get_mut(at)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if leader.0 != node {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if fault == Fault::MoveLeader {
            *leader = ((leader.0 + 1) % nodes, leader.1 + 1);
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Ok(())
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic
                .partitions
                .iter()
                .map(|asked| ListOffsetsPartitionResponse {
                    partition_index: asked.partition_index,
                    offset: match asked.timestamp {
                        -1 => self.logs[usize::try_from(asked.partition_index).unwrap()].end(),
                        _ => 0,
                    },
                    ..Default::default()
                })
                .collect(),
        });
        ListOffsetsResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }

    fn fetch(&mut self, request: &FetchRequest, node: usize, fault: Fault) -> FetchResponse {
        let mut response = FetchResponse::default();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let at = usize::try_from(asked.partition).unwrap();
                let checked = self.check_leader(at, node, fault);
                let log = &self.logs[at];
                let mut data = PartitionData {
                    partition_index: asked.partition,
                    high_watermark: log.end(),
                    last_stable_offset: log.end(),
                    log_start_offset: 0,
                    ..Default::default()
                };
                match checked {
                    Err(code) => data.error_code = code.code(),
                    Ok(()) if asked.fetch_offset > log.end() => {
                        data.error_code = ErrorCode::OffsetOutOfRange.code();
                    }
                    Ok(()) => {
                        let max = usize::try_from(asked.partition_max_bytes).unwrap();
                        data.records = Some(log.read(asked.fetch_offset, max).into());
                    }
                }
                partitions.push(data);
            }
            response.responses.push(FetchableTopicResponse {
                topic: topic.topic.clone(),
                partitions,
                ..Default::default()
            });
        }
        response
    }
}

fn write<M: Message>((api, (version, correlation_id)): Asked, response: &M) -> Bytes {
    encode_response(api, version, correlation_id, response).unwrap()
}

/// Everything is coordinated by the first node.
fn find_coordinator(address: &SocketAddr) -> FindCoordinatorResponse {
    FindCoordinatorResponse {
        coordinators: vec![Found {
            node_id: 0,
            host: address.ip().to_string().into(),
            port: address.port().into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Keeps the request types tied to their keys.
const _: () = {
    assert!(ProduceRequest::KEY as i16 == 0 && FetchRequest::KEY as i16 == 1);
};
