//! Transactions while things go wrong: whatever is lost or refused, a transaction is there whole
//! or not at all, and the producer knows which.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use logway_client::{
    DeliveryError, ErrorCode, GroupMetadata, Producer, ProducerConfig, ProducerRecord, SendError,
    TopicPartition, Transaction, TransactionError,
};
use logway_protocol::api_key::ApiKey;
use proptest::prelude::*;

use super::PATIENCE;
use crate::fake::{Fake, Fault, TOPIC};

fn config(fake: &Fake) -> ProducerConfig {
    ProducerConfig {
        client: fake.client(),
        linger: Duration::ZERO,
        batch_size: 200,
        transactional_id: Some("id".to_owned()),
        ..Default::default()
    }
}

/// A fault for each request that matters to a transaction; in the end none.
fn scripted(script: Vec<u8>) -> impl FnMut(ApiKey) -> Fault + Send {
    let mut script = script.into_iter();
    move |api| {
        let is_part = matches!(
            api,
            ApiKey::Produce
                | ApiKey::InitProducerId
                | ApiKey::AddPartitionsToTxn
                | ApiKey::AddOffsetsToTxn
                | ApiKey::TxnOffsetCommit
                | ApiKey::EndTxn
        );
        if !is_part {
            return Fault::None;
        }
        match (script.next().unwrap_or(0) % 16, api) {
            (1 | 2, _) => Fault::DropBefore,
            (3 | 4, _) => Fault::DropAfter,
            (5, _) => Fault::DropMidway,
            (6, _) => Fault::Hang,
            (7, ApiKey::Produce) => Fault::Refuse(ErrorCode::NotEnoughReplicas),
            (7, _) => Fault::Refuse(ErrorCode::CoordinatorLoadInProgress),
            (8, ApiKey::Produce) => Fault::Refuse(ErrorCode::MessageTooLarge),
            (8, ApiKey::InitProducerId) => Fault::None,
            (8, ApiKey::EndTxn | ApiKey::AddPartitionsToTxn) => {
                Fault::Refuse(ErrorCode::ConcurrentTransactions)
            }
            (8, _) => Fault::Refuse(ErrorCode::TransactionAbortable),
            (9, ApiKey::Produce) => Fault::Refuse(ErrorCode::InvalidRecord),
            _ => Fault::None,
        }
    }
}

fn member() -> GroupMetadata {
    GroupMetadata {
        group_id: "g".into(),
        generation: 1,
        member_id: "m".into(),
        instance_id: None,
    }
}

/// Sends a round's records and offsets; an error means that the round has to be aborted.
async fn fill(transaction: &Transaction, round: i64) -> Result<(), TransactionError> {
    for n in 0..12 {
        let mut record = ProducerRecord::new(TOPIC, format!("{round} {n} {}", "x".repeat(60)));
        record.partition = Some(n % 3);
        match transaction.send(record).await {
            Ok(_in_commit) => {}
            // It failed already; the commit says why.
            Err(SendError::NoTransaction) => break,
            Err(error) => panic!("{error}"),
        }
    }
    if round % 3 == 0 {
        let offsets = [(TopicPartition::new(TOPIC, 0), round)];
        transaction.send_offsets(&offsets, &member()).await?;
    }
    Ok(())
}

async fn all_or_nothing(script: Vec<u8>, transaction_version: i16, later: i16) {
    let fake = Fake::start(1, 3).await;
    fake.state(|state| state.transaction_version = transaction_version);
    fake.faults(scripted(script));
    let config = ProducerConfig {
        client: fake.impatient(),
        ..config(&fake)
    };
    let producer = Producer::new(config).unwrap();
    producer.init_transactions().await.unwrap();
    let (mut committed, mut offsets) = (BTreeSet::new(), BTreeMap::new());
    for round in 0..10_i64 {
        if round == 4 {
            // Whoever connects anew learns of it.
            fake.state(|state| state.transaction_version = later);
        }
        let transaction = producer.begin_transaction().await.unwrap();
        let filled = fill(&transaction, round).await;
        if round % 4 == 3 {
            drop(transaction);
            continue;
        }
        let ended = match filled {
            Ok(()) if round % 4 == 2 => {
                transaction.abort().await.unwrap();
                continue;
            }
            Ok(()) => transaction.commit().await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => {
                committed.insert(round);
                if round % 3 == 0 {
                    offsets.insert(0, round);
                }
            }
            Err(error) => {
                assert!(error.is_abortable(), "round {round}: {error:?}");
                transaction.abort().await.unwrap();
            }
        }
    }
    // Whatever was dropped is ended before the next begins.
    let last = producer.begin_transaction().await.unwrap();
    last.abort().await.unwrap();
    assert_eq!(producer.close(PATIENCE).await, 0);
    for partition in 0..3 {
        let seen = fake.state(|state| state.logs[partition].committed());
        let wanted: Vec<String> = committed
            .iter()
            .flat_map(|round| (0..12).map(move |n| (round, n)))
            .filter(|(_, n)| n % 3 == partition)
            .map(|(round, n)| format!("{round} {n} {}", "x".repeat(60)))
            .collect();
        assert_eq!(seen, wanted, "partition {partition} of {committed:?}");
    }
    fake.state(|state| {
        assert_eq!(state.transactions.offsets, offsets);
        assert_eq!(state.transactions.committed, committed.len());
    });
    fake.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_transaction_is_whole_or_not_there(
        script in proptest::collection::vec(any::<u8>(), 0..60),
        transaction_version in 1_i16..3,
        later in 1_i16..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let run = all_or_nothing(script, transaction_version, later);
            tokio::time::timeout(PATIENCE, run).await.expect("a transaction hangs");
        });
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_late_can_be_waited_for_and_not_aborted() {
    let fake = Fake::start(1, 1).await;
    fake.state(|state| state.transaction_version = 2);
    let mut ends = 0;
    fake.faults(move |api| {
        ends += usize::from(api == ApiKey::EndTxn);
        match (api, ends) {
            (ApiKey::EndTxn, 1..=3) => Fault::DropAfter,
            _ => Fault::None,
        }
    });
    let impatient = ProducerConfig {
        max_block: Duration::from_millis(1),
        ..config(&fake)
    };
    let producer = Producer::new(impatient).unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = producer.init_transactions().await {
        assert!(
            error.is_retriable() && tokio::time::Instant::now() < deadline,
            "{error}"
        );
    }
    let transaction = producer.begin_transaction().await.unwrap();
    let delivery = transaction
        .send(ProducerRecord::new(TOPIC, "once"))
        .await
        .unwrap();
    delivery.await.unwrap();
    let mut waits = 0;
    let mut refused = 0;
    while let Err(error) = transaction.commit().await {
        assert!(error.is_retriable(), "{error}");
        waits += 1;
        if fake.state(|state| state.transactions.committed) == 1 {
            // It took place, whatever this producer knows of it.
            let error = transaction.abort().await.unwrap_err();
            assert!(matches!(error, TransactionError::State { .. }), "{error}");
            refused += 1;
        }
        assert!(tokio::time::Instant::now() < deadline);
    }
    assert!(waits > 0 && refused > 0);
    transaction.commit().await.unwrap();
    producer.close(PATIENCE).await;
    assert_eq!(fake.state(|state| state.logs[0].committed()), ["once"]);
    assert_eq!(fake.state(|state| state.transactions.committed), 1);
    fake.stop().await;
}

#[tokio::test]
async fn what_the_broker_fences_stays_fenced() {
    let fake = Fake::start(1, 1).await;
    let producer = Producer::new(config(&fake)).unwrap();
    producer.init_transactions().await.unwrap();
    let transaction = producer.begin_transaction().await.unwrap();
    fake.faults(|api| match api {
        ApiKey::Produce => Fault::Refuse(ErrorCode::ProducerFenced),
        _ => Fault::None,
    });
    let delivery = transaction
        .send(ProducerRecord::new(TOPIC, "zombie"))
        .await
        .unwrap();
    let error = delivery.await.unwrap_err();
    let code = ErrorCode::ProducerFenced;
    assert!(
        matches!(error, DeliveryError::Rejected { code: c, .. } if c == code),
        "{error}"
    );
    assert!(transaction.commit().await.unwrap_err().is_fatal());
    assert!(transaction.abort().await.unwrap_err().is_fatal());
    drop(transaction);
    assert!(producer.begin_transaction().await.unwrap_err().is_fatal());
    producer.close(PATIENCE).await;
    fake.stop().await;
}
