//! Producing.

use std::sync::Arc;
use std::time::Duration;

use logway_client::{
    Acks, Admin, Compression, DeliveryError, EncodedBatch, NewTopic, Producer, ProducerConfig,
    ProducerRecord, RecordHeader,
};
use logway_protocol::batch_builder::BatchBuilder;

use super::{PATIENCE, client, create, fresh, producer, text};

#[tokio::test]
async fn records_get_consecutive_offsets() {
    let Some(client) = client("records_get_consecutive_offsets") else {
        return;
    };
    let topic = fresh("offsets");
    let producer = Producer::new(ProducerConfig {
        ..producer(&client)
    })
    .unwrap();
    let mut deliveries = Vec::new();
    for n in 0..1000 {
        let mut record = ProducerRecord::new(topic.as_str(), format!("value {n}"));
        record.partition = Some(0);
        deliveries.push(producer.send(record).await.unwrap());
    }
    tokio::time::timeout(PATIENCE, producer.flush())
        .await
        .unwrap();
    for (delivery, offset) in deliveries.into_iter().zip(0..) {
        let stored = delivery.await.unwrap();
        assert_eq!((stored.partition, stored.offset), (0, offset));
    }
    assert_eq!(producer.close(PATIENCE).await, 0);
}

#[tokio::test]
async fn every_compression_comes_back_with_keys_headers_and_timestamps() {
    let Some(client) = client("every_compression_comes_back") else {
        return;
    };
    for compression in Compression::ALL {
        let topic = fresh(&format!("codec-{compression}"));
        create(&client, &topic, 1).await;
        let config = ProducerConfig {
            compression,
            linger: Duration::from_millis(20),
            ..producer(&client)
        };
        let producer = Producer::new(config).unwrap();
        for n in 0..200_i64 {
            let mut record = ProducerRecord::new(topic.as_str(), format!("value {n}").repeat(20));
            record.partition = Some(0);
            record.key = (n % 2 == 0).then(|| format!("key {n}").into());
            record.value = record.value.filter(|_| n % 50 != 0);
            record.timestamp = Some(1_700_000_000_000 + n);
            record.headers = vec![
                RecordHeader {
                    key: "logway.position".into(),
                    value: Some(n.to_string().into()),
                },
                RecordHeader {
                    key: "empty".into(),
                    value: None,
                },
            ];
            let _in_close = producer.send(record).await.unwrap();
        }
        assert_eq!(producer.close(PATIENCE).await, 0);
        let records = super::consume::read_topic(&client, &topic, 200).await;
        for (record, n) in records.iter().zip(0_i64..) {
            let key = (n % 2 == 0).then(|| format!("key {n}").into_bytes());
            let value = (n % 50 != 0).then(|| format!("value {n}").repeat(20).into_bytes());
            assert_eq!(record.key.as_deref(), key.as_deref(), "{compression}");
            assert_eq!(record.value.as_deref(), value.as_deref(), "{compression}");
            assert_eq!(
                (record.offset, record.timestamp),
                (n, 1_700_000_000_000 + n)
            );
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|h| (&*h.key, h.value.as_deref()))
                .collect();
            let position = n.to_string();
            let wanted = [
                ("logway.position", Some(position.as_bytes())),
                ("empty", None),
            ];
            assert_eq!(headers, wanted);
        }
    }
}

#[tokio::test]
async fn edge_batches_and_every_kind_of_acks() {
    let Some(client) = client("edge_batches_and_every_kind_of_acks") else {
        return;
    };
    let topic: Arc<str> = fresh("edge").into();
    create(&client, &topic, 1).await;
    let mut count = 0;
    for (acks, enable_idempotence) in [
        (Acks::All, true),
        (Acks::All, false),
        (Acks::Leader, false),
        (Acks::None, false),
    ] {
        let config = ProducerConfig {
            acks,
            enable_idempotence,
            ..producer(&client)
        };
        let producer = Producer::new(config).unwrap();
        for _ in 0..20 {
            let mut builder = BatchBuilder::new(Compression::Lz4);
            for _ in 0..50 {
                builder
                    .append(7, None, Some(format!("value {count}").as_bytes()), &[])
                    .unwrap();
                count += 1;
            }
            let batch = EncodedBatch {
                bytes: builder.build().unwrap(),
                records: 50,
                when_too_large: logway_client::WhenTooLarge::Split,
            };
            let delivery = producer.send_batch(&topic, Some(0), batch).await.unwrap();
            if acks != Acks::None {
                assert_eq!(delivery.await.unwrap().offset, count - 50);
            }
        }
        assert_eq!(producer.close(PATIENCE).await, 0);
        // Without an acknowledgement the end has to be waited for before the next producer begins.
        assert_eq!(
            super::consume::read_topic(&client, &topic, count)
                .await
                .len() as i64,
            count
        );
    }
    let records = super::consume::read_topic(&client, &topic, count).await;
    for (record, n) in records.iter().zip(0..) {
        assert_eq!(text(record), format!("value {n}"));
    }
}

#[tokio::test]
async fn a_record_too_large_for_the_topic_is_reported_and_its_neighbours_arrive() {
    let Some(client) = client("a_record_too_large_for_the_topic") else {
        return;
    };
    let topic = fresh("large");
    let admin = Admin::new(client.clone()).unwrap();
    let configs = vec![("max.message.bytes".to_owned(), "20000".to_owned())];
    let new = NewTopic {
        partitions: 1,
        configs,
        ..NewTopic::new(topic.as_str())
    };
    admin.create_topic(new).await.unwrap();
    let config = ProducerConfig {
        batch_size: 200_000,
        linger: Duration::from_millis(50),
        ..producer(&client)
    };
    let producer = Producer::new(config).unwrap();
    let mut deliveries = Vec::new();
    for n in 0..30 {
        let size = if n == 11 { 30_000 } else { 3000 };
        let record = ProducerRecord::new(topic.as_str(), vec![b'x'; size]);
        deliveries.push(producer.send(record).await.unwrap());
    }
    let mut next = 0;
    for (delivery, n) in deliveries.into_iter().zip(0..) {
        match delivery.await {
            Ok(stored) => {
                assert_eq!(stored.offset, next);
                next += 1;
            }
            Err(error) => assert!(
                n == 11 && matches!(error, DeliveryError::TooLarge { .. }),
                "{error}"
            ),
        }
    }
    assert_eq!(next, 29);
    assert_eq!(producer.close(PATIENCE).await, 0);
}

/// The partition Java's producer chooses for a key, by Kafka's own golden hashes.
#[tokio::test]
async fn keys_go_where_java_sends_them() {
    let Some(client) = client("keys_go_where_java_sends_them") else {
        return;
    };
    let topic = fresh("keys");
    create(&client, &topic, 6).await;
    let producer = Producer::new(producer(&client)).unwrap();
    for (key, hash) in [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("abc", 479_470_107),
    ] {
        let record = ProducerRecord::new(topic.as_str(), "v").with_key(key);
        let stored = producer.send(record).await.unwrap().await.unwrap();
        assert_eq!(stored.partition, (hash & 0x7fff_ffff) % 6, "{key}");
    }
    assert_eq!(producer.close(PATIENCE).await, 0);
}
