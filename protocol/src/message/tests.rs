//! Every API in every version against an independent codec, the `kafka-protocol` crate: random
//! messages must be the same bytes in both. And hostile bytes must be refused without harm.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{RequestKind, ResponseKind};

use super::*;
use crate::error_code::ErrorCode;
use crate::header::{
    decode_request_header, encode_request, encode_response, encode_response_outline,
};
use crate::random::{Random, Source};

const MESSAGES_PER_VERSION: u64 = 150;

/// Versions that the other codec took from a draft of Kafka 4.1; what Kafka 4.3 speaks differs. Their
/// bytes are compared with Kafka's own (`tests/compat/groups`) and by hand below.
const UNSETTLED: [(ApiKey, i16); 2] = [(ApiKey::OffsetCommit, 10), (ApiKey::OffsetFetch, 10)];

/// What is done with each request type; a closure cannot be generic.
trait Check {
    fn check<R: Request + Random>(&mut self)
    where
        R::Response: Random;
}

/// Runs `check` over every API of the table; returns how many there are.
fn for_each_api(check: &mut impl Check) {
    check.check::<api_versions::ApiVersionsRequest>();
    check.check::<metadata::MetadataRequest>();
    check.check::<produce::ProduceRequest>();
    check.check::<fetch::FetchRequest>();
    check.check::<list_offsets::ListOffsetsRequest>();
    check.check::<create_topics::CreateTopicsRequest>();
    check.check::<delete_topics::DeleteTopicsRequest>();
    check.check::<find_coordinator::FindCoordinatorRequest>();
    check.check::<join_group::JoinGroupRequest>();
    check.check::<sync_group::SyncGroupRequest>();
    check.check::<heartbeat::HeartbeatRequest>();
    check.check::<leave_group::LeaveGroupRequest>();
    check.check::<offset_commit::OffsetCommitRequest>();
    check.check::<offset_fetch::OffsetFetchRequest>();
    check.check::<offset_for_leader_epoch::OffsetForLeaderEpochRequest>();
    check.check::<list_groups::ListGroupsRequest>();
    check.check::<describe_groups::DescribeGroupsRequest>();
    check.check::<init_producer_id::InitProducerIdRequest>();
    check.check::<describe_cluster::DescribeClusterRequest>();
    check.check::<describe_configs::DescribeConfigsRequest>();
    check.check::<alter_configs::AlterConfigsRequest>();
    check.check::<incremental_alter_configs::IncrementalAlterConfigsRequest>();
    check.check::<delete_records::DeleteRecordsRequest>();
    check.check::<add_partitions_to_txn::AddPartitionsToTxnRequest>();
    check.check::<add_offsets_to_txn::AddOffsetsToTxnRequest>();
    check.check::<end_txn::EndTxnRequest>();
    check.check::<write_txn_markers::WriteTxnMarkersRequest>();
    check.check::<txn_offset_commit::TxnOffsetCommitRequest>();
    check.check::<describe_log_dirs::DescribeLogDirsRequest>();
    check.check::<create_partitions::CreatePartitionsRequest>();
    check.check::<delete_groups::DeleteGroupsRequest>();
    check.check::<elect_leaders::ElectLeadersRequest>();
    check.check::<alter_partition_reassignments::AlterPartitionReassignmentsRequest>();
    check.check::<list_partition_reassignments::ListPartitionReassignmentsRequest>();
    check.check::<offset_delete::OffsetDeleteRequest>();
    check.check::<describe_client_quotas::DescribeClientQuotasRequest>();
    check.check::<describe_user_scram_credentials::DescribeUserScramCredentialsRequest>();
    check.check::<alter_client_quotas::AlterClientQuotasRequest>();
    check.check::<describe_quorum::DescribeQuorumRequest>();
    check.check::<update_features::UpdateFeaturesRequest>();
    check.check::<describe_producers::DescribeProducersRequest>();
    check.check::<describe_transactions::DescribeTransactionsRequest>();
    check.check::<list_transactions::ListTransactionsRequest>();
    check.check::<consumer_group_heartbeat::ConsumerGroupHeartbeatRequest>();
    check.check::<consumer_group_describe::ConsumerGroupDescribeRequest>();
    check.check::<list_config_resources::ListConfigResourcesRequest>();
    check.check::<describe_topic_partitions::DescribeTopicPartitionsRequest>();
}

fn kafka_key(key: ApiKey) -> kafka_protocol::messages::ApiKey {
    kafka_protocol::messages::ApiKey::try_from(key.code()).expect("both know the key")
}

fn random<M: Message + Random>(seed: u64, version: i16) -> (M, Bytes) {
    let message = M::random(&mut Source::new(seed, version));
    let bytes = message
        .encode_version(version)
        .unwrap_or_else(|e| panic!("{} v{version} seed {seed}: {e}: {message:?}", M::NAME));
    (message, bytes)
}

#[derive(Default)]
struct AgainstKafkaProtocol {
    apis: usize,
}

impl Check for AgainstKafkaProtocol {
    fn check<R: Request + Random>(&mut self)
    where
        R::Response: Random,
    {
        self.apis += 1;
        for version in R::VERSIONS {
            for seed in 0..MESSAGES_PER_VERSION {
                let at = format!("{} v{version} seed {seed}", R::KEY);
                let (request, bytes) = random::<R>(seed, version);
                assert_eq!(
                    R::decode_version(bytes.clone(), version),
                    Ok(request),
                    "{at}"
                );
                let theirs = kafka_key(R::KEY).valid_versions().max;
                if version > theirs || UNSETTLED.contains(&(R::KEY, version)) {
                    // Newer than the other codec: at least the way back is the way out.
                    let (response, bytes) = random::<R::Response>(seed, version);
                    assert_eq!(R::Response::decode_version(bytes, version), Ok(response));
                    continue;
                }
                let theirs = RequestKind::decode(kafka_key(R::KEY), &mut bytes.clone(), version)
                    .unwrap_or_else(|e| panic!("{at}: {e}"));
                let mut again = BytesMut::new();
                theirs
                    .encode(&mut again, version)
                    .unwrap_or_else(|e| panic!("{at}: {e}"));
                assert_eq!(again.freeze(), bytes, "{at}: {theirs:?}");

                let (response, bytes) = random::<R::Response>(seed, version);
                assert_eq!(
                    R::Response::decode_version(bytes.clone(), version),
                    Ok(response)
                );
                let theirs = ResponseKind::decode(kafka_key(R::KEY), &mut bytes.clone(), version)
                    .unwrap_or_else(|e| panic!("{at}: {e}"));
                let mut again = BytesMut::new();
                theirs
                    .encode(&mut again, version)
                    .unwrap_or_else(|e| panic!("{at}: {e}"));
                assert_eq!(again.freeze(), bytes, "{at}: {theirs:?}");
            }
        }
    }
}

#[test]
fn every_api_and_version_has_the_bytes_of_an_independent_codec() {
    let mut check = AgainstKafkaProtocol::default();
    for_each_api(&mut check);
    let described = ApiKey::ALL
        .iter()
        .filter(|key| key.versions().is_some())
        .count();
    assert_eq!(
        check.apis, described,
        "an API of the table is missing in for_each_api"
    );
}

#[test]
fn offsets_name_topics_by_id_from_version_10() {
    let id = crate::uuid::Uuid::from_bytes([9; 16]);
    let request = offset_commit::OffsetCommitRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        generation_id_or_member_epoch: 2,
        topics: vec![offset_commit::OffsetCommitRequestTopic {
            name: "left out".into(),
            topic_id: id,
            partitions: vec![offset_commit::OffsetCommitRequestPartition {
                partition_index: 1,
                committed_offset: 5,
                committed_leader_epoch: -1,
                committed_metadata: None,
            }],
        }],
        ..Default::default()
    };
    let mut expected = vec![2, b'g', 0, 0, 0, 2, 2, b'm', 0, 2];
    expected.extend([9; 16]);
    expected.extend([
        2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 255, 255, 255, 255, 0, 0, 0, 0,
    ]);
    assert_eq!(request.encode_version(10).expect("encodes"), expected);
    let request = offset_fetch::OffsetFetchRequest {
        groups: vec![offset_fetch::OffsetFetchRequestGroup {
            group_id: "g".into(),
            topics: Some(vec![offset_fetch::OffsetFetchRequestTopics {
                name: "left out".into(),
                topic_id: id,
                partition_indexes: vec![1],
            }]),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut expected = vec![2, 2, b'g', 0, 255, 255, 255, 255, 2];
    expected.extend([9; 16]);
    expected.extend([2, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(request.encode_version(10).expect("encodes"), expected);
}

struct Headers;

impl Check for Headers {
    fn check<R: Request + Random>(&mut self)
    where
        R::Response: Random,
    {
        let key = kafka_key(R::KEY);
        for version in R::VERSIONS {
            assert_eq!(
                R::KEY.request_header_version(version),
                key.request_header_version(version)
            );
            assert_eq!(
                R::KEY.response_header_version(version),
                key.response_header_version(version)
            );
            let (request, body) = random::<R>(7, version);
            let mut frame = encode_request(9, Some("me"), version, &request).expect("encodes");
            let length = frame.split_to(4);
            assert_eq!(length.as_ref(), (frame.len() as i32).to_be_bytes());
            let (header, rest) = decode_request_header(frame).expect("decodes");
            assert_eq!(
                (header.api_key, header.api_version),
                (R::KEY.code(), version)
            );
            assert_eq!(
                (header.correlation_id, header.client_id.as_deref()),
                (9, Some("me"))
            );
            assert_eq!(rest, body);
            let (response, body) = random::<R::Response>(7, version);
            let frame = encode_response(R::KEY, version, 9, &response).expect("encodes");
            let (id, rest) =
                crate::header::decode_response_header(R::KEY, version, frame.slice(4..))
                    .expect("decodes");
            assert_eq!((id, rest), (9, body));
        }
    }
}

#[test]
fn headers_have_the_right_version_and_enclose_the_body() {
    for_each_api(&mut Headers);
}

/// Every prefix, every byte set to extremes, and every four bytes set to hostile lengths.
struct Hostile;

impl Check for Hostile {
    fn check<R: Request + Random>(&mut self)
    where
        R::Response: Random,
    {
        for version in R::VERSIONS {
            for seed in 0..6 {
                let (_, bytes) = random::<R>(seed, version);
                for end in 0..bytes.len() {
                    let cut = R::decode_version(bytes.slice(..end), version);
                    assert!(cut.is_err(), "{} v{version}: a cut message decoded", R::KEY);
                }
                let mut longer = bytes.to_vec();
                longer.push(0);
                assert!(R::decode_version(longer.into(), version).is_err());
                for at in 0..bytes.len() {
                    for value in [0u8, 1, 0x7f, 0x80, 0xff] {
                        let mut bad = bytes.to_vec();
                        bad[at] = value;
                        // Some of these are valid messages: what counts is that none does harm.
                        drop(R::decode_version(bad.into(), version));
                    }
                    for length in [-1i32, -2, i32::MIN, i32::MAX, 0x00ff_ffff] {
                        let mut bad = bytes.to_vec();
                        let end = (at + 4).min(bad.len());
                        bad[at..end].copy_from_slice(&length.to_be_bytes()[..end - at]);
                        drop(R::decode_version(bad.into(), version));
                    }
                }
            }
        }
    }
}

#[test]
fn damaged_messages_are_refused_without_harm() {
    for_each_api(&mut Hostile);
}

#[test]
fn five_bytes_that_announce_billions_of_topics_are_refused() {
    // A compact array of 2^32 - 2 elements in five bytes: an allocation by count would be fatal.
    let bytes = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    let error = metadata::MetadataRequest::decode_version(bytes, 12).expect_err("refused");
    assert!(matches!(error, DecodeError::Length { .. }), "{error}");
}

#[test]
fn overlong_varints_are_refused() {
    let bytes = Bytes::from_static(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]);
    let error = metadata::MetadataRequest::decode_version(bytes, 9).expect_err("refused");
    assert_eq!(error, DecodeError::Varint(5));
}

#[test]
fn a_field_without_a_place_is_an_error_unless_ignorable() {
    let request = join_group::JoinGroupRequest {
        group_instance_id: Some(crate::Text::from_static("static")),
        ..Default::default()
    };
    assert!(matches!(
        request.encode_version(4),
        Err(EncodeError::NotInVersion { .. })
    ));
    assert!(request.encode_version(5).is_ok());
    let response = metadata::MetadataResponse {
        cluster_id: Some("c".into()),
        ..Default::default()
    };
    assert!(response.encode_version(1).is_ok());
}

#[test]
fn versions_outside_the_range_are_refused() {
    assert!(
        produce::ProduceRequest::default()
            .encode_version(2)
            .is_err()
    );
    assert!(produce::ProduceRequest::decode_version(Bytes::new(), 14).is_err());
}

#[test]
fn error_codes_agree_with_the_independent_codec() {
    use kafka_protocol::ResponseError;
    for &code in ErrorCode::ALL {
        let Some(theirs) = ResponseError::try_from_code(code.code()) else {
            continue;
        };
        if let ResponseError::Unknown(_) = theirs {
            continue; // newer than that crate
        }
        let ours = code.name().replace('_', "").to_lowercase();
        let theirs_name = format!("{theirs:?}").to_lowercase();
        assert_eq!(ours, theirs_name);
    }
}

#[test]
fn ids_are_written_as_kafka_writes_them() {
    // From java: Uuid.METADATA_TOPIC_ID and one random id of a real cluster.
    for text in ["AAAAAAAAAAAAAAAAAAAAAQ", "MkU3OEVBNTcwNTJENDM2Qg"] {
        let id: crate::Uuid = text.parse().expect("an id");
        assert_eq!(id.to_string(), text);
    }
    let one: crate::Uuid = "AAAAAAAAAAAAAAAAAAAAAQ".parse().expect("an id");
    assert_eq!(one.as_bytes()[15], 1);
    assert!("short".parse::<crate::Uuid>().is_err());
}

#[test]
fn a_response_with_records_elsewhere_has_the_same_bytes_around_them() {
    use crate::RecordsField;
    for version in fetch::FetchResponse::VERSIONS {
        for seed in 0..MESSAGES_PER_VERSION {
            let (mut response, _) = random::<fetch::FetchResponse>(seed, version);
            let whole = encode_response(ApiKey::Fetch, version, 9, &response).expect("encodes");
            let mut elsewhere = Vec::new();
            for topic in &mut response.responses {
                for (at, data) in topic.partitions.iter_mut().enumerate() {
                    let Some(records) = data.records.as_mut().filter(|_| at % 3 > 0) else {
                        continue;
                    };
                    if !records.is_empty() {
                        elsewhere.push(Bytes::clone(records));
                    }
                    *records = RecordsField::Elsewhere(records.len());
                }
            }
            let count: usize = elsewhere.iter().map(Bytes::len).sum();
            if count > 0 {
                assert_eq!(
                    encode_response(ApiKey::Fetch, version, 9, &response),
                    Err(EncodeError::Elsewhere(count))
                );
            }
            let outline =
                encode_response_outline(ApiKey::Fetch, version, 9, &response).expect("encodes");
            assert_eq!(outline.holes.len(), elsewhere.len());
            let mut filled = BytesMut::new();
            let mut done = 0;
            for (hole, bytes) in outline.holes.iter().zip(&elsewhere) {
                assert_eq!(hole.length, bytes.len());
                filled.extend_from_slice(&outline.bytes[done..hole.at]);
                filled.extend_from_slice(bytes);
                done = hole.at;
            }
            filled.extend_from_slice(&outline.bytes[done..]);
            assert_eq!(filled, whole, "v{version} seed {seed}");
        }
    }
}
