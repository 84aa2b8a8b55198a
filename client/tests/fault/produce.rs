//! Producing while things go wrong.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use logway_client::{
    Acks, Compression, DeliveryError, EncodedBatch, ErrorCode, Producer, ProducerConfig,
    ProducerRecord, RecordHeader, SendError,
};
use logway_protocol::api_key::ApiKey;
use logway_protocol::batch_builder::BatchBuilder;
use proptest::prelude::*;

use super::PATIENCE;
use crate::fake::{Fake, Fault, TOPIC};

fn config(fake: &Fake) -> ProducerConfig {
    ProducerConfig {
        client: fake.client(),
        linger: Duration::ZERO,
        batch_size: 200,
        delivery_timeout: None,
        ..Default::default()
    }
}

fn record(partition: i32, value: impl Into<Bytes>) -> ProducerRecord {
    ProducerRecord {
        partition: Some(partition),
        ..ProducerRecord::new(TOPIC, value)
    }
}

/// A fault for each produce request, by the bytes of `script`; in the end none.
fn scripted(script: Vec<u8>) -> impl FnMut(ApiKey) -> Fault + Send {
    let mut script = script.into_iter();
    let mut corrupted = 0;
    move |api| match api {
        ApiKey::Produce => match script.next().unwrap_or(0) % 16 {
            1 => Fault::DropBefore,
            2 => Fault::DropAfter,
            3 => Fault::DropMidway,
            4 => Fault::Delay(Duration::from_millis(15)),
            5 => Fault::Hang,
            6 => Fault::AnswerTwice,
            7 => Fault::Refuse(ErrorCode::NotEnoughReplicas),
            8 => Fault::Refuse(ErrorCode::UnknownTopicOrPartition),
            9 => Fault::MoveLeader,
            // More often than the wire alone would do it is reported.
            10 if corrupted < 2 => {
                corrupted += 1;
                Fault::Refuse(ErrorCode::CorruptMessage)
            }
            _ => Fault::None,
        },
        _ => Fault::None,
    }
}

async fn deliver_all(script: Vec<u8>, nodes: usize) {
    let fake = Fake::start(nodes, 3).await;
    fake.faults(scripted(script));
    let config = ProducerConfig {
        client: fake.impatient(),
        ..config(&fake)
    };
    let producer = Producer::new(config).unwrap();
    let mut deliveries = Vec::new();
    for n in 0..120 {
        let partition = n % 3;
        let delivery = producer
            .send(record(partition, format!("{n:06}")))
            .await
            .unwrap();
        deliveries.push((partition, n, delivery));
        if n % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::timeout(PATIENCE, producer.flush())
        .await
        .expect("flush hangs");
    for partition in 0..3 {
        let values = fake.values(usize::try_from(partition).unwrap());
        let wanted = (0..120)
            .filter(|n| n % 3 == partition)
            .map(|n| format!("{n:06}"));
        assert_eq!(values, wanted.collect::<Vec<_>>(), "partition {partition}");
    }
    for (partition, n, delivery) in deliveries {
        let stored = delivery.await.unwrap();
        assert_eq!(
            (stored.partition, stored.offset),
            (partition, i64::from(n / 3))
        );
    }
    assert_eq!(producer.close(PATIENCE).await, 0);
    fake.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_record_arrives_once_and_in_order(script in proptest::collection::vec(any::<u8>(), 0..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(deliver_all(script, 2));
    }
}

/// Without idempotence, faults before the append only: order is kept all the same.
#[tokio::test]
async fn order_is_kept_without_idempotence() {
    let fake = Fake::start(2, 1).await;
    let mut n = 0;
    fake.faults(move |api| {
        n += usize::from(api == ApiKey::Produce);
        match (api, n % 3) {
            (ApiKey::Produce, 1) => Fault::DropBefore,
            (ApiKey::Produce, 2) => Fault::Refuse(ErrorCode::NotEnoughReplicas),
            _ => Fault::None,
        }
    });
    let config = ProducerConfig {
        enable_idempotence: false,
        acks: Acks::Leader,
        ..config(&fake)
    };
    let producer = Producer::new(config).unwrap();
    for n in 0..100 {
        let _in_flush = producer.send(record(0, format!("{n:06}"))).await.unwrap();
    }
    tokio::time::timeout(PATIENCE, producer.flush())
        .await
        .unwrap();
    assert_eq!(
        fake.values(0),
        (0..100).map(|n| format!("{n:06}")).collect::<Vec<_>>()
    );
    assert!(producer.stats().retries > 0);
}

#[tokio::test]
async fn a_broker_that_forgets_its_producers_is_numbered_anew() {
    let fake = Fake::start(1, 1).await;
    fake.state(|state| state.logs[0].is_strict = true);
    let mut n = 0;
    fake.faults(move |api| {
        n += usize::from(api == ApiKey::Produce);
        if api == ApiKey::Produce && n % 4 == 0 {
            Fault::ForgetProducers
        } else {
            Fault::None
        }
    });
    let producer = Producer::new(config(&fake)).unwrap();
    let mut deliveries = Vec::new();
    for n in 0..100 {
        deliveries.push(producer.send(record(0, format!("{n:06}"))).await.unwrap());
    }
    tokio::time::timeout(PATIENCE, producer.flush())
        .await
        .unwrap();
    assert_eq!(
        fake.values(0),
        (0..100).map(|n| format!("{n:06}")).collect::<Vec<_>>()
    );
    for (delivery, offset) in deliveries.into_iter().zip(0..) {
        assert_eq!(delivery.await.unwrap().offset, offset);
    }
    assert_eq!(
        fake.state(|state| state.requests[&ApiKey::InitProducerId]),
        1
    );
}

#[tokio::test]
async fn batches_too_large_are_halved_and_a_single_record_is_reported() {
    for enable_idempotence in [true, false] {
        let fake = Fake::start(1, 1).await;
        fake.state(|state| state.batch_max = 400);
        let config = ProducerConfig {
            enable_idempotence,
            batch_size: 4000,
            linger: Duration::from_millis(20),
            compression: Compression::None,
            ..config(&fake)
        };
        let producer = Producer::new(config).unwrap();
        let mut deliveries = Vec::new();
        for n in 0..50 {
            let value = if n == 20 {
                "x".repeat(1000)
            } else {
                format!("{n:06}")
            };
            deliveries.push(producer.send(record(0, value)).await.unwrap());
        }
        tokio::time::timeout(PATIENCE, producer.flush())
            .await
            .unwrap();
        let mut offset = 0;
        for (delivery, n) in deliveries.into_iter().zip(0..) {
            match delivery.await {
                Ok(stored) => {
                    assert_eq!(stored.offset, offset, "record {n}");
                    offset += 1;
                }
                Err(error) => {
                    assert_eq!(n, 20, "{error}");
                    assert!(matches!(error, DeliveryError::TooLarge { .. }), "{error}");
                }
            }
        }
        let wanted: Vec<_> = (0..50)
            .filter(|n| *n != 20)
            .map(|n| format!("{n:06}"))
            .collect();
        assert_eq!(fake.values(0), wanted, "idempotence {enable_idempotence}");
        assert_eq!(producer.stats().failed_records, 1);
    }
}

fn encoded(values: &[&str]) -> EncodedBatch {
    let mut builder = BatchBuilder::new(Compression::Lz4);
    for value in values {
        builder
            .append(1, None, Some(value.as_bytes()), &[("h", Some(b"1"))])
            .unwrap();
    }
    let records = i32::try_from(values.len()).unwrap();
    EncodedBatch {
        bytes: builder.build().unwrap(),
        records,
        when_too_large: logway_client::WhenTooLarge::Split,
    }
}

#[tokio::test]
async fn edge_batches_travel_unchanged_and_in_order() {
    let fake = Fake::start(1, 2).await;
    fake.faults(scripted(vec![0, 1, 0, 2, 7, 0, 3]));
    let config = ProducerConfig {
        enable_idempotence: false,
        acks: Acks::All,
        ..config(&fake)
    };
    let topic: Arc<str> = TOPIC.into();
    let first = encoded(&["a", "b", "c"]);
    let bytes = first.bytes.clone();
    let producer = Producer::new(config).unwrap();
    let delivery = producer.send_batch(&topic, Some(1), first).await.unwrap();
    assert_eq!(delivery.await.unwrap().offset, 0);
    let stored = fake.state(|state| state.logs[1].batches());
    assert_eq!(
        stored[0][8..],
        bytes[8..],
        "only the base offset may differ"
    );
    producer.close(PATIENCE).await;

    let producer = Producer::new(self::config(&fake)).unwrap();
    let mut deliveries = Vec::new();
    for n in 0..20 {
        let batch = encoded(&[&format!("{n}-x"), &format!("{n}-y")]);
        deliveries.push(producer.send_batch(&topic, Some(0), batch).await.unwrap());
    }
    let free = producer
        .try_send_batch(&topic, None, encoded(&["anywhere"]))
        .unwrap();
    for (delivery, n) in deliveries.into_iter().zip(0..) {
        assert_eq!(delivery.await.unwrap().offset, n * 2);
    }
    let partition = usize::try_from(free.await.unwrap().partition).unwrap();
    assert!(fake.values(partition).contains(&"anywhere".to_owned()));
    let wanted: Vec<_> = (0..20)
        .flat_map(|n| [format!("{n}-x"), format!("{n}-y")])
        .collect();
    let values = fake.values(0);
    assert_eq!(
        values
            .iter()
            .filter(|v| *v != "anywhere")
            .collect::<Vec<_>>(),
        wanted.iter().collect::<Vec<_>>()
    );
    let mut broken = encoded(&["a"]);
    broken.bytes = broken.bytes.slice(..broken.bytes.len() - 1);
    let refused = producer.try_send_batch(&topic, None, broken);
    assert!(matches!(refused, Err(SendError::InvalidBatch(_))));
    let miscounted = EncodedBatch {
        records: 2,
        ..encoded(&["a"])
    };
    assert!(producer.try_send_batch(&topic, None, miscounted).is_err());
}

#[tokio::test]
async fn too_large_edge_batches_are_halved_too() {
    let fake = Fake::start(1, 1).await;
    fake.state(|state| state.batch_max = 150);
    let producer = Producer::new(config(&fake)).unwrap();
    let values: Vec<String> = (0..40).map(|n| format!("value {}", n * 7919)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let delivery = producer
        .send_batch(&TOPIC.into(), Some(0), encoded(&values))
        .await
        .unwrap();
    assert_eq!(delivery.await.unwrap().offset, 0);
    assert_eq!(fake.values(0), values);
}

#[tokio::test]
async fn keys_headers_and_sticky_partitions() {
    let fake = Fake::start(2, 4).await;
    let producer = Producer::new(config(&fake)).unwrap();
    let mut deliveries = Vec::new();
    // Some of these are taken before the number of partitions is known, some after.
    for n in 0..200 {
        let mut record =
            ProducerRecord::new(TOPIC, format!("{n}")).with_key(format!("key {}", n % 7));
        record.headers = vec![RecordHeader {
            key: "h".into(),
            value: None,
        }];
        deliveries.push((n, producer.try_send(record).unwrap()));
        if n == 100 {
            producer.flush().await;
        }
    }
    for n in 0..50 {
        let sticky = producer
            .try_send(ProducerRecord::new(TOPIC, format!("sticky {n}")))
            .unwrap();
        deliveries.push((1000, sticky));
    }
    let mut partitions = [None; 7];
    for (n, delivery) in deliveries {
        let stored = delivery.await.unwrap();
        if n < 1000 {
            let known = partitions[n % 7].get_or_insert(stored.partition);
            assert_eq!(*known, stored.partition, "equal keys stay together");
        }
    }
    let all: usize = (0..4).map(|partition| fake.values(partition).len()).sum();
    assert_eq!(all, 250);
}

#[tokio::test]
async fn delivery_timeouts_are_reported_and_the_rest_goes_on() {
    let fake = Fake::start(1, 1).await;
    fake.faults(|api| match api {
        ApiKey::Produce => Fault::Refuse(ErrorCode::NotEnoughReplicas),
        _ => Fault::None,
    });
    // Longer than a busy machine takes for the record that is to be in time.
    let timeout = Duration::from_secs(3);
    let config = ProducerConfig {
        delivery_timeout: Some(timeout),
        ..config(&fake)
    };
    let producer = Producer::new(config).unwrap();
    let late = producer
        .send(record(0, "late"))
        .await
        .unwrap()
        .await
        .unwrap_err();
    assert!(
        matches!(
            late,
            DeliveryError::TimedOut {
                last: Some(ErrorCode::NotEnoughReplicas),
                ..
            }
        ),
        "{late}"
    );
    fake.faults(|_| Fault::None);
    assert_eq!(
        producer
            .send(record(0, "in time"))
            .await
            .unwrap()
            .await
            .unwrap()
            .offset,
        0
    );
    assert_eq!(fake.values(0), ["in time"]);
    let beyond = producer
        .send(record(7, "nowhere"))
        .await
        .unwrap()
        .await
        .unwrap_err();
    assert!(
        matches!(beyond, DeliveryError::UnknownPartition { partition: 7, .. }),
        "{beyond}"
    );
}

#[tokio::test]
async fn refusals_for_good_are_reported_at_once() {
    let fake = Fake::start(1, 1).await;
    let mut first = true;
    fake.faults(move |api| match api {
        ApiKey::Produce if std::mem::take(&mut first) => {
            Fault::Refuse(ErrorCode::TopicAuthorizationFailed)
        }
        _ => Fault::None,
    });
    let producer = Producer::new(config(&fake)).unwrap();
    let refused = producer
        .send(record(0, "a"))
        .await
        .unwrap()
        .await
        .unwrap_err();
    let code = ErrorCode::TopicAuthorizationFailed;
    assert!(
        matches!(refused, DeliveryError::Rejected { code: c, .. } if c == code),
        "{refused}"
    );
    // The gap in the numbers does not stop what follows.
    assert_eq!(
        producer
            .send(record(0, "b"))
            .await
            .unwrap()
            .await
            .unwrap()
            .offset,
        0
    );
}

#[tokio::test]
async fn old_brokers_are_spoken_to_in_their_versions() {
    let fake = Fake::start(1, 1).await;
    // Kafka 2.1.
    fake.state(|state| {
        state.version_max = [
            (ApiKey::ApiVersions, 2),
            (ApiKey::Metadata, 7),
            (ApiKey::Produce, 7),
            (ApiKey::InitProducerId, 1),
        ]
        .into();
    });
    let producer = Producer::new(config(&fake)).unwrap();
    let stored = producer
        .send(record(0, "old"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(stored.offset, 0);
    let config = ProducerConfig {
        acks: Acks::None,
        enable_idempotence: false,
        max_in_flight: 20,
        ..config(&fake)
    };
    let producer = Producer::new(config).unwrap();
    let told = producer
        .send(record(0, "told"))
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(told.offset, -1);
}

#[tokio::test]
async fn a_batch_its_maker_can_divide_is_refused_whole() {
    let fake = Fake::start(1, 1).await;
    fake.state(|state| state.batch_max = 150);
    let producer = Producer::new(config(&fake)).unwrap();
    let long: Vec<String> = (0..40).map(|n| format!("value {}", n * 7919)).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let whole = EncodedBatch {
        when_too_large: logway_client::WhenTooLarge::Fail,
        ..encoded(&long)
    };
    let refused = producer
        .send_batch(&TOPIC.into(), Some(0), whole)
        .await
        .unwrap();
    let next = producer
        .send_batch(&TOPIC.into(), Some(0), encoded(&["next"]))
        .await
        .unwrap();
    let error = refused.await.unwrap_err();
    assert!(matches!(error, DeliveryError::TooLarge { .. }), "{error}");
    assert_eq!(next.await.unwrap().offset, 0);
    assert_eq!(fake.values(0), ["next"]);
}
