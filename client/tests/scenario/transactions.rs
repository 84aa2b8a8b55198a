//! Transactions: all or nothing under read_committed, fencing, offsets that go with the records.

use std::time::Duration;

use logway_client::{
    AutoOffsetReset, ClientConfig, Consumer, ConsumerConfig, DeliveryError, IsolationLevel, Polled,
    Producer, ProducerConfig, ProducerRecord, SendError, Start, TopicPartition, TransactionError,
    next_offsets,
};
use tokio::time::Instant;

use super::{PATIENCE, client, create, fill, fresh, text};

fn config(client: &ClientConfig, id: &str) -> ProducerConfig {
    ProducerConfig {
        client: client.clone(),
        transactional_id: Some(id.to_owned()),
        ..Default::default()
    }
}

fn record(topic: &str, partition: i32, value: impl Into<String>) -> ProducerRecord {
    let mut record = ProducerRecord::new(topic, value.into());
    record.partition = Some(partition);
    record
}

/// Everything in a topic's first `partitions` partitions, until their ends.
async fn read_all(
    client: &ClientConfig,
    topic: &str,
    partitions: i32,
    isolation_level: IsolationLevel,
) -> Vec<String> {
    let consumer = Consumer::new(ConsumerConfig {
        client: client.clone(),
        isolation_level,
        auto_offset_reset: AutoOffsetReset::Earliest,
        ..Default::default()
    })
    .unwrap();
    let all: Vec<_> = (0..partitions)
        .map(|p| TopicPartition::new(topic, p))
        .collect();
    let ends = consumer.end_offsets(&all).await.unwrap();
    let starts = all.iter().map(|p| (p.clone(), Start::Beginning)).collect();
    consumer.assign(starts).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut values = Vec::new();
    while ends
        .iter()
        .any(|(p, end)| consumer.position(p).is_none_or(|position| position < *end))
    {
        assert!(Instant::now() < deadline, "{values:?} of {ends:?}");
        if let Polled::Records(records) = consumer.poll(Duration::from_millis(100)).await.unwrap() {
            values.extend(records.iter().map(text));
        }
    }
    consumer.close().await;
    values.sort();
    values
}

#[tokio::test]
async fn committed_records_are_seen_and_aborted_ones_are_not() {
    let Some(client) = client("committed_records_are_seen_and_aborted_ones_are_not") else {
        return;
    };
    let topic = fresh("txn");
    create(&client, &topic, 3).await;
    let producer = Producer::new(config(&client, &fresh("id"))).unwrap();
    assert!(matches!(
        producer.send(record(&topic, 0, "too early")).await,
        Err(SendError::NoTransaction)
    ));
    producer.init_transactions().await.unwrap();
    let mut wanted = Vec::new();
    for round in 0..6 {
        let transaction = producer.begin_transaction().await.unwrap();
        let mut deliveries = Vec::new();
        for n in 0..9 {
            let value = format!("{round} {n}");
            let partition = n % 3;
            deliveries.push(
                transaction
                    .send(record(&topic, partition, &value))
                    .await
                    .unwrap(),
            );
            if round % 2 == 0 {
                wanted.push(value);
            }
        }
        if round % 2 == 0 {
            transaction.commit().await.unwrap();
            for delivery in deliveries {
                delivery.await.unwrap();
            }
            // A second time is the same answer, not a second commit.
            transaction.commit().await.unwrap();
        } else {
            if round == 3 {
                producer.flush().await;
            }
            transaction.abort().await.unwrap();
        }
    }
    // One that ends without records costs no request.
    producer
        .begin_transaction()
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    producer
        .begin_transaction()
        .await
        .unwrap()
        .abort()
        .await
        .unwrap();
    assert_eq!(producer.close(PATIENCE).await, 0);
    wanted.sort();
    assert_eq!(
        read_all(&client, &topic, 3, IsolationLevel::ReadCommitted).await,
        wanted
    );
    let all = read_all(&client, &topic, 3, IsolationLevel::ReadUncommitted).await;
    assert!(all.contains(&"3 0".to_owned()), "{all:?}");
    assert!(wanted.iter().all(|value| all.contains(value)));
}

#[tokio::test]
async fn a_dropped_transaction_is_aborted_and_the_next_begins() {
    let Some(client) = client("a_dropped_transaction_is_aborted_and_the_next_begins") else {
        return;
    };
    let topic = fresh("drop");
    create(&client, &topic, 1).await;
    let producer = Producer::new(config(&client, &fresh("id"))).unwrap();
    producer.init_transactions().await.unwrap();
    let transaction = producer.begin_transaction().await.unwrap();
    transaction
        .send(record(&topic, 0, "dropped"))
        .await
        .unwrap()
        .await
        .unwrap();
    let late = transaction
        .send(record(&topic, 0, "dropped too"))
        .await
        .unwrap();
    drop(transaction);
    // It may have been on its way already.
    if let Err(error) = late.await {
        assert!(matches!(error, DeliveryError::Aborted), "{error}");
    }
    let next = producer.begin_transaction().await.unwrap();
    assert!(matches!(
        producer.begin_transaction().await,
        Err(TransactionError::State { .. })
    ));
    let _in_commit = next.send(record(&topic, 0, "kept")).await.unwrap();
    next.commit().await.unwrap();
    drop(next);
    // Closing aborts what is open.
    let open = producer.begin_transaction().await.unwrap();
    open.send(record(&topic, 0, "open"))
        .await
        .unwrap()
        .await
        .unwrap();
    producer.close(PATIENCE).await;
    assert_eq!(
        read_all(&client, &topic, 1, IsolationLevel::ReadCommitted).await,
        ["kept"]
    );
}

#[tokio::test]
async fn a_newer_producer_fences_the_older() {
    let Some(client) = client("a_newer_producer_fences_the_older") else {
        return;
    };
    let (topic, id) = (fresh("fence"), fresh("id"));
    create(&client, &topic, 1).await;
    let older = Producer::new(config(&client, &id)).unwrap();
    older.init_transactions().await.unwrap();
    let left_open = older.begin_transaction().await.unwrap();
    left_open
        .send(record(&topic, 0, "zombie"))
        .await
        .unwrap()
        .await
        .unwrap();
    let newer = Producer::new(config(&client, &id)).unwrap();
    newer.init_transactions().await.unwrap();
    let transaction = newer.begin_transaction().await.unwrap();
    let _in_commit = transaction.send(record(&topic, 0, "alive")).await.unwrap();
    transaction.commit().await.unwrap();
    let error = left_open.commit().await.unwrap_err();
    assert!(
        error.is_fatal() && matches!(error, TransactionError::Fenced { .. }),
        "{error}"
    );
    assert!(older.begin_transaction().await.unwrap_err().is_fatal());
    assert_eq!(
        read_all(&client, &topic, 1, IsolationLevel::ReadCommitted).await,
        ["alive"]
    );
    older.close(PATIENCE).await;
    newer.close(PATIENCE).await;
}

#[tokio::test]
async fn records_and_offsets_go_together() {
    let Some(client) = client("records_and_offsets_go_together") else {
        return;
    };
    let (input, output, group) = (fresh("in"), fresh("out"), fresh("group"));
    create(&client, &input, 2).await;
    create(&client, &output, 1).await;
    fill(&client, &input, 40).await;
    let consumer = Consumer::new(ConsumerConfig {
        client: client.clone(),
        group_id: Some(group.clone()),
        auto_offset_reset: AutoOffsetReset::Earliest,
        isolation_level: IsolationLevel::ReadCommitted,
        max_poll_records: 7,
        ..Default::default()
    })
    .unwrap();
    consumer.subscribe([input.as_str()]).await.unwrap();
    let producer = Producer::new(config(&client, &fresh("id"))).unwrap();
    producer.init_transactions().await.unwrap();
    let (mut done, mut round) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    while done < 40 {
        assert!(Instant::now() < deadline, "{done} of 40");
        let Polled::Records(records) = consumer.poll(Duration::from_millis(500)).await.unwrap()
        else {
            continue;
        };
        round += 1;
        let transaction = producer.begin_transaction().await.unwrap();
        for read in &records {
            let value = format!("{} again", text(read));
            let _in_commit = transaction.send(record(&output, 0, value)).await.unwrap();
        }
        let positions = next_offsets(&records);
        let member = consumer.group_metadata().unwrap();
        transaction.send_offsets(&positions, &member).await.unwrap();
        if round % 2 == 1 {
            transaction.abort().await.unwrap();
            // What was read counts for nothing: back to what is committed.
            for partition in consumer.assignment() {
                consumer.seek_to(&partition, Start::Committed).unwrap();
            }
        } else {
            transaction.commit().await.unwrap();
            done += records.len();
        }
    }
    producer.close(PATIENCE).await;
    consumer.close().await;
    let mut wanted: Vec<_> = (0..40).map(|n| format!("value {n} again")).collect();
    wanted.sort();
    assert_eq!(
        read_all(&client, &output, 1, IsolationLevel::ReadCommitted).await,
        wanted
    );
    let admin = logway_client::Admin::new(client.clone()).unwrap();
    let committed = admin.group_offsets(&group).await.unwrap();
    assert!(
        committed
            .iter()
            .all(|(_, committed)| committed.offset == 20),
        "{committed:?}"
    );
}

#[tokio::test]
async fn offsets_of_a_stranger_are_refused_and_the_producer_goes_on() {
    let name = "offsets_of_a_stranger_are_refused_and_the_producer_goes_on";
    let Some(client) = client(name) else { return };
    let (topic, group) = (fresh("stranger"), fresh("group"));
    create(&client, &topic, 1).await;
    let consumer = Consumer::new(ConsumerConfig {
        client: client.clone(),
        group_id: Some(group.clone()),
        ..Default::default()
    })
    .unwrap();
    consumer.subscribe([topic.as_str()]).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while consumer.assignment().is_empty() {
        assert!(Instant::now() < deadline);
        consumer.poll(Duration::from_millis(100)).await.unwrap();
    }
    let producer = Producer::new(config(&client, &fresh("id"))).unwrap();
    producer.init_transactions().await.unwrap();
    let transaction = producer.begin_transaction().await.unwrap();
    let _in_abort = transaction.send(record(&topic, 0, "torn")).await.unwrap();
    let mut stranger = consumer.group_metadata().unwrap();
    stranger.generation += 7;
    let offsets = [(TopicPartition::new(topic.as_str(), 0), 1)];
    let error = transaction
        .send_offsets(&offsets, &stranger)
        .await
        .unwrap_err();
    assert!(error.is_abortable(), "{error}");
    assert!(transaction.commit().await.unwrap_err().is_abortable());
    transaction.abort().await.unwrap();
    let transaction = producer.begin_transaction().await.unwrap();
    let _in_commit = transaction.send(record(&topic, 0, "whole")).await.unwrap();
    transaction.commit().await.unwrap();
    producer.close(PATIENCE).await;
    consumer.close().await;
    assert_eq!(
        read_all(&client, &topic, 1, IsolationLevel::ReadCommitted).await,
        ["whole"]
    );
    let admin = logway_client::Admin::new(client.clone()).unwrap();
    assert_eq!(admin.group_offsets(&group).await.unwrap(), []);
}

#[tokio::test]
async fn a_transaction_that_times_out_fences_its_producer_or_is_aborted() {
    let Some(client) = client("a_transaction_that_times_out_fences_its_producer_or_is_aborted")
    else {
        return;
    };
    let topic = fresh("timeout");
    create(&client, &topic, 1).await;
    let hasty = ProducerConfig {
        transaction_timeout: Duration::from_millis(500),
        ..config(&client, &fresh("id"))
    };
    let producer = Producer::new(hasty).unwrap();
    producer.init_transactions().await.unwrap();
    let transaction = producer.begin_transaction().await.unwrap();
    transaction
        .send(record(&topic, 0, "late"))
        .await
        .unwrap()
        .await
        .unwrap();
    // The coordinator's abort is done once a reader of committed records gets past it.
    tokio::time::timeout(PATIENCE, async {
        let consumer = Consumer::new(ConsumerConfig {
            client: client.clone(),
            isolation_level: IsolationLevel::ReadCommitted,
            ..Default::default()
        })
        .unwrap();
        let partition = TopicPartition::new(topic.as_str(), 0);
        let start = vec![(partition.clone(), Start::Beginning)];
        consumer.assign(start).await.unwrap();
        while consumer
            .position(&partition)
            .is_none_or(|position| position < 2)
        {
            assert!(matches!(
                consumer.poll(Duration::from_millis(100)).await.unwrap(),
                Polled::Idle
            ));
        }
        consumer.close().await;
    })
    .await
    .unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert!(error.is_fatal() || error.is_abortable(), "{error}");
    drop(transaction);
    producer.close(PATIENCE).await;
    let seen = read_all(&client, &topic, 1, IsolationLevel::ReadCommitted).await;
    assert_eq!(seen, Vec::<String>::new());
}
