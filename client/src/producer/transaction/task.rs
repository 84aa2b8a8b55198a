//! The task that asks the coordinators what the engine wants asked.
//!
//! Invariant: one request at a time, the same again until it is answered; it decides nothing.
//! Step 5 of the hallway.

use std::sync::Arc;
use std::time::Duration;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::add_offsets_to_txn::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse,
};
use logway_protocol::message::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
use logway_protocol::message::end_txn::{EndTxnRequest, EndTxnResponse};
use logway_protocol::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use logway_protocol::message::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::super::Shared;
use super::super::idempotence::Identity;
use super::Transactional;
use super::ask::{Answer, Ask, Offsets};
use super::engine::Engine;
use crate::backoff::Backoff;
use crate::cluster::Lane;
use crate::consumer::lookup::by_topic;
use crate::coordinator::{Coordinator, Failure};
use crate::error::{RequestError, TransactionError};
use crate::topic::TopicPartition;

/// The feature that stands for KIP-890's protocol, and the level at which it begins.
const FEATURE: (&str, i16) = ("transaction.version", 2);
/// Last version of AddPartitionsToTxn for clients; later ones are the brokers' own.
const ADD_PARTITIONS_MAX: i16 = 3;
/// Last versions under the first protocol.
const END_V1_MAX: i16 = 4;
const OFFSETS_V1_MAX: i16 = 4;
/// First version of InitProducerId that can raise an epoch (KIP-360).
const WITH_EPOCH: i16 = 3;
/// Pause while the markers of the transaction before are being written.
const CONCURRENT_PAUSE: Duration = Duration::from_millis(20);

/// The task's own state.
#[derive(Debug)]
pub(in super::super) struct Transactor {
    shared: Arc<Shared>,
    transactional: Arc<Transactional>,
    /// The coordinator of the group whose offsets were sent last.
    group: Option<Coordinator>,
    backoff: Backoff,
    is_concurrent: bool,
}

/// However the task ends, nobody waits in vain.
impl Drop for Transactor {
    fn drop(&mut self) {
        self.transactional
            .change(|engine| engine.stop(TransactionError::Closed));
    }
}

impl Transactor {
    pub(in super::super) fn new(shared: Arc<Shared>, transactional: Arc<Transactional>) -> Self {
        let client = &shared.config.client;
        let backoff = Backoff::new(client.retry_backoff, client.retry_backoff_max);
        Self {
            shared,
            transactional,
            group: None,
            backoff,
            is_concurrent: false,
        }
    }

    pub(in super::super) async fn run(mut self, cancel: CancellationToken) {
        tokio::select! {
            () = self.work() => {}
            () = cancel.cancelled() => {}
        }
    }

    async fn work(&mut self) {
        let shared = self.shared.clone();
        let transactional = self.transactional.clone();
        loop {
            let settled = shared.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if transactional.peek(|engine| engine.is_draining()) && self.is_drained() {
                transactional.change(Engine::drained);
            }
            let Some(ask) = transactional.change_quietly(Engine::next) else {
                tokio::select! {
                    () = transactional.wanted.notified() => {}
                    () = settled => {}
                }
                continue;
            };
            let answer = self.ask(&ask).await;
            let again = matches!(answer, Answer::Again);
            if let Answer::Fatal(error) | Answer::Abort(error) = &answer {
                info!(target: "logway_client", %error, id = %transactional.id, "transaction failed");
            }
            transactional.change(|engine| engine.answered(answer));
            shared.wake.notify_one();
            if again {
                let pause = self.backoff.next();
                let pause = if self.is_concurrent {
                    CONCURRENT_PAUSE.min(pause)
                } else {
                    pause
                };
                tokio::time::sleep(pause).await;
            } else {
                self.backoff.reset();
            }
        }
    }

    /// Whether everything taken is answered for.
    fn is_drained(&self) -> bool {
        self.shared.accumulator.lock().ledger.records == 0
    }

    async fn ask(&mut self, ask: &Ask) -> Answer {
        self.is_concurrent = false;
        let result = match ask {
            Ask::Init(known) => self.init(*known).await,
            Ask::AddPartitions(identity, partitions) => {
                self.add_partitions(*identity, partitions).await
            }
            Ask::AddGroup(identity, group) => self.add_group(*identity, group).await,
            Ask::Commit(identity, offsets) => self.commit_offsets(*identity, offsets).await,
            Ask::End(identity, commit) => self.end(*identity, *commit).await,
        };
        result.unwrap_or_else(|failure| self.judge(ask, failure))
    }

    fn timeout(&self) -> Duration {
        self.shared.config.client.request_timeout
    }

    /// Which protocol the next transaction may follow: what the coordinator said when it was
    /// connected.
    async fn look_at_features(&self) -> Result<(), Failure> {
        let connection = self
            .transactional
            .coordinator
            .connection(Lane::Group)
            .await?;
        let allowed = connection.feature(FEATURE.0) >= FEATURE.1;
        self.transactional.peek(|engine| engine.allow_v2(allowed));
        Ok(())
    }

    async fn init(&mut self, known: Option<Identity>) -> Result<Answer, Failure> {
        self.look_at_features().await?;
        let coordinator = &self.transactional.coordinator;
        let timeout_ms = self.shared.config.transaction_timeout.as_millis();
        let response: InitProducerIdResponse = coordinator
            .call(Lane::Group, self.timeout(), |version| {
                let known = known.filter(|_| version >= WITH_EPOCH);
                InitProducerIdRequest {
                    transactional_id: Some((*self.transactional.id).into()),
                    transaction_timeout_ms: i32::try_from(timeout_ms).unwrap_or(i32::MAX),
                    producer_id: known.map_or(-1, |known| known.id),
                    producer_epoch: known.map_or(-1, |known| known.epoch),
                }
            })
            .await?;
        ErrorCode::check(response.error_code).map_err(Failure::Code)?;
        debug!(
            target: "logway_client",
            id = %self.transactional.id, producer_id = response.producer_id,
            epoch = response.producer_epoch, "producer id for transactions"
        );
        Ok(Answer::Initialized(Identity {
            id: response.producer_id,
            epoch: response.producer_epoch,
        }))
    }

    async fn add_partitions(
        &mut self,
        identity: Identity,
        partitions: &[TopicPartition],
    ) -> Result<Answer, Failure> {
        let topics = by_topic(partitions.iter().map(|p| (p.topic.clone(), p.partition)));
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| AddPartitionsToTxnTopic {
                name: (*name).into(),
                partitions,
            })
            .collect();
        let coordinator = &self.transactional.coordinator;
        let response: AddPartitionsToTxnResponse = coordinator
            .call_up_to(Lane::Group, self.timeout(), ADD_PARTITIONS_MAX, |_| {
                AddPartitionsToTxnRequest {
                    v3_and_below_transactional_id: (*self.transactional.id).into(),
                    v3_and_below_producer_id: identity.id,
                    v3_and_below_producer_epoch: identity.epoch,
                    v3_and_below_topics: topics,
                    ..Default::default()
                }
            })
            .await?;
        let mut added = Vec::with_capacity(partitions.len());
        let mut refused = Vec::new();
        for topic in &response.results_by_topic_v3_and_below {
            let name: Arc<str> = (*topic.name).into();
            for result in &topic.results_by_partition {
                match ErrorCode::check(result.partition_error_code) {
                    Ok(()) => added.push(TopicPartition::new(name.clone(), result.partition_index)),
                    Err(code) => refused.push(code),
                }
            }
        }
        match worst(refused) {
            Some(code) if !code.is_retriable() || added.is_empty() => Err(Failure::Code(code)),
            _ => Ok(Answer::Added(added)),
        }
    }

    async fn add_group(&mut self, identity: Identity, group: &str) -> Result<Answer, Failure> {
        let coordinator = &self.transactional.coordinator;
        let response: AddOffsetsToTxnResponse = coordinator
            .call(Lane::Group, self.timeout(), |_| AddOffsetsToTxnRequest {
                transactional_id: (*self.transactional.id).into(),
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                group_id: group.into(),
            })
            .await?;
        ErrorCode::check(response.error_code).map_err(Failure::Code)?;
        Ok(Answer::GroupAdded)
    }

    async fn commit_offsets(
        &mut self,
        identity: Identity,
        offsets: &Offsets,
    ) -> Result<Answer, Failure> {
        let member = &offsets.group;
        let group = match &self.group {
            Some(known) if *known.group() == member.group_id => known.clone(),
            _ => Coordinator::new(self.shared.cluster.clone(), member.group_id.clone()),
        };
        self.group = Some(group.clone());
        let topics = by_topic(offsets.offsets.iter().map(|(partition, offset)| {
            let committed = TxnOffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
                committed_metadata: Some(offset.metadata.as_str().into()),
            };
            (partition.topic.clone(), committed)
        }));
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| TxnOffsetCommitRequestTopic {
                name: (*name).into(),
                partitions,
            })
            .collect();
        let limit = if self.transactional.peek(|e| e.is_v2()) {
            i16::MAX
        } else {
            OFFSETS_V1_MAX
        };
        let response: TxnOffsetCommitResponse = group
            .call_up_to(Lane::Group, self.timeout(), limit, |version| {
                let mut request = TxnOffsetCommitRequest {
                    transactional_id: (*self.transactional.id).into(),
                    group_id: (*member.group_id).into(),
                    producer_id: identity.id,
                    producer_epoch: identity.epoch,
                    topics,
                    ..Default::default()
                };
                // Before version 3 a coordinator cannot tell which member it is (KIP-447).
                if version >= 3 {
                    request.generation_id = member.generation;
                    request.member_id = (*member.member_id).into();
                    request.group_instance_id = member.instance_id.as_ref().map(|id| (**id).into());
                }
                request
            })
            .await?;
        let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
        let refused = codes.filter_map(|p| ErrorCode::check(p.error_code).err());
        let refused = refused.inspect(|code| group.observe(*code));
        worst(refused).map_or(Ok(Answer::OffsetsTaken), |code| Err(Failure::Code(code)))
    }

    async fn end(&mut self, identity: Identity, commit: bool) -> Result<Answer, Failure> {
        self.look_at_features().await?;
        let v2 = self.transactional.peek(|engine| engine.is_v2());
        let limit = if v2 { i16::MAX } else { END_V1_MAX };
        let coordinator = &self.transactional.coordinator;
        let response: EndTxnResponse = coordinator
            .call_up_to(Lane::Group, self.timeout(), limit, |_| EndTxnRequest {
                transactional_id: (*self.transactional.id).into(),
                producer_id: identity.id,
                producer_epoch: identity.epoch,
                committed: commit,
            })
            .await?;
        ErrorCode::check(response.error_code).map_err(Failure::Code)?;
        Ok(Answer::Ended((response.producer_id >= 0).then_some(
            Identity {
                id: response.producer_id,
                epoch: response.producer_epoch,
            },
        )))
    }

    /// What a failure means, as Kafka's own producer sees it.
    fn judge(&mut self, ask: &Ask, failure: Failure) -> Answer {
        debug!(target: "logway_client", ?failure, ?ask, "not done");
        let code = match failure {
            Failure::Request(RequestError::Closed) => {
                return Answer::Fatal(TransactionError::Closed);
            }
            Failure::Request(error) if error.is_retriable() => return Answer::Again,
            Failure::Request(error) => return Answer::Fatal(TransactionError::Request(error)),
            Failure::Code(code) => code,
        };
        if !matches!(ask, Ask::Commit(..)) {
            self.transactional.coordinator.observe(code);
        }
        self.is_concurrent = code == ErrorCode::ConcurrentTransactions;
        let operation = match ask {
            Ask::Init(_) => "InitProducerId",
            Ask::AddPartitions(..) => "AddPartitionsToTxn",
            Ask::AddGroup(..) => "AddOffsetsToTxn",
            Ask::Commit(..) => "TxnOffsetCommit",
            Ask::End(..) => "EndTxn",
        };
        let in_group = matches!(ask, Ask::Commit(..) | Ask::AddGroup(..));
        match code {
            code if code.is_retriable() => Answer::Again,
            ErrorCode::InvalidProducerEpoch | ErrorCode::ProducerFenced => {
                Answer::Fatal(TransactionError::Fenced { code })
            }
            ErrorCode::TransactionAbortable
            | ErrorCode::UnknownProducerId
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::OperationNotAttempted => {
                Answer::Abort(TransactionError::Abort { operation, code })
            }
            ErrorCode::GroupAuthorizationFailed
            | ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::StaleMemberEpoch
            | ErrorCode::FencedMemberEpoch
            | ErrorCode::RebalanceInProgress
            | ErrorCode::FencedInstanceId
            | ErrorCode::InvalidCommitOffsetSize
            | ErrorCode::OffsetMetadataTooLarge
                if in_group =>
            {
                Answer::Abort(TransactionError::Abort { operation, code })
            }
            code => Answer::Fatal(TransactionError::Refused { operation, code }),
        }
    }
}

/// The code that decides about a request of several parts: one that does not pass before one that
/// does, and what others were refused for before `OPERATION_NOT_ATTEMPTED`, which says nothing.
fn worst(codes: impl IntoIterator<Item = ErrorCode>) -> Option<ErrorCode> {
    codes.into_iter().max_by_key(|code| match code {
        ErrorCode::OperationNotAttempted => 0,
        code if code.is_retriable() => 1,
        _ => 2,
    })
}
