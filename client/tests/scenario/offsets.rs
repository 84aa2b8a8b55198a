//! Committed offsets and what is kept beside them.

use std::time::Duration;

use logway_client::{
    Admin, CommitError, Consumer, ConsumerConfig, ErrorCode, GroupProtocol, OffsetAndMetadata,
    Producer, ProducerConfig, Start, TopicPartition, next_offsets,
};
use tokio::time::Instant;

use super::consume::{config, read};
use super::{PATIENCE, client, create, fill, fresh};

async fn committed(consumer: &Consumer, partition: &TopicPartition) -> Option<OffsetAndMetadata> {
    let asked = std::slice::from_ref(partition);
    consumer.committed(asked).await.unwrap().remove(0).1
}

/// After records of a topic's first leader.
fn after(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata {
        leader_epoch: Some(0),
        ..OffsetAndMetadata::new(offset)
    }
}

#[tokio::test]
async fn positions_are_committed_by_the_clock_and_at_the_end() {
    let Some(client) = client("positions_are_committed_by_the_clock_and_at_the_end") else {
        return;
    };
    let (topic, group) = (fresh("auto"), fresh("group"));
    create(&client, &topic, 1).await;
    fill(&client, &topic, 200).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let automatic = ConsumerConfig {
        enable_auto_commit: true,
        auto_commit_interval: Duration::from_millis(5),
        max_poll_records: 1,
        ..config(&client, Some(&group))
    };
    let consumer = Consumer::new(automatic).unwrap();
    consumer.subscribe([topic.as_str()]).await.unwrap();
    // While there is always more to read, too.
    let mut early = None;
    for n in 0..200 {
        read(&consumer, 1).await;
        early = committed(&consumer, &partition)
            .await
            .map(|kept| kept.offset);
        if early.is_some() {
            assert!(early <= Some(n), "what was not handed out is not committed");
            break;
        }
    }
    assert!(early.is_some());
    let deadline = Instant::now() + PATIENCE;
    while committed(&consumer, &partition).await != Some(after(200)) {
        assert!(Instant::now() < deadline);
        consumer.poll(Duration::from_millis(5)).await.unwrap();
    }
    fill(&client, &topic, 5).await;
    assert_eq!(read(&consumer, 5).await.len(), 5);
    consumer.close().await;
    let admin = Admin::new(client).unwrap();
    assert_eq!(admin.group_offsets(&group).await.unwrap()[0].1, after(205));
}

#[tokio::test]
async fn commits_keep_their_leader_epochs_and_metadata() {
    let Some(client) = client("commits_keep_their_leader_epochs_and_metadata") else {
        return;
    };
    for group_protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let (topic, group) = (fresh("epochs"), fresh("group"));
        create(&client, &topic, 1).await;
        fill(&client, &topic, 10).await;
        let partition = TopicPartition::new(topic.as_str(), 0);
        let config = ConsumerConfig {
            group_protocol,
            ..config(&client, Some(&group))
        };
        let consumer = Consumer::new(config.clone()).unwrap();
        consumer.subscribe([topic.as_str()]).await.unwrap();
        let records = read(&consumer, 10).await;
        assert_eq!(records[9].leader_epoch, Some(0));
        let done: Vec<_> = next_offsets(&records)
            .into_iter()
            .map(|(partition, next)| (partition, next.with_metadata("up to line 10 ✓")))
            .collect();
        consumer.commit(&done).await.unwrap();
        let kept = Some(after(10).with_metadata("up to line 10 ✓"));
        assert_eq!(committed(&consumer, &partition).await, kept);
        let admin = Admin::new(client.clone()).unwrap();
        assert_eq!(admin.group_offsets(&group).await.unwrap(), done);
        // Positions have epochs, but nothing to say.
        consumer.commit_positions().await.unwrap();
        assert_eq!(committed(&consumer, &partition).await, Some(after(10)));
        // Of an offset that was only named nobody knows the epoch.
        consumer.seek(&partition, 3).unwrap();
        consumer.commit_positions().await.unwrap();
        assert_eq!(committed(&consumer, &partition).await, Some(3.into()));
        let long = OffsetAndMetadata::new(3).with_metadata("x".repeat(5000));
        let refused = consumer.commit(&[(partition.clone(), long)]).await;
        assert!(
            matches!(
                refused,
                Err(CommitError::Rejected {
                    code: ErrorCode::OffsetMetadataTooLarge,
                    ..
                })
            ),
            "{refused:?}"
        );
        consumer
            .commit(&[(partition.clone(), after(5))])
            .await
            .unwrap();
        consumer.close().await;

        // Who goes on there knows the epoch of what was read before.
        let next = Consumer::new(config).unwrap();
        next.assign(vec![(partition.clone(), Start::Committed)])
            .await
            .unwrap();
        next.pause(std::slice::from_ref(&partition));
        let deadline = Instant::now() + PATIENCE;
        while next.position(&partition).is_none() {
            assert!(Instant::now() < deadline);
            next.poll(Duration::from_millis(5)).await.unwrap();
        }
        let cleared = (partition.clone(), OffsetAndMetadata::new(9));
        next.commit(std::slice::from_ref(&cleared)).await.unwrap();
        assert_eq!(committed(&next, &partition).await, Some(cleared.1));
        next.commit_positions().await.unwrap();
        assert_eq!(committed(&next, &partition).await, Some(after(5)));
        next.close().await;
    }
}

#[tokio::test]
async fn offsets_of_a_transaction_keep_their_epochs_and_metadata() {
    let Some(client) = client("offsets_of_a_transaction_keep_their_epochs_and_metadata") else {
        return;
    };
    let (topic, group) = (fresh("epochs"), fresh("group"));
    create(&client, &topic, 1).await;
    fill(&client, &topic, 10).await;
    let consumer = Consumer::new(config(&client, Some(&group))).unwrap();
    consumer.subscribe([topic.as_str()]).await.unwrap();
    let records = read(&consumer, 10).await;
    let producer = Producer::new(ProducerConfig {
        transactional_id: Some(fresh("id")),
        ..super::producer(&client)
    })
    .unwrap();
    producer.init_transactions().await.unwrap();
    let transaction = producer.begin_transaction().await.unwrap();
    let member = consumer.group_metadata().unwrap();
    let mut done = next_offsets(&records[..7]);
    done[0].1.metadata = "seven of ten".to_owned();
    transaction.send_offsets(&done, &member).await.unwrap();
    transaction.commit().await.unwrap();
    let admin = Admin::new(client).unwrap();
    // The marker may come after the answer.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let kept = admin.group_offsets(&group).await.unwrap();
        if let [(partition, kept)] = &kept[..] {
            assert_eq!(*partition, TopicPartition::new(topic.as_str(), 0));
            assert_eq!(*kept, after(7).with_metadata("seven of ten"));
            break;
        }
        assert!(Instant::now() < deadline, "{kept:?}");
        tokio::task::yield_now().await;
    }
    producer.close(PATIENCE).await;
    consumer.close().await;
}
