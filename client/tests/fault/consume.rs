//! Consuming while things go wrong.

use std::time::Duration;

use logway_client::{
    Consumer, ConsumerConfig, ErrorCode, Polled, Producer, ProducerConfig, ProducerRecord, Start,
    TopicPartition,
};
use logway_protocol::api_key::ApiKey;
use proptest::prelude::*;

use super::PATIENCE;
use crate::fake::{Fake, Fault, TOPIC};

fn scripted(script: Vec<u8>) -> impl FnMut(ApiKey) -> Fault + Send {
    let mut script = script.into_iter();
    move |api| match api {
        ApiKey::Fetch | ApiKey::ListOffsets => match script.next().unwrap_or(0) % 12 {
            1 => Fault::DropBefore,
            2 => Fault::DropMidway,
            3 => Fault::Delay(Duration::from_millis(15)),
            4 => Fault::Hang,
            5 => Fault::AnswerTwice,
            6 => Fault::Refuse(ErrorCode::UnknownLeaderEpoch),
            7 => Fault::Refuse(ErrorCode::KafkaStorageError),
            8 => Fault::MoveLeader,
            _ => Fault::None,
        },
        _ => Fault::None,
    }
}

async fn read_all(script: Vec<u8>) {
    let fake = Fake::start(2, 3).await;
    let config = ProducerConfig {
        client: fake.client(),
        batch_size: 300,
        ..Default::default()
    };
    let producer = Producer::new(config).unwrap();
    for n in 0..150 {
        let record = ProducerRecord {
            partition: Some(n % 3),
            ..ProducerRecord::new(TOPIC, format!("{n:06}"))
        };
        let _in_close = producer.send(record).await.unwrap();
    }
    assert_eq!(producer.close(PATIENCE).await, 0);
    fake.faults(scripted(script));
    let consumer = Consumer::new(ConsumerConfig {
        client: fake.impatient(),
        fetch_max_wait: Duration::from_millis(20),
        max_partition_fetch_bytes: 700,
        queued_max_bytes: 2000,
        max_poll_records: 7,
        ..Default::default()
    })
    .unwrap();
    let partitions = (0..3).map(|p| (TopicPartition::new(TOPIC, p), Start::Beginning));
    consumer.assign(partitions.collect()).await.unwrap();
    let mut values = vec![Vec::new(); 3];
    let reading = async {
        while values.iter().map(Vec::len).sum::<usize>() < 150 {
            let Polled::Records(records) = consumer.poll(PATIENCE).await.unwrap() else {
                continue;
            };
            assert!(records.len() <= 7);
            for record in records {
                let of_partition = &mut values[usize::try_from(record.partition).unwrap()];
                assert_eq!(record.offset, i64::try_from(of_partition.len()).unwrap());
                of_partition.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("reading hangs");
    for (partition, values) in values.iter().enumerate() {
        assert_eq!(*values, fake.values(partition));
    }
    consumer.close().await;
    fake.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_record_is_read_once_and_in_order(script in proptest::collection::vec(any::<u8>(), 0..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(read_all(script));
    }
}
