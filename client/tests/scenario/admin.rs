//! Administration.

use std::time::Duration;

use logway_client::{
    Admin, AutoOffsetReset, ConfigResource, Consumer, ConsumerConfig, ErrorCode, NewTopic,
    OffsetSpec, Polled, TopicPartition,
};
use tokio::time::Instant;

use super::{PATIENCE, client, create, fill, fresh};

#[tokio::test]
async fn topics_from_birth_to_death() {
    let Some(client) = client("topics_from_birth_to_death") else {
        return;
    };
    let admin = Admin::new(client).unwrap();
    let topic = fresh("admin");
    let configs = vec![("retention.ms".to_owned(), "3600000".to_owned())];
    let new = NewTopic {
        partitions: 3,
        configs,
        ..NewTopic::new(topic.as_str())
    };
    admin.create_topic(new.clone()).await.unwrap();
    let again = admin.create_topic(new).await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::TopicAlreadyExists));
    let bad = admin
        .create_topic(NewTopic::new("no/slash"))
        .await
        .unwrap_err();
    assert_eq!(bad.code(), Some(ErrorCode::InvalidTopicException));
    assert_eq!(admin.partitions(&topic).await.unwrap(), 3);
    let listed = admin.list_topics().await.unwrap();
    let listing = listed
        .iter()
        .find(|listing| *listing.name == *topic)
        .unwrap();
    assert_eq!((listing.partitions, listing.internal), (3, false));
    let nowhere = fresh("nowhere");
    let described = admin.describe_topics(&[&topic, &nowhere]).await.unwrap();
    let description = described[0].1.as_ref().unwrap();
    assert_eq!(description.id, listing.id);
    for (partition, number) in description.partitions.iter().zip(0..) {
        assert_eq!(partition.partition, number);
        assert!(partition.leader.is_some() && partition.replicas == partition.isr);
    }
    let unknown = described[1].1.as_ref().unwrap_err();
    assert_eq!(unknown.code(), Some(ErrorCode::UnknownTopicOrPartition));
    let resource = ConfigResource::Topic(topic.clone());
    let configs = admin.describe_configs(&[resource]).await.unwrap();
    let entries = configs[0].1.as_ref().unwrap();
    let retention = entries
        .iter()
        .find(|entry| entry.name == "retention.ms")
        .unwrap();
    assert_eq!(retention.value.as_deref(), Some("3600000"));
    assert!(!retention.is_default());
    admin.delete_topic(&topic).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while admin
        .list_topics()
        .await
        .unwrap()
        .iter()
        .any(|listing| *listing.name == *topic)
    {
        assert!(Instant::now() < deadline);
    }
    let gone = admin.delete_topic(&nowhere).await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test]
async fn the_cluster_and_its_brokers() {
    let Some(client) = client("the_cluster_and_its_brokers") else {
        return;
    };
    let admin = Admin::new(client).unwrap();
    let cluster = admin.describe_cluster().await.unwrap();
    assert!(cluster.cluster_id.is_some() && !cluster.brokers.is_empty());
    let broker = ConfigResource::Broker(cluster.brokers[0].id);
    let configs = admin.describe_configs(&[broker]).await.unwrap();
    assert!(configs[0].1.as_ref().unwrap().len() > 5);
}

#[tokio::test]
async fn offsets_by_time() {
    let Some(client) = client("offsets_by_time") else {
        return;
    };
    let topic = fresh("times");
    create(&client, &topic, 2).await;
    fill(&client, &topic, 20).await;
    let admin = Admin::new(client).unwrap();
    let partition = |partition| TopicPartition::new(topic.as_str(), partition);
    let wanted = [
        (partition(0), OffsetSpec::Earliest),
        (partition(0), OffsetSpec::Latest),
        (partition(1), OffsetSpec::Timestamp(1_000_006)),
        (partition(0), OffsetSpec::Timestamp(5_000_000)),
        (partition(0), OffsetSpec::MaxTimestamp),
        (partition(7), OffsetSpec::Latest),
    ];
    let listed = admin.list_offsets(&wanted).await.unwrap();
    let offsets: Vec<_> = listed
        .iter()
        .map(|(_, listed)| listed.as_ref().ok().map(|l| l.offset))
        .collect();
    let expected = [
        Some(Some(0)),
        Some(Some(10)),
        Some(Some(3)),
        Some(None),
        Some(Some(9)),
        None,
    ];
    assert_eq!(offsets, expected);
    assert_eq!(listed[2].1.as_ref().unwrap().timestamp, 1_000_007);
}

#[tokio::test]
async fn groups_and_their_offsets() {
    let Some(client) = client("groups_and_their_offsets") else {
        return;
    };
    let (topic, group) = (fresh("groups"), fresh("group"));
    create(&client, &topic, 2).await;
    fill(&client, &topic, 20).await;
    let consumer = Consumer::new(ConsumerConfig {
        client: client.clone(),
        group_id: Some(group.clone()),
        auto_offset_reset: AutoOffsetReset::Earliest,
        heartbeat_interval: Duration::from_millis(200),
        ..Default::default()
    })
    .unwrap();
    consumer.subscribe([topic.as_str()]).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !matches!(
        consumer.poll(Duration::from_secs(1)).await.unwrap(),
        Polled::Records(_)
    ) {
        assert!(Instant::now() < deadline);
    }
    let admin = Admin::new(client).unwrap();
    let listed = admin.list_groups().await.unwrap();
    let listing = listed
        .iter()
        .find(|listing| *listing.group_id == *group)
        .unwrap();
    assert_eq!(listing.protocol_type, "consumer");
    let described = admin
        .describe_groups(&[&group])
        .await
        .unwrap()
        .remove(0)
        .1
        .unwrap();
    assert_eq!(
        (described.state.as_str(), described.members.len()),
        ("Stable", 1)
    );
    assert_eq!(described.members[0].assignment.len(), 2);
    assert_eq!(described.members[0].client_id, "logway");
    // The offsets of a group at work are its own.
    let zero = (TopicPartition::new(topic.as_str(), 0), 3);
    let refused = admin
        .alter_group_offsets(&group, std::slice::from_ref(&zero))
        .await
        .unwrap();
    assert_eq!(
        refused[0].1.as_ref().unwrap_err().code(),
        Some(ErrorCode::UnknownMemberId)
    );
    consumer.close().await;
    admin
        .alter_group_offsets(&group, std::slice::from_ref(&zero))
        .await
        .unwrap()[0]
        .1
        .as_ref()
        .unwrap();
    let offsets = admin.group_offsets(&group).await.unwrap();
    assert_eq!(
        offsets
            .iter()
            .map(|(p, o)| (p.partition, o.offset))
            .collect::<Vec<_>>(),
        [(0, 3)]
    );
}

#[tokio::test]
async fn a_group_that_does_not_exist_is_dead() {
    let Some(client) = client("a_group_that_does_not_exist_is_dead") else {
        return;
    };
    let admin = Admin::new(client).unwrap();
    let nobody = fresh("nobody");
    let dead = admin
        .describe_groups(&[&nobody])
        .await
        .unwrap()
        .remove(0)
        .1
        .unwrap();
    assert_eq!((dead.state.as_str(), dead.members.len()), ("Dead", 0));
}

#[tokio::test]
async fn any_request_finds_its_broker() {
    use logway_client::Destination;
    use logway_protocol::message::api_versions::ApiVersionsRequest;
    use logway_protocol::message::list_groups::ListGroupsRequest;

    let Some(client) = client("any_request_finds_its_broker") else {
        return;
    };
    let admin = Admin::new(client).unwrap();
    let cluster = admin.describe_cluster().await.unwrap();
    let group = fresh("group");
    let (coordinator, address) = admin.group_coordinator(&group).await.unwrap();
    let broker = cluster
        .brokers
        .iter()
        .find(|b| b.id == coordinator)
        .unwrap();
    assert_eq!(*address, format!("{}:{}", broker.host, broker.port));
    let who = || ApiVersionsRequest {
        client_software_name: "logway-tests".into(),
        client_software_version: "1".into(),
    };
    for to in [
        Destination::Any,
        Destination::Controller,
        Destination::Broker(coordinator),
        Destination::Group(&group),
    ] {
        let versions = admin
            .request(to, |_| who(), |r| r.error_code)
            .await
            .unwrap();
        assert!(!versions.api_keys.is_empty(), "{to:?}");
    }
    let nobody = admin
        .request(
            Destination::Broker(12_345),
            |_| ListGroupsRequest::default(),
            |r| r.error_code,
        )
        .await
        .unwrap_err();
    assert_eq!(nobody.code(), Some(ErrorCode::BrokerIdNotRegistered));
}
