//! Requests to the controller that leave it no time: `timeout_ms` is 0 or less, as some clients send it unless
//! told otherwise. Nothing is changed then. And what DeleteTopics makes of what is named twice.

use logway_protocol::message::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use logway_protocol::message::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use logway_protocol::message::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use logway_protocol::message::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use logway_protocol::message::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use logway_protocol::message::metadata::{MetadataRequest, MetadataRequestTopic};
use logway_protocol::message::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use logway_protocol::{Text, Uuid};

use crate::admin::{Asked, verdict};
use crate::admin_cases::{created, elected, grown, moved};

/// No time, and less than that.
const LIMITS_MS: [i32; 2] = [0, -1];

/// Enough of it.
const AMPLE_MS: i32 = 30_000;

/// Topics `a` and `b` are there.
pub(crate) async fn all(asked: &mut Asked) {
    let request = CreateTopicsRequest {
        topics: ["x", "y"].map(topic).to_vec(),
        ..CreateTopicsRequest::default()
    };
    asked.ask(7, &request, |answer| created(&answer)).await;
    asked.settle().await;
    for timeout_ms in LIMITS_MS {
        topics(asked, timeout_ms).await;
        partitions(asked, timeout_ms).await;
        elections(asked, timeout_ms).await;
        reassignments(asked, timeout_ms).await;
        features(asked, timeout_ms).await;
        records(asked, timeout_ms).await;
        deletions(asked, timeout_ms).await;
    }
    let all = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let answer = asked.at.ask(12, &all).await;
    let mut topics = answer.expect("an answer").topics;
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    let topics = topics
        .iter()
        .map(|topic| format!("{:?} {}", topic.name, topic.partitions.len()));
    let said = topics.collect::<Vec<_>>().join("; ");
    asked.said.push(("nothing came of it".to_owned(), said));
    deletions(asked, AMPLE_MS).await;
}

fn topic(name: &str) -> CreatableTopic {
    CreatableTopic {
        name: Text::from(name),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    }
}

async fn topics(asked: &mut Asked, timeout_ms: i32) {
    let cases: &[(&[&str], bool)] = &[
        (&["new"], false),
        (&["new"], true),
        (&["new", "twice", "twice", "a"], false),
        (&["a b"], false),
        (&["__cluster_metadata"], false),
        (&["twice", "twice"], false),
        (&[], false),
    ];
    for ((names, validate_only), version) in cases.iter().flat_map(|case| [(case, 2), (case, 7)]) {
        let request = CreateTopicsRequest {
            topics: names.iter().copied().map(topic).collect(),
            timeout_ms,
            validate_only: *validate_only,
        };
        asked
            .ask(version, &request, |answer| created(&answer))
            .await;
    }
}

async fn partitions(asked: &mut Asked, timeout_ms: i32) {
    let cases: &[&[&str]] = &[
        &["a"],
        &["missing"],
        &["a", "b", "b", "missing"],
        &["b", "b"],
        &[],
    ];
    for (case, version) in cases.iter().flat_map(|case| [(case, 0), (case, 3)]) {
        let topics = case.iter().map(|name| CreatePartitionsTopic {
            name: Text::from(*name),
            count: 20,
            assignments: None,
        });
        let request = CreatePartitionsRequest {
            topics: topics.collect(),
            timeout_ms,
            validate_only: false,
        };
        asked.ask(version, &request, |answer| grown(&answer)).await;
    }
}

async fn elections(asked: &mut Asked, timeout_ms: i32) {
    let some: &[(&str, &[i32])] = &[("a", &[0, 99]), ("missing", &[0])];
    let cases = [(0, Some(some)), (0, Some(&[])), (0, None), (2, Some(some))];
    for ((election_type, topics), version) in
        cases.into_iter().flat_map(|case| [(case, 0), (case, 2)])
    {
        // Version 0 has no kind.
        if version == 0 && election_type != 0 {
            continue;
        }
        let topics = topics.map(|topics| {
            let of = |(topic, partitions): &(&str, &[i32])| TopicPartitions {
                topic: Text::from(*topic),
                partitions: partitions.to_vec(),
            };
            topics.iter().map(of).collect()
        });
        let request = ElectLeadersRequest {
            election_type,
            topic_partitions: topics,
            timeout_ms,
        };
        asked
            .ask(version, &request, |answer| elected(&answer))
            .await;
    }
}

async fn reassignments(asked: &mut Asked, timeout_ms: i32) {
    let topic = |name: &str| ReassignableTopic {
        name: Text::from(name),
        partitions: [0, 99]
            .map(|partition_index| ReassignablePartition {
                partition_index,
                replicas: Some(vec![1]),
            })
            .to_vec(),
    };
    for topics in [vec![topic("a"), topic("missing")], Vec::new()] {
        let request = AlterPartitionReassignmentsRequest {
            topics,
            timeout_ms,
            ..AlterPartitionReassignmentsRequest::default()
        };
        asked.ask(1, &request, |answer| moved(&answer)).await;
    }
    let some = ListPartitionReassignmentsTopics {
        name: Text::from("a"),
        partition_indexes: vec![0],
    };
    for topics in [None, Some(vec![some])] {
        let request = ListPartitionReassignmentsRequest { timeout_ms, topics };
        asked
            .ask(0, &request, |answer| {
                vec![verdict(answer.error_code, answer.error_message.as_ref())]
            })
            .await;
    }
}

async fn features(asked: &mut Asked, timeout_ms: i32) {
    let request = UpdateFeaturesRequest {
        feature_updates: vec![FeatureUpdateKey {
            feature: Text::from("metadata.version"),
            max_version_level: 30,
            upgrade_type: 1,
            ..FeatureUpdateKey::default()
        }],
        timeout_ms,
        validate_only: true,
    };
    asked
        .ask(1, &request, |answer| {
            let said = verdict(answer.error_code, answer.error_message.as_ref());
            vec![format!("{said} {:?}", answer.results)]
        })
        .await;
}

/// The controller has no part in it.
async fn records(asked: &mut Asked, timeout_ms: i32) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: Text::from("a"),
            partitions: [(0, -1), (1, 5), (99, -1)]
                .map(|(partition_index, offset)| DeleteRecordsPartition {
                    partition_index,
                    offset,
                })
                .to_vec(),
        }],
        timeout_ms,
    };
    asked
        .ask(2, &request, |answer| {
            let partitions = answer.topics[0].partitions.iter();
            partitions.map(|one| format!("{one:?}")).collect()
        })
        .await;
}

async fn deletions(asked: &mut Asked, timeout_ms: i32) {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(Text::from("x")),
            ..MetadataRequestTopic::default()
        }]),
        ..MetadataRequest::default()
    };
    let answer = asked.at.ask(12, &request).await.expect("an answer");
    let id = answer.topics[0].topic_id;
    for topics in deleted(id) {
        let names: Vec<Text> = topics.iter().filter_map(|one| one.name.clone()).collect();
        for version in [1, 5, 6] {
            if version < 6 && names.len() < topics.len() {
                continue;
            }
            let request = DeleteTopicsRequest {
                topics: topics.clone(),
                topic_names: names.clone(),
                timeout_ms,
            };
            let request = match version {
                6 => DeleteTopicsRequest {
                    topic_names: Vec::new(),
                    ..request
                },
                _ => DeleteTopicsRequest {
                    topics: Vec::new(),
                    ..request
                },
            };
            asked
                .ask(version, &request, |answer| {
                    let each = answer.responses.iter().map(|one| {
                        let said = verdict(one.error_code, one.error_message.as_ref());
                        let which = if one.topic_id == id {
                            "its id"
                        } else {
                            "no id of it"
                        };
                        format!("{:?} {which}: {said}", one.name)
                    });
                    each.collect()
                })
                .await;
        }
    }
}

/// What is to be deleted, topic `x` having this id.
fn deleted(id: Uuid) -> Vec<Vec<DeleteTopicState>> {
    let named = |name: &str| DeleteTopicState {
        name: Some(Text::from(name)),
        topic_id: Uuid::ZERO,
    };
    let by_id = |topic_id| DeleteTopicState {
        name: None,
        topic_id,
    };
    let unknown = Uuid::from_bytes([7; 16]);
    let both = DeleteTopicState {
        topic_id: id,
        ..named("x")
    };
    vec![
        vec![],
        vec![named("x"), named("x")],
        vec![by_id(id), by_id(id)],
        vec![named("x"), by_id(id)],
        vec![named("x"), by_id(id), by_id(id)],
        vec![both.clone(), by_id(Uuid::ZERO), by_id(Uuid::ZERO)],
        vec![named("missing")],
        vec![by_id(unknown)],
        vec![named("x"), named("x"), by_id(id)],
        vec![named("x")],
        vec![named("x"), named("y"), named("y"), named("missing")],
        vec![named("y"), by_id(id), by_id(unknown), both],
        vec![named("x"), named("y")],
    ]
}
