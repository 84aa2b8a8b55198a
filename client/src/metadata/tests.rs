//! Snapshots follow the cluster and ignore what is older than what they know.

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use tokio::time::Instant;

use super::{Metadata, address_of};

fn response(partitions: &[(i32, i32, i32)]) -> MetadataResponse {
    let broker = |node_id| MetadataResponseBroker {
        node_id,
        host: "::1".into(),
        port: 9092,
        ..Default::default()
    };
    let partition =
        |(index, leader_id, leader_epoch): &(i32, i32, i32)| MetadataResponsePartition {
            partition_index: *index,
            leader_id: *leader_id,
            leader_epoch: *leader_epoch,
            ..Default::default()
        };
    MetadataResponse {
        brokers: vec![broker(1), broker(2)],
        controller_id: 1,
        topics: vec![MetadataResponseTopic {
            name: Some("t".into()),
            partitions: partitions.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn late_answers_do_not_move_a_leader_back() {
    let first = Metadata::default().next(&response(&[(1, 2, 5), (0, 1, 7)]), Instant::now());
    assert_eq!(
        (first.leader("t", 0), first.leader("t", 1)),
        (Some(1), Some(2))
    );
    let second = first.next(&response(&[(0, 2, 6), (1, 1, 6)]), Instant::now());
    assert_eq!(
        (second.leader("t", 0), second.leader("t", 1)),
        (Some(1), Some(1))
    );
    let unknown_epoch = second.next(&response(&[(0, 2, -1)]), Instant::now());
    assert_eq!(unknown_epoch.leader("t", 0), Some(2));
}

#[test]
fn errors_gaps_and_dead_leaders_are_no_partitions() {
    let mut answer = response(&[(0, 9, 0), (2, 1, 0)]);
    let metadata = Metadata::default().next(&answer, Instant::now());
    assert_eq!(
        (metadata.leader("t", 0), metadata.partition_count("t")),
        (None, Some(1))
    );
    answer.topics[0].error_code = ErrorCode::LeaderNotAvailable.code();
    let metadata = metadata.next(&answer, Instant::now());
    assert_eq!(metadata.partition_count("t"), None);
    assert_eq!(
        metadata.topic_error("t"),
        Some(ErrorCode::LeaderNotAvailable)
    );
}

#[test]
fn addresses_of_both_families() {
    assert_eq!(&*address_of("::1", 9092), "[::1]:9092");
    assert_eq!(&*address_of("localhost", 1), "localhost:1");
}
