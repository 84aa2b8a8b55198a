//! Groups that share out without stopping everybody: the cooperative assignor, and the protocol of
//! KIP-848.

use std::collections::BTreeSet;
use std::time::Duration;

use logway_client::{
    Assignor, AutoOffsetReset, ClientConfig, ConsumeError, Consumer, ConsumerConfig, ErrorCode,
    GroupProtocol, Polled, Producer, ProducerRecord, TopicPartition,
};
use tokio::time::Instant;

use super::{PATIENCE, client, create, fill, fresh, producer, text};

fn config(client: &ClientConfig, group: &str) -> ConsumerConfig {
    ConsumerConfig {
        client: client.clone(),
        group_id: Some(group.to_owned()),
        auto_offset_reset: AutoOffsetReset::Earliest,
        session_timeout: Duration::from_secs(6),
        heartbeat_interval: Duration::from_millis(200),
        max_poll_interval: Duration::from_secs(20),
        ..Default::default()
    }
}

fn cooperative(client: &ClientConfig, group: &str) -> ConsumerConfig {
    ConsumerConfig {
        partition_assignors: vec![Assignor::CooperativeSticky],
        ..config(client, group)
    }
}

fn modern(client: &ClientConfig, group: &str) -> ConsumerConfig {
    ConsumerConfig {
        group_protocol: GroupProtocol::Consumer,
        ..config(client, group)
    }
}

/// What a consumer was told since it was last looked at.
#[derive(Debug, Default)]
struct Told {
    assigned: Vec<TopicPartition>,
    revoked: Vec<TopicPartition>,
    lost: Vec<TopicPartition>,
    values: Vec<String>,
}

async fn listen(consumer: &Consumer, told: &mut Told) {
    match consumer.poll(Duration::from_millis(50)).await.unwrap() {
        Polled::Assigned(partitions) => told.assigned.extend(partitions),
        Polled::Revoked(partitions) => told.revoked.extend(partitions),
        Polled::Lost(partitions) => told.lost.extend(partitions),
        Polled::Records(records) => told.values.extend(records.iter().map(text)),
        _ => {}
    }
}

/// Polls until the shares are as large as wanted, and every partition has one owner.
async fn settle(consumers: &[&Consumer], wanted: &[usize]) -> Vec<Told> {
    let deadline = Instant::now() + PATIENCE;
    let mut told: Vec<Told> = consumers.iter().map(|_| Told::default()).collect();
    loop {
        for (consumer, told) in consumers.iter().zip(&mut told) {
            listen(consumer, told).await;
        }
        let shares: Vec<_> = consumers.iter().map(|c| c.assignment()).collect();
        let mut sizes: Vec<_> = shares.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        let all: BTreeSet<_> = shares.iter().flatten().collect();
        if sizes == wanted && all.len() == wanted.iter().sum::<usize>() {
            return told;
        }
        assert!(
            Instant::now() < deadline,
            "shares {shares:?}, wanted {wanted:?}"
        );
    }
}

/// Members come and go; who stays keeps what it has and is told of the difference only.
async fn partitions_move_without_stopping_the_rest(
    client: &ClientConfig,
    config: impl Fn(&ClientConfig, &str) -> ConsumerConfig,
) {
    let (topic, group) = (fresh("move"), fresh("group"));
    create(client, &topic, 4).await;
    fill(client, &topic, 40).await;
    let member = || Consumer::new(config(client, &group)).unwrap();
    let first = member();
    first.subscribe([topic.as_str()]).await.unwrap();
    let mut told = settle(&[&first], &[4]).await.remove(0);
    while told.values.len() < 40 {
        listen(&first, &mut told).await;
    }
    assert_eq!(
        (told.assigned.len(), told.revoked.len(), told.lost.len()),
        (4, 0, 0)
    );
    first.commit_positions().await.unwrap();
    let before = first.assignment();

    let second = member();
    second.subscribe([topic.as_str()]).await.unwrap();
    let told = settle(&[&first, &second], &[2, 2]).await;
    assert_eq!(told[0].revoked.len(), 2, "{told:?}");
    assert_eq!(
        (told[0].assigned.len(), told[0].lost.len()),
        (0, 0),
        "{told:?}"
    );
    assert_eq!(told[1].assigned.len(), 2, "{told:?}");
    assert!(
        first
            .assignment()
            .iter()
            .all(|partition| before.contains(partition))
    );
    // Nothing is read again: what stayed kept its position, what moved was committed.
    assert!(told.iter().all(|told| told.values.is_empty()), "{told:?}");
    first.commit_positions().await.unwrap();
    fill(client, &topic, 8).await;
    let mut told = [Told::default(), Told::default()];
    let deadline = Instant::now() + PATIENCE;
    while told.iter().map(|told| told.values.len()).sum::<usize>() < 8 {
        assert!(Instant::now() < deadline, "{told:?}");
        listen(&first, &mut told[0]).await;
        listen(&second, &mut told[1]).await;
    }
    assert_eq!((told[0].values.len(), told[1].values.len()), (4, 4));
    second.commit_positions().await.unwrap();
    second.close().await;
    let told = settle(&[&first], &[4]).await;
    assert_eq!(
        (told[0].assigned.len(), told[0].revoked.len()),
        (2, 0),
        "{told:?}"
    );
    assert!(told[0].values.is_empty(), "{told:?}");
    first.close().await;
}

#[tokio::test]
async fn a_cooperative_group_moves_only_what_has_to_move() {
    let name = "a_cooperative_group_moves_only_what_has_to_move";
    let Some(client) = client(name) else { return };
    partitions_move_without_stopping_the_rest(&client, cooperative).await;
}

#[tokio::test]
async fn a_coordinators_group_moves_only_what_has_to_move() {
    let name = "a_coordinators_group_moves_only_what_has_to_move";
    let Some(client) = client(name) else { return };
    partitions_move_without_stopping_the_rest(&client, modern).await;
}

#[tokio::test]
async fn sticky_members_keep_what_they_had() {
    let Some(client) = client("sticky_members_keep_what_they_had") else {
        return;
    };
    let (topic, group) = (fresh("sticky"), fresh("group"));
    create(&client, &topic, 6).await;
    let sticky = ConsumerConfig {
        partition_assignors: vec![Assignor::Sticky],
        ..config(&client, &group)
    };
    let member = || Consumer::new(sticky.clone()).unwrap();
    let (first, second) = (member(), member());
    first.subscribe([topic.as_str()]).await.unwrap();
    second.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&first, &second], &[3, 3]).await;
    let before = [first.assignment(), second.assignment()];
    let third = member();
    third.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&first, &second, &third], &[2, 2, 2]).await;
    for (member, before) in [&first, &second].into_iter().zip(&before) {
        assert!(
            member
                .assignment()
                .iter()
                .all(|partition| before.contains(partition))
        );
    }
    for member in [first, second, third] {
        member.close().await;
    }
}

/// Topics come, and the pattern changes to names and back.
async fn a_pattern_is_followed(
    client: &ClientConfig,
    config: impl Fn(&ClientConfig, &str) -> ConsumerConfig,
) {
    let (prefix, group) = (fresh("pattern"), fresh("group"));
    let topic = |name: &str| format!("{prefix}.{name}");
    create(client, &topic("a"), 2).await;
    create(client, &format!("not.{prefix}"), 1).await;
    let consumer = Consumer::new(config(client, &group)).unwrap();
    consumer
        .subscribe_pattern(&format!("{prefix}\\..*"))
        .await
        .unwrap();
    settle(&[&consumer], &[2]).await;
    create(client, &topic("b"), 1).await;
    fill(client, &topic("b"), 5).await;
    let mut told = settle(&[&consumer], &[3]).await.remove(0);
    let deadline = Instant::now() + PATIENCE;
    while told.values.len() < 5 {
        assert!(Instant::now() < deadline, "{told:?}");
        listen(&consumer, &mut told).await;
    }
    // From a pattern to names and back.
    consumer.subscribe([topic("a")]).await.unwrap();
    settle(&[&consumer], &[2]).await;
    consumer
        .subscribe_pattern(&format!("{prefix}\\.b"))
        .await
        .unwrap();
    settle(&[&consumer], &[1]).await;
    consumer.close().await;
}

#[tokio::test]
async fn a_pattern_follows_topics_in_a_classic_group() {
    let name = "a_pattern_follows_topics_in_a_classic_group";
    let Some(mut client) = client(name) else {
        return;
    };
    client.metadata_max_age = Duration::from_millis(300);
    a_pattern_is_followed(&client, cooperative).await;
    a_pattern_is_followed(&client, config).await;
    let classic = Consumer::new(config(&client, &fresh("group"))).unwrap();
    let error = classic.subscribe_pattern("(").await.unwrap_err();
    assert!(
        matches!(error, ConsumeError::InvalidPattern { .. }),
        "{error}"
    );
    classic.close().await;
}

#[tokio::test]
async fn a_pattern_follows_topics_in_a_coordinators_group() {
    let name = "a_pattern_follows_topics_in_a_coordinators_group";
    let Some(client) = client(name) else { return };
    a_pattern_is_followed(&client, modern).await;
    let consumer = Consumer::new(modern(&client, &fresh("group"))).unwrap();
    consumer.subscribe_pattern("(").await.unwrap();
    let error = consumer.poll(PATIENCE).await.unwrap_err();
    let code = ErrorCode::InvalidRegularExpression;
    assert!(
        matches!(&error, ConsumeError::Group { code: c, .. } if *c == code),
        "{error}"
    );
    consumer.close().await;
}

#[tokio::test]
async fn the_coordinators_assignor_can_be_chosen() {
    let Some(client) = client("the_coordinators_assignor_can_be_chosen") else {
        return;
    };
    let (topics, group) = ([fresh("one"), fresh("two")], fresh("group"));
    for topic in &topics {
        create(&client, topic, 3).await;
    }
    let with = |assignor: &str| ConsumerConfig {
        group_remote_assignor: Some(assignor.to_owned()),
        ..modern(&client, &group)
    };
    let members = [0, 1].map(|_| Consumer::new(with("range")).unwrap());
    for member in &members {
        member.subscribe(topics.clone()).await.unwrap();
    }
    // Range gives the same member the larger part of both topics.
    settle(&[&members[0], &members[1]], &[2, 4]).await;
    for member in members {
        member.close().await;
    }
    let wrong = Consumer::new(with("no-such-assignor")).unwrap();
    wrong.subscribe(topics.clone()).await.unwrap();
    let error = wrong.poll(PATIENCE).await.unwrap_err();
    let code = ErrorCode::UnsupportedAssignor;
    assert!(
        matches!(&error, ConsumeError::Group { code: c, .. } if *c == code),
        "{error}"
    );
    wrong.close().await;
}

#[tokio::test]
async fn a_static_member_of_a_coordinators_group_comes_back() {
    let Some(client) = client("a_static_member_of_a_coordinators_group_comes_back") else {
        return;
    };
    let (topic, group) = (fresh("static"), fresh("group"));
    create(&client, &topic, 4).await;
    let member = |name: &str| {
        let group_instance_id = Some(name.to_owned());
        Consumer::new(ConsumerConfig {
            group_instance_id,
            ..modern(&client, &group)
        })
        .unwrap()
    };
    let (first, second) = (member("one"), member("two"));
    first.subscribe([topic.as_str()]).await.unwrap();
    second.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&first, &second], &[2, 2]).await;
    let before = second.assignment();
    // While it is there nobody else may use its name.
    let thief = member("two");
    thief.subscribe([topic.as_str()]).await.unwrap();
    let error = thief.poll(PATIENCE).await.unwrap_err();
    let code = ErrorCode::UnreleasedInstanceId;
    assert!(
        matches!(&error, ConsumeError::Group { code: c, .. } if *c == code),
        "{error}"
    );
    thief.close().await;
    second.close().await;
    let again = member("two");
    again.subscribe([topic.as_str()]).await.unwrap();
    let told = settle(&[&first, &again], &[2, 2]).await;
    assert_eq!(again.assignment(), before);
    assert!(
        told[0].revoked.is_empty() && told[0].assigned.is_empty(),
        "{told:?}"
    );
    first.close().await;
    again.close().await;
}

#[tokio::test]
async fn commits_carry_the_epoch_and_the_next_member_goes_on() {
    let Some(client) = client("commits_carry_the_epoch_and_the_next_member_goes_on") else {
        return;
    };
    let (topic, group) = (fresh("epochs"), fresh("group"));
    create(&client, &topic, 1).await;
    fill(&client, &topic, 20).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let first = Consumer::new(modern(&client, &group)).unwrap();
    first.subscribe([topic.as_str()]).await.unwrap();
    let mut told = settle(&[&first], &[1]).await.remove(0);
    while told.values.len() < 20 {
        listen(&first, &mut told).await;
    }
    let member = first.group_metadata().unwrap();
    assert!(
        member.generation > 0 && !member.member_id.is_empty(),
        "{member:?}"
    );
    first.commit(&[(partition.clone(), 15)]).await.unwrap();
    let committed = first
        .committed(std::slice::from_ref(&partition))
        .await
        .unwrap();
    assert_eq!(committed[0].1, Some(15.into()));
    first.close().await;
    let second = Consumer::new(modern(&client, &group)).unwrap();
    second.subscribe([topic.as_str()]).await.unwrap();
    let mut told = settle(&[&second], &[1]).await.remove(0);
    let deadline = Instant::now() + PATIENCE;
    while told.values.len() < 5 {
        assert!(Instant::now() < deadline);
        listen(&second, &mut told).await;
    }
    assert_eq!(told.values[0], "value 15");
    second.close().await;
}

#[tokio::test]
async fn a_silent_member_of_a_coordinators_group_loses_its_partitions_and_comes_back() {
    let name = "a_silent_member_of_a_coordinators_group_loses_its_partitions_and_comes_back";
    let Some(client) = client(name) else { return };
    let (topic, group) = (fresh("silent"), fresh("group"));
    create(&client, &topic, 1).await;
    let lazy = ConsumerConfig {
        max_poll_interval: Duration::from_secs(2),
        ..modern(&client, &group)
    };
    let silent = Consumer::new(lazy.clone()).unwrap();
    silent.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&silent], &[1]).await;
    let eager = Consumer::new(lazy).unwrap();
    eager.subscribe([topic.as_str()]).await.unwrap();
    settle(&[&eager], &[1]).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let error = silent.commit(&[(partition.clone(), 0)]).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("rebalancing") || text.contains("no longer"),
        "{text}"
    );
    let mut told = Told::default();
    let deadline = Instant::now() + PATIENCE;
    while told.lost.is_empty() {
        assert!(Instant::now() < deadline, "{told:?}");
        listen(&silent, &mut told).await;
    }
    assert_eq!(told.lost, [partition]);
    eager.close().await;
    settle(&[&silent], &[1]).await;
    silent.close().await;
}

#[tokio::test]
async fn offsets_are_found_by_time_and_at_the_ends() {
    let Some(client) = client("offsets_are_found_by_time_and_at_the_ends") else {
        return;
    };
    let topic = fresh("times");
    create(&client, &topic, 2).await;
    fill(&client, &topic, 20).await;
    let consumer = Consumer::new(ConsumerConfig {
        client: client.clone(),
        ..Default::default()
    })
    .unwrap();
    let [a, b] = [0, 1].map(|p| TopicPartition::new(topic.as_str(), p));
    let both = [a.clone(), b.clone()];
    let begin = consumer.beginning_offsets(&both).await.unwrap();
    assert_eq!(begin, [(a.clone(), 0), (b.clone(), 0)]);
    let end = consumer.end_offsets(&both).await.unwrap();
    assert_eq!(end, [(a.clone(), 10), (b.clone(), 10)]);
    // Even numbers are in the first partition, odd ones in the second.
    let times = [
        (a.clone(), 1_000_007),
        (b.clone(), 1_000_007),
        (a, 1_000_019),
    ];
    let found = consumer.offsets_for_times(&times).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(_, f)| f.map(|f| (f.offset, f.timestamp)))
        .collect();
    assert_eq!(found, [Some((4, 1_000_008)), Some((3, 1_000_007)), None]);
    assert!(
        consumer
            .end_offsets(&[TopicPartition::new("no topic", 0)])
            .await
            .is_err()
    );
    consumer.close().await;
    let early = Producer::new(producer(&client)).unwrap();
    let _delivery = early
        .send(ProducerRecord::new(topic.as_str(), "x"))
        .await
        .unwrap();
    early.close(PATIENCE).await;
}
