//! Transactional batches of a produce request: whether their partitions are in the producer's open
//! transaction. Invariant: requests of one transactional id append in the order in which they came,
//! though each may first wait for the coordinator. Step 7 of the hallway.
//!
//! A partition asks only for the first batch of a transaction. Up to version 11 the client must have
//! added it (AddPartitionsToTxn); from 12 on it is added here (KIP-890). The owner may have it that
//! older clients are believed (`transaction.partition.verification.enable`), at every level of
//! `transaction.version`: what counts is the version of the request.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::batch::BatchHeader;
use logway_protocol::message::produce::ProduceRequest;

use super::find;
use crate::context::Context;
use crate::handler::Header;
use crate::partition::{Membership, Origin, Partition, Verification};
use crate::transaction::{Producer, TopicPartition};

/// Version from which the broker adds partitions.
const ADDS_FROM: i16 = 12;
/// Version from which clients know TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 11;

/// How often is asked at most: the second time nothing is left to wait for.
const ROUNDS: usize = 3;

/// Topic and partition by their place in the request.
type Place = (usize, usize);

/// A partition that has to ask.
struct Question {
    place: Place,
    partition: Arc<Partition>,
    verification: Verification,
}

impl Question {
    fn at(&self) -> TopicPartition {
        (Arc::from(self.partition.topic()), self.partition.index())
    }
}

/// What is known of the request's transactional batches.
#[derive(Debug, Default)]
pub(super) struct Admission {
    members: HashMap<Place, Result<Membership, ErrorCode>>,
}

impl Admission {
    /// The verdict on the batch at this place; none if it is not transactional.
    pub(super) fn of(&self, place: Place) -> Option<Result<Membership, ErrorCode>> {
        self.members.get(&place).copied()
    }

    /// Asks for every partition in which the transaction is not open yet.
    pub(super) async fn ask(
        context: &Arc<Context>,
        header: &Header,
        (id, request): (&str, &ProduceRequest),
    ) -> Admission {
        for _ in 1..ROUNDS {
            let (admission, is_void) = Admission::ask_once(context, header, (id, request)).await;
            if !is_void {
                return admission;
            }
        }
        let (admission, _) = Admission::ask_once(context, header, (id, request)).await;
        admission
    }

    /// One round, and whether a marker made a question void: that of the transaction before, for
    /// which the coordinator waited.
    async fn ask_once(
        context: &Arc<Context>,
        header: &Header,
        (id, request): (&str, &ProduceRequest),
    ) -> (Admission, bool) {
        let mut admission = Admission::default();
        let (producers, questions) = admission.look(context, header, request);
        let mut producers = producers.into_iter();
        let (Some(producer), None) = (producers.next(), producers.next()) else {
            // None, or more than one in one request.
            let error = ErrorCode::InvalidProducerIdMapping;
            admission.refuse(questions, |_| error);
            return (admission, false);
        };
        let settings = &context.live.get().settings;
        let is_believed =
            header.version < ADDS_FROM && !settings.transaction_partition_verification_enable;
        if questions.is_empty() || is_believed {
            return (admission, false);
        }
        if id.is_empty() {
            admission.refuse(questions, |_| ErrorCode::InvalidRequest);
            return (admission, false);
        }
        let places: BTreeSet<TopicPartition> = questions.iter().map(Question::at).collect();
        let transactions = &context.transactions;
        let verdicts: HashMap<TopicPartition, ErrorCode> = if header.version >= ADDS_FROM {
            let added = transactions.add(id, (producer, 2), places.clone()).await;
            let error = added.err().unwrap_or(ErrorCode::None);
            places.into_iter().map(|at| (at, error)).collect()
        } else {
            match transactions.verify(id, producer, &places) {
                Ok(verdicts) => verdicts.into_iter().collect(),
                Err(error) => places.into_iter().map(|at| (at, error)).collect(),
            }
        };
        let is_void = admission.refuse(questions, |question| {
            let error = verdicts.get(&question.at()).copied();
            translated(
                error.unwrap_or(ErrorCode::UnknownServerError),
                header.version,
            )
        });
        (admission, is_void)
    }

    /// Notes which partitions have the transaction open, and gives those that have to ask.
    fn look(
        &mut self,
        context: &Context,
        header: &Header,
        request: &ProduceRequest,
    ) -> (BTreeSet<Producer>, Vec<Question>) {
        let origin = match header.version {
            ADDS_FROM.. => Origin::ClientOfSecondProtocol,
            _ => Origin::Client,
        };
        let (mut producers, mut questions) = (BTreeSet::new(), Vec::new());
        for (first, topic) in request.topic_data.iter().enumerate() {
            for (second, data) in topic.partition_data.iter().enumerate() {
                let batch = data.records.as_deref().map(BatchHeader::decode);
                let Some(Ok(batch)) = batch else { continue };
                if !batch.is_transactional() || !batch.has_producer() {
                    continue;
                }
                let Ok(partition) = find(context, header, topic, data.index) else {
                    continue;
                };
                let (id, epoch) = (batch.producer_id, batch.producer_epoch);
                producers.insert((id, epoch));
                let verified = partition.begin_verification(id, epoch);
                let place = (first, second);
                self.members
                    .insert(place, Ok(Membership { verified, origin }));
                if let Some(verification) = verified {
                    questions.push(Question {
                        place,
                        partition,
                        verification,
                    });
                }
            }
        }
        (producers, questions)
    }

    /// Takes back the membership of those that are refused; whether a question of the others is void.
    fn refuse(
        &mut self,
        questions: Vec<Question>,
        verdict: impl Fn(&Question) -> ErrorCode,
    ) -> bool {
        let mut is_void = false;
        for question in questions {
            let error = verdict(&question);
            if error == ErrorCode::None {
                is_void |= !question.partition.is_asked(question.verification);
            } else {
                question.partition.drop_verification(question.verification);
                self.members.insert(question.place, Err(error));
            }
        }
        is_void
    }
}

/// What the coordinator's refusal means to a producer; Kafka's translation.
fn translated(error: ErrorCode, version: i16) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if version < ABORTABLE_FROM => ErrorCode::InvalidTxnState,
        ErrorCode::ConcurrentTransactions if version >= ADDS_FROM => error,
        // Old clients try again at this, and do not ask for new metadata first.
        ErrorCode::ConcurrentTransactions
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        other => other,
    }
}
