//! Consuming, alone and in groups.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use logway_client::{
    AutoOffsetReset, ClientConfig, CommitError, ConsumeError, Consumer, ConsumerConfig,
    ConsumerRecord, Polled, Start, TopicPartition,
};
use tokio::time::Instant;

use super::{PATIENCE, client, create, fill, fresh, text};

pub(super) fn config(client: &ClientConfig, group: Option<&str>) -> ConsumerConfig {
    ConsumerConfig {
        client: client.clone(),
        group_id: group.map(str::to_owned),
        auto_offset_reset: AutoOffsetReset::Earliest,
        session_timeout: Duration::from_secs(6),
        heartbeat_interval: Duration::from_millis(200),
        max_poll_interval: Duration::from_secs(20),
        ..Default::default()
    }
}

/// Polls until `count` records are there; other events are passed over.
pub(super) async fn read(consumer: &Consumer, count: usize) -> Vec<ConsumerRecord> {
    let deadline = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    while records.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} records",
            records.len()
        );
        if let Polled::Records(more) = consumer.poll(Duration::from_millis(500)).await.unwrap() {
            records.extend(more);
        }
    }
    records
}

/// The first `count` records of a topic's partition 0.
pub(crate) async fn read_topic(
    client: &ClientConfig,
    topic: &str,
    count: i64,
) -> Vec<ConsumerRecord> {
    let consumer = Consumer::new(config(client, None)).unwrap();
    let start = (TopicPartition::new(topic, 0), Start::Beginning);
    consumer.assign(vec![start]).await.unwrap();
    let records = read(&consumer, usize::try_from(count).unwrap()).await;
    consumer.close().await;
    records
}

/// Polls until the consumer has exactly this many partitions, for a while.
async fn settle(consumers: &[&Consumer], partitions: &[usize]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for consumer in consumers {
            let _events = consumer.poll(Duration::from_millis(50)).await.unwrap();
        }
        let mut shares: Vec<usize> = consumers.iter().map(|c| c.assignment().len()).collect();
        shares.sort_unstable();
        if shares == partitions {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "shares {shares:?}, wanted {partitions:?}"
        );
    }
}

#[tokio::test]
async fn assigned_partitions_are_read_from_every_start() {
    let Some(client) = client("assigned_partitions_are_read_from_every_start") else {
        return;
    };
    let topic = fresh("starts");
    create(&client, &topic, 1).await;
    fill(&client, &topic, 100).await;
    let consumer = Consumer::new(config(&client, None)).unwrap();
    let partition = TopicPartition::new(topic.as_str(), 0);
    for (start, first) in [
        (Start::Beginning, 0),
        (Start::Offset(40), 40),
        (Start::Timestamp(1_000_070), 70),
    ] {
        consumer
            .assign(vec![(partition.clone(), start)])
            .await
            .unwrap();
        let records = read(&consumer, 100 - first).await;
        assert_eq!(records.len(), 100 - first);
        for (record, n) in records.iter().zip(first..) {
            assert_eq!(text(record), format!("value {n}"));
            assert_eq!(record.offset, n as i64);
            assert_eq!(record.timestamp, 1_000_000 + n as i64);
        }
        assert_eq!(consumer.position(&partition), Some(100));
    }
    let watermarks = consumer.watermarks(&partition).unwrap();
    assert_eq!(
        (watermarks.low, watermarks.high, consumer.lag(&partition)),
        (0, 100, Some(0))
    );
    for start in [Start::End, Start::Timestamp(2_000_000)] {
        consumer
            .assign(vec![(partition.clone(), start)])
            .await
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while consumer.position(&partition).is_none() {
            assert!(Instant::now() < deadline);
            assert!(matches!(
                consumer.poll(Duration::from_millis(20)).await.unwrap(),
                Polled::Idle
            ));
        }
        assert_eq!(consumer.position(&partition), Some(100));
    }
    consumer.close().await;
    assert!(matches!(
        consumer.poll(Duration::ZERO).await,
        Err(ConsumeError::Closed)
    ));
}

#[tokio::test]
async fn seek_pause_and_resume() {
    let Some(client) = client("seek_pause_and_resume") else {
        return;
    };
    let topic = fresh("seek");
    create(&client, &topic, 2).await;
    fill(&client, &topic, 10).await;
    let consumer = Consumer::new(config(&client, None)).unwrap();
    let [a, b] = [0, 1].map(|p| TopicPartition::new(topic.as_str(), p));
    let both = vec![(a.clone(), Start::Beginning), (b.clone(), Start::Beginning)];
    consumer.assign(both).await.unwrap();
    consumer.pause(std::slice::from_ref(&a));
    let records = read(&consumer, 5).await;
    assert!(records.iter().all(|record| record.partition == 1));
    assert!(matches!(
        consumer.poll(Duration::from_millis(700)).await.unwrap(),
        Polled::Idle
    ));
    consumer.resume(std::slice::from_ref(&a));
    assert!(
        read(&consumer, 5)
            .await
            .iter()
            .all(|record| record.partition == 0)
    );
    consumer.seek(&b, 3).unwrap();
    let again = read(&consumer, 2).await;
    assert_eq!(
        again
            .iter()
            .map(|r| (r.partition, r.offset))
            .collect::<Vec<_>>(),
        [(1, 3), (1, 4)]
    );
    assert!(
        consumer
            .seek(&TopicPartition::new("elsewhere", 0), 0)
            .is_err()
    );
    consumer.close().await;
}

#[tokio::test]
async fn positions_out_of_range_follow_the_policy() {
    let Some(client) = client("positions_out_of_range_follow_the_policy") else {
        return;
    };
    let topic = fresh("range");
    create(&client, &topic, 1).await;
    fill(&client, &topic, 10).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let from = |offset| vec![(partition.clone(), Start::Offset(offset))];
    let consumer = Consumer::new(config(&client, None)).unwrap();
    consumer.assign(from(1000)).await.unwrap();
    assert_eq!(read(&consumer, 10).await[0].offset, 0);
    consumer.close().await;

    let strict = ConsumerConfig {
        auto_offset_reset: AutoOffsetReset::None,
        ..config(&client, None)
    };
    let consumer = Consumer::new(strict).unwrap();
    consumer.assign(from(1000)).await.unwrap();
    let error = loop {
        match consumer.poll(Duration::from_secs(5)).await {
            Ok(Polled::Idle) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, ConsumeError::OffsetOutOfRange { offset: 1000, .. }),
        "{error}"
    );
    // It is told again, not forgotten, until the caller seeks.
    assert!(consumer.poll(Duration::from_millis(10)).await.is_err());
    consumer.seek(&partition, 5).unwrap();
    assert_eq!(read(&consumer, 5).await[0].offset, 5);
    consumer.close().await;
}

#[tokio::test]
async fn a_group_goes_on_where_it_committed() {
    let Some(client) = client("a_group_goes_on_where_it_committed") else {
        return;
    };
    let (topic, group) = (fresh("commit"), fresh("group"));
    create(&client, &topic, 1).await;
    fill(&client, &topic, 20).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let first = Consumer::new(config(&client, Some(&group))).unwrap();
    first.subscribe([topic.as_str()]).await.unwrap();
    let assigned = loop {
        match first.poll(Duration::from_secs(1)).await.unwrap() {
            Polled::Assigned(partitions) => break partitions,
            Polled::Idle => {}
            other => panic!("{other:?} before the assignment"),
        }
    };
    assert_eq!(assigned, std::slice::from_ref(&partition));
    assert_eq!(
        first.committed(&assigned).await.unwrap(),
        [(partition.clone(), None)]
    );
    assert_eq!(read(&first, 20).await.len(), 20);
    first.commit(&[(partition.clone(), 15)]).await.unwrap();
    assert_eq!(
        first.committed(&assigned).await.unwrap(),
        [(partition.clone(), Some(15.into()))]
    );
    first.close().await;

    let second = Consumer::new(config(&client, Some(&group))).unwrap();
    second.subscribe([topic.as_str()]).await.unwrap();
    assert_eq!(read(&second, 5).await[0].offset, 15);
    second.commit_positions().await.unwrap();
    second.close().await;

    // A seek between `Assigned` and the next poll decides where reading begins.
    let third = Consumer::new(config(&client, Some(&group))).unwrap();
    third.subscribe([topic.as_str()]).await.unwrap();
    loop {
        if let Polled::Assigned(_) = third.poll(Duration::from_secs(1)).await.unwrap() {
            third.seek(&partition, 7).unwrap();
            break;
        }
    }
    assert_eq!(read(&third, 13).await[0].offset, 7);
    third.close().await;
}

#[tokio::test]
async fn members_share_and_take_over() {
    let Some(client) = client("members_share_and_take_over") else {
        return;
    };
    let (topic, group) = (fresh("share"), fresh("group"));
    create(&client, &topic, 4).await;
    let members: Vec<_> = (0..5)
        .map(|_| Consumer::new(config(&client, Some(&group))).unwrap())
        .collect();
    for member in &members {
        member.subscribe([topic.as_str()]).await.unwrap();
    }
    let all: Vec<&Consumer> = members.iter().collect();
    settle(&all, &[0, 1, 1, 1, 1]).await;
    fill(&client, &topic, 40).await;
    let mut seen: HashMap<i32, BTreeSet<i64>> = HashMap::new();
    let deadline = Instant::now() + PATIENCE;
    while seen.values().map(BTreeSet::len).sum::<usize>() < 40 {
        assert!(Instant::now() < deadline, "{seen:?}");
        for member in &all {
            if let Polled::Records(records) = member.poll(Duration::from_millis(50)).await.unwrap()
            {
                for record in &records {
                    assert!(
                        seen.entry(record.partition)
                            .or_default()
                            .insert(record.offset)
                    );
                }
                member.commit_positions().await.unwrap();
            }
        }
    }
    // One leaves, the idle one takes over.
    all[0].close().await;
    settle(&all[1..], &[1, 1, 1, 1]).await;
    all[1].close().await;
    all[2].close().await;
    settle(&all[3..], &[2, 2]).await;
    // What was committed is not read again.
    fill(&client, &topic, 4).await;
    let mut more = 0;
    while more < 4 {
        assert!(Instant::now() < deadline + PATIENCE);
        for member in &all[3..] {
            if let Polled::Records(records) = member.poll(Duration::from_millis(50)).await.unwrap()
            {
                assert!(records.iter().all(|record| record.offset == 10));
                more += records.len();
            }
        }
    }
    all[3].close().await;
    all[4].close().await;
}

#[tokio::test]
async fn a_revocation_waits_for_the_last_commit() {
    let Some(client) = client("a_revocation_waits_for_the_last_commit") else {
        return;
    };
    let (topic, group) = (fresh("revoke"), fresh("group"));
    create(&client, &topic, 2).await;
    fill(&client, &topic, 20).await;
    let first = Consumer::new(config(&client, Some(&group))).unwrap();
    first.subscribe([topic.as_str()]).await.unwrap();
    assert_eq!(read(&first, 20).await.len(), 20);
    let second = Arc::new(Consumer::new(config(&client, Some(&group))).unwrap());
    second.subscribe([topic.as_str()]).await.unwrap();
    let joining = second.clone();
    let joined = tokio::task::JoinSet::from_iter([async move {
        loop {
            match joining.poll(Duration::from_secs(1)).await.unwrap() {
                Polled::Assigned(partitions) => break partitions,
                Polled::Idle => {}
                other => panic!("{other:?} before the assignment"),
            }
        }
    }]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline);
        if let Polled::Revoked(partitions) = first.poll(Duration::from_millis(500)).await.unwrap() {
            assert_eq!(partitions.len(), 2);
            break;
        }
    }
    // The generation still holds: the last commit before the others take over.
    first.commit_positions().await.unwrap();
    settle(&[&first], &[1]).await;
    let assigned = joined.join_all().await.remove(0);
    assert_eq!(assigned.len(), 1);
    // Everything was committed, so the new owner reads nothing.
    assert!(matches!(
        second.poll(Duration::from_secs(1)).await.unwrap(),
        Polled::Idle
    ));
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn a_caller_that_stops_polling_loses_its_partitions() {
    let Some(client) = client("a_caller_that_stops_polling_loses_its_partitions") else {
        return;
    };
    let (topic, group) = (fresh("silent"), fresh("group"));
    create(&client, &topic, 1).await;
    let lazy = ConsumerConfig {
        max_poll_interval: Duration::from_secs(2),
        ..config(&client, Some(&group))
    };
    let partition = TopicPartition::new(topic.as_str(), 0);
    let silent = Consumer::new(lazy.clone()).unwrap();
    silent.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&silent], &[1]).await;
    let eager = Consumer::new(lazy).unwrap();
    eager.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&eager], &[1]).await;
    let error = silent.commit(&[(partition.clone(), 0)]).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Rebalancing | CommitError::Lost { .. }),
        "{error}"
    );
    // The group may have asked for the partition back before it took it.
    let event = silent.poll(Duration::from_secs(5)).await.unwrap();
    match &event {
        Polled::Lost(gone) | Polled::Revoked(gone) => assert_eq!(*gone, [partition]),
        other => panic!("{other:?}"),
    }
    eager.close().await;
    settle(&[&silent], &[1]).await;
    silent.close().await;
}

#[tokio::test]
async fn new_topics_and_partitions_are_noticed() {
    let Some(client) = client("new_topics_and_partitions_are_noticed") else {
        return;
    };
    let (topic, group) = (fresh("later"), fresh("group"));
    let patient = ConsumerConfig {
        allow_auto_create_topics: false,
        ..config(&client, Some(&group))
    };
    let consumer = Consumer::new(patient).unwrap();
    consumer.subscribe([topic.as_str()]).await.unwrap();
    assert!(!matches!(
        consumer.poll(Duration::from_secs(1)).await.unwrap(),
        Polled::Records(_)
    ));
    create(&client, &topic, 3).await;
    settle(&[&consumer], &[3]).await;
    consumer.close().await;
}

#[tokio::test]
async fn a_static_member_comes_back_to_its_partitions() {
    let Some(client) = client("a_static_member_comes_back_to_its_partitions") else {
        return;
    };
    let (topic, group) = (fresh("static"), fresh("group"));
    create(&client, &topic, 2).await;
    let member = |name: &str| {
        let group_instance_id = Some(name.to_owned());
        Consumer::new(ConsumerConfig {
            group_instance_id,
            ..config(&client, Some(&group))
        })
        .unwrap()
    };
    let (first, second) = (member("one"), member("two"));
    first.subscribe([topic.as_str()]).await.unwrap();
    second.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&first, &second], &[1, 1]).await;
    let (before, generation) = (
        second.assignment(),
        second.group_metadata().unwrap().generation,
    );
    // It goes without leaving, and another process takes its name.
    second.close().await;
    let again = member("two");
    again.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&first, &again], &[1, 1]).await;
    assert_eq!(again.assignment(), before);
    assert_eq!(
        again.group_metadata().unwrap().generation,
        generation,
        "nobody was disturbed"
    );
    first.close().await;
    again.close().await;
}
