//! What the brokers are asked in `admin`, one room of the admin APIs after the other.

use std::pin::Pin;

use logway_protocol::message::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignableTopic,
};
use logway_protocol::message::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic,
};
use logway_protocol::message::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    CreateTopicsResponse,
};
use logway_protocol::message::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use logway_protocol::message::describe_quorum::{DescribeQuorumRequest, PartitionData, TopicData};
use logway_protocol::message::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use logway_protocol::message::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, TopicPartitions,
};
use logway_protocol::message::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use logway_protocol::message::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use logway_protocol::{ErrorCode, Text};

use crate::admin::{Asked, verdict};
use crate::{admin_hurry, admin_settings};

/// One room.
pub(crate) type Case = Box<dyn for<'a> Fn(&'a mut Asked) -> Pin<Box<dyn Future<Output = ()> + 'a>>>;

/// All rooms, in the order in which they are asked.
pub(crate) fn all() -> Vec<Case> {
    vec![
        Box::new(|asked| Box::pin(topics(asked))),
        Box::new(|asked| Box::pin(partitions(asked))),
        Box::new(|asked| Box::pin(elections(asked))),
        Box::new(|asked| Box::pin(reassignments(asked))),
        Box::new(|asked| Box::pin(log_dirs(asked))),
        Box::new(|asked| Box::pin(topic_partitions(asked))),
        Box::new(|asked| Box::pin(quorum(asked))),
        Box::new(|asked| Box::pin(features(asked))),
        Box::new(|asked| Box::pin(admin_hurry::all(asked))),
        Box::new(|asked| Box::pin(admin_settings::quotas(asked))),
        Box::new(|asked| Box::pin(admin_settings::quotas_described(asked))),
        Box::new(|asked| Box::pin(admin_settings::scram_described(asked))),
        Box::new(|asked| Box::pin(admin_settings::configs(asked))),
        Box::new(|asked| Box::pin(admin_settings::configs_described(asked))),
    ]
}

/// Name, partitions, replication and assignments (partition, brokers).
type Topic = (&'static str, i32, i16, &'static [(i32, &'static [i32])]);

fn topic((name, num_partitions, replication_factor, assignments): Topic) -> CreatableTopic {
    let assignments = assignments.iter();
    CreatableTopic {
        name: Text::from(name),
        num_partitions,
        replication_factor,
        assignments: assignments
            .map(|(index, brokers)| CreatableReplicaAssignment {
                partition_index: *index,
                broker_ids: brokers.to_vec(),
            })
            .collect(),
        ..CreatableTopic::default()
    }
}

pub(crate) fn created(answer: &CreateTopicsResponse) -> Vec<String> {
    let topics = answer.topics.iter();
    let topics = topics.map(|one| {
        let said = verdict(one.error_code, one.error_message.as_ref());
        let configs = one.configs.as_ref().map(Vec::len);
        let (partitions, factor) = (one.num_partitions, one.replication_factor);
        format!("{}: {said} {partitions} {factor} {configs:?}", one.name)
    });
    topics.collect()
}

async fn topics(asked: &mut Asked) {
    let cases: &[&[Topic]] = &[
        &[("a", 3, 1, &[])],
        &[("b", -1, -1, &[(0, &[1]), (1, &[1])])],
        &[("c", -1, -1, &[(0, &[2])])],
        &[("c", -1, -1, &[(0, &[1, 1])])],
        &[("c", -1, -1, &[(0, &[2, 1, 1])])],
        &[("c", -1, -1, &[(0, &[])])],
        &[("c", -1, -1, &[(1, &[1])])],
        &[("c", -1, -1, &[(0, &[1]), (0, &[1])])],
        &[("c", 1, -1, &[(0, &[1])])],
        &[("c", -1, 1, &[(0, &[1])])],
        &[("c", 0, 1, &[])],
        &[("c", 1, 0, &[])],
        &[("c", 1, 2, &[])],
        &[("c", -2, -2, &[])],
        &[("d", 1, 1, &[]), ("d", 1, 1, &[]), ("e", 1, 1, &[])],
        &[("a", 1, 1, &[])],
        &[("a b", 1, 1, &[])],
        &[("__cluster_metadata", 1, 1, &[])],
        &[("f.g", 1, 1, &[])],
        &[("f_g", 1, 1, &[])],
    ];
    for (validate_only, case) in cases.iter().flat_map(|case| [(true, case), (false, case)]) {
        let request = CreateTopicsRequest {
            topics: case.iter().copied().map(topic).collect(),
            timeout_ms: 30_000,
            validate_only,
        };
        asked.ask(7, &request, |answer| created(&answer)).await;
        asked.settle().await;
    }
    let mut with_null = topic(("h", 1, 1, &[]));
    with_null.configs = vec![CreatableTopicConfig {
        name: Text::from("retention.ms"),
        value: None,
    }];
    let request = CreateTopicsRequest {
        topics: vec![with_null],
        ..CreateTopicsRequest::default()
    };
    asked
        .ask(7, &request, |answer| {
            let topics = answer.topics.iter();
            topics
                .map(|one| verdict(one.error_code, one.error_message.as_ref()))
                .collect()
        })
        .await;
}

/// Topic, count, and the brokers of each new partition.
type Growth = (&'static str, i32, Option<&'static [&'static [i32]]>);

async fn partitions(asked: &mut Asked) {
    let one: &'static [&'static [i32]] = &[&[1]];
    let cases: &[Growth] = &[
        ("a", 3, None),
        ("a", 2, None),
        ("a", 0, None),
        ("a", -1, None),
        ("missing", 3, None),
        ("", 3, None),
        ("a", 4, Some(&[])),
        ("a", 5, Some(one)),
        ("a", 4, Some(&[&[2]])),
        ("a", 4, Some(&[&[1, 1]])),
        ("a", 4, Some(&[&[]])),
        ("a", 4, Some(one)),
        ("a", 6, None),
    ];
    for (validate_only, case) in cases.iter().flat_map(|case| [(true, case), (false, case)]) {
        let (topic, count, assignments) = case;
        let topic = CreatePartitionsTopic {
            name: Text::from(*topic),
            count: *count,
            assignments: assignments.map(|assignments| {
                let assignments = assignments.iter();
                let of = |brokers: &&[i32]| CreatePartitionsAssignment {
                    broker_ids: brokers.to_vec(),
                };
                assignments.map(of).collect()
            }),
        };
        grow(asked, vec![topic], validate_only).await;
    }
    let topic = |name: &str, count| CreatePartitionsTopic {
        name: Text::from(name),
        count,
        assignments: None,
    };
    let twice = vec![topic("a", 7), topic("b", 3), topic("a", 8)];
    grow(asked, twice, false).await;
}

async fn grow(asked: &mut Asked, topics: Vec<CreatePartitionsTopic>, validate_only: bool) {
    let request = CreatePartitionsRequest {
        topics,
        timeout_ms: 30_000,
        validate_only,
    };
    for version in [0, 3] {
        asked.ask(version, &request, |answer| grown(&answer)).await;
        asked.settle().await;
    }
}

pub(crate) fn grown(answer: &CreatePartitionsResponse) -> Vec<String> {
    let results = answer.results.iter();
    let results = results.map(|one| {
        let said = verdict(one.error_code, one.error_message.as_ref());
        format!("{}: {said}", one.name)
    });
    results.collect()
}

async fn elections(asked: &mut Asked) {
    let some: &[(&str, &[i32])] = &[("a", &[0, 1, 99, -1]), ("missing", &[0])];
    for (election_type, topics) in [(0, Some(some)), (1, Some(some)), (0, Some(&[])), (0, None)] {
        let topics = topics.map(|topics| {
            let topics = topics.iter();
            let of = |(topic, partitions): &(&str, &[i32])| TopicPartitions {
                topic: Text::from(*topic),
                partitions: partitions.to_vec(),
            };
            topics.map(of).collect()
        });
        let request = ElectLeadersRequest {
            election_type,
            topic_partitions: topics,
            timeout_ms: 30_000,
        };
        asked.ask(2, &request, |answer| elected(&answer)).await;
    }
}

pub(crate) fn elected(answer: &ElectLeadersResponse) -> Vec<String> {
    let results = answer.replica_election_results.iter();
    let results = results.flat_map(|topic| {
        let results = topic.partition_result.iter();
        results.map(|one| {
            let said = verdict(one.error_code, one.error_message.as_ref());
            format!("{}-{} {said}", topic.topic, one.partition_id)
        })
    });
    let code = ErrorCode::from_code(answer.error_code).name().to_owned();
    results.chain([code]).collect()
}

async fn reassignments(asked: &mut Asked) {
    let cases: &[(&str, i32, Option<&[i32]>)] = &[
        ("a", 0, Some(&[1])),
        ("a", 0, Some(&[2])),
        ("a", 0, Some(&[1, 2])),
        ("a", 0, Some(&[1, 1])),
        ("a", 0, Some(&[])),
        ("a", 0, None),
        ("a", 77, Some(&[1])),
        ("missing", 0, Some(&[1])),
    ];
    for (topic, partition_index, replicas) in cases {
        let partition = ReassignablePartition {
            partition_index: *partition_index,
            replicas: replicas.map(<[i32]>::to_vec),
        };
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic {
                name: Text::from(*topic),
                partitions: vec![partition],
            }],
            ..AlterPartitionReassignmentsRequest::default()
        };
        asked.ask(1, &request, |answer| moved(&answer)).await;
    }
    let some = ListPartitionReassignmentsTopics {
        name: Text::from("a"),
        partition_indexes: vec![0, 99],
    };
    for topics in [None, Some(vec![some])] {
        let request = ListPartitionReassignmentsRequest {
            timeout_ms: 30_000,
            topics,
        };
        asked
            .ask(0, &request, |answer| {
                let said = verdict(answer.error_code, answer.error_message.as_ref());
                vec![format!("{said} {:?}", answer.topics)]
            })
            .await;
    }
}

pub(crate) fn moved(answer: &AlterPartitionReassignmentsResponse) -> Vec<String> {
    let top = verdict(answer.error_code, answer.error_message.as_ref());
    let each = answer.responses.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|one| {
            let said = verdict(one.error_code, one.error_message.as_ref());
            format!("{}-{} {said}", topic.name, one.partition_index)
        })
    });
    each.chain([top]).collect()
}

async fn log_dirs(asked: &mut Asked) {
    let some = DescribableLogDirTopic {
        topic: Text::from("a"),
        partitions: vec![0, 2, 99],
    };
    for topics in [None, Some(vec![some])] {
        let request = DescribeLogDirsRequest { topics };
        asked
            .ask(4, &request, |answer| {
                let folder = &answer.results[0];
                let partitions = folder.topics.iter().flat_map(|topic| {
                    let partitions = topic.partitions.iter();
                    partitions.map(|one| format!("{} {one:?}", topic.name))
                });
                let known = folder.total_bytes > 0 && folder.usable_bytes > 0;
                partitions.chain([format!("{known}")]).collect()
            })
            .await;
    }
}

/// Topics, most partitions of an answer, and the cursor.
type Page = (&'static [&'static str], i32, Option<(&'static str, i32)>);

async fn topic_partitions(asked: &mut Asked) {
    let cases: &[Page] = &[
        (&[], 2000, None),
        (&[], 2, None),
        (&[], 2, Some(("a", 2))),
        (&["b", "a", "missing", "a b"], 7, None),
        (&["b", "a"], 0, None),
        (&["a"], 5, Some(("b", 0))),
        (&["a"], 5, Some(("a", -1))),
        (&["a"], 5, Some(("a", 99))),
    ];
    for (topics, limit, cursor) in cases {
        let topics = topics.iter();
        let request = DescribeTopicPartitionsRequest {
            topics: topics
                .map(|topic| TopicRequest {
                    name: Text::from(*topic),
                })
                .collect(),
            response_partition_limit: *limit,
            cursor: cursor.map(|(topic, partition_index)| Cursor {
                topic_name: Text::from(topic),
                partition_index,
            }),
        };
        asked
            .ask(0, &request, |mut answer| {
                answer
                    .topics
                    .iter_mut()
                    .for_each(|topic| topic.topic_id = Default::default());
                vec![format!("{:?} {:?}", answer.topics, answer.next_cursor)]
            })
            .await;
    }
}

async fn quorum(asked: &mut Asked) {
    for (topic_name, partition_index) in [
        ("__cluster_metadata", 0),
        ("__cluster_metadata", 1),
        ("a", 0),
    ] {
        let request = DescribeQuorumRequest {
            topics: vec![TopicData {
                topic_name: Text::from(topic_name),
                partitions: vec![PartitionData { partition_index }],
            }],
        };
        asked
            .ask(2, &request, |answer| {
                let one = &answer.topics[0].partitions[0];
                let voters = one.current_voters.iter().map(|voter| voter.replica_id);
                let voters: Vec<i32> = voters.collect();
                let top = verdict(answer.error_code, answer.error_message.as_ref());
                let said = verdict(one.error_code, one.error_message.as_ref());
                let nodes = answer.nodes.len();
                vec![format!(
                    "{top} {said} {} {} {voters:?} {nodes}",
                    one.leader_id, one.leader_epoch
                )]
            })
            .await;
    }
}

/// Feature, level and kind of each update, and whether it is only tried.
type Updates = (&'static [(&'static str, i16, i8)], bool);

async fn features(asked: &mut Asked) {
    let cases: &[Updates] = &[
        (&[("metadata.version", 30, 1)], false),
        (&[("metadata.version", 1, 2)], false),
        (&[("metadata.version", 29, 1)], false),
        (&[("metadata.version", 31, 1)], true),
        (&[("no.such", 1, 1)], false),
        (&[("eligible.leader.replicas.version", 1, 1)], true),
        (&[("eligible.leader.replicas.version", 1, 0)], true),
        (&[("eligible.leader.replicas.version", -1, 1)], true),
        (&[("eligible.leader.replicas.version", 0, 1)], true),
        (&[("eligible.leader.replicas.version", 0, 2)], true),
        (&[], false),
    ];
    for ((updates, validate_only), version) in cases.iter().flat_map(|case| [(case, 1), (case, 2)])
    {
        let updates = updates.iter();
        let request = UpdateFeaturesRequest {
            feature_updates: updates
                .map(|(feature, level, kind)| FeatureUpdateKey {
                    feature: Text::from(*feature),
                    max_version_level: *level,
                    upgrade_type: *kind,
                    ..FeatureUpdateKey::default()
                })
                .collect(),
            validate_only: *validate_only,
            ..UpdateFeaturesRequest::default()
        };
        asked
            .ask(version, &request, |answer| {
                let said = verdict(answer.error_code, answer.error_message.as_ref());
                vec![format!("{said} {:?}", answer.results)]
            })
            .await;
    }
}
