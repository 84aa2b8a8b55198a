//! Topics: creation with Kafka's verdicts, creation on use, deletion, and what is said about them.

use logway_protocol::message::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use logway_protocol::message::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use logway_protocol::message::describe_cluster::DescribeClusterRequest;
use logway_protocol::message::metadata::{MetadataRequest, MetadataRequestTopic};
use logway_protocol::{ErrorCode, Text, Uuid};

use crate::harness::{Client, Server, batch};

impl Client {
    pub(crate) async fn delete_topic(&mut self, topic_id: Uuid) {
        let topics = vec![DeleteTopicState {
            name: None,
            topic_id,
        }];
        let request = DeleteTopicsRequest {
            topics,
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        let response = self.ask(6, &request).await;
        assert_eq!(response.responses[0].error_code, 0, "{response:?}");
    }

    async fn try_create(&mut self, topic: CreatableTopic) -> (ErrorCode, String) {
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let response = self.ask(7, &request).await;
        let result = &response.topics[0];
        let message = result.error_message.as_ref().map(ToString::to_string);
        (
            ErrorCode::from_code(result.error_code),
            message.unwrap_or_default(),
        )
    }
}

fn topic(name: &str) -> CreatableTopic {
    CreatableTopic {
        name: Text::from(name),
        num_partitions: -1,
        replication_factor: -1,
        ..CreatableTopic::default()
    }
}

fn config(name: &str, value: &str) -> CreatableTopicConfig {
    CreatableTopicConfig {
        name: Text::from(name),
        value: Some(Text::from(value)),
    }
}

fn with(change: &dyn Fn(&mut CreatableTopic)) -> CreatableTopic {
    let mut asked = topic("new");
    change(&mut asked);
    asked
}

fn assigned(partition_index: i32, broker_ids: Vec<i32>) -> CreatableTopic {
    let assignment = CreatableReplicaAssignment {
        partition_index,
        broker_ids,
    };
    with(&|t| t.assignments = vec![assignment.clone()])
}

/// Names, counts and places that Kafka refuses, with its words.
fn refused_shapes() -> Vec<(CreatableTopic, ErrorCode, &'static str)> {
    vec![
        (
            topic("orders"),
            ErrorCode::TopicAlreadyExists,
            "Topic 'orders' already exists.",
        ),
        (
            topic(".."),
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: '..' is not allowed",
        ),
        (
            topic("bad name!"),
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: 'bad name!' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            topic("web_access"),
            ErrorCode::InvalidTopicException,
            "Topic 'web_access' collides with existing topic: web.access",
        ),
        (
            with(&|t| t.num_partitions = 0),
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            with(&|t| t.replication_factor = 3),
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
        (
            assigned(0, vec![5]),
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 5, but no such broker is registered.",
        ),
        (
            assigned(1, vec![1]),
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ),
    ]
}

/// Settings that Kafka refuses.
fn refused_settings() -> Vec<(CreatableTopic, ErrorCode, &'static str)> {
    vec![
        (
            with(&|t| t.configs = vec![config("no.such", "1")]),
            ErrorCode::InvalidConfig,
            "Unknown topic config name: no.such",
        ),
        (
            with(&|t| t.configs = vec![config("retention.ms", "soon")]),
            ErrorCode::InvalidConfig,
            "Invalid value soon for configuration retention.ms: Not a number of type LONG",
        ),
    ]
}

#[tokio::test]
async fn refusals_have_kafkas_codes_and_texts() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("orders", 1).await;
    client.create_topic("web.access", 1).await;
    for (asked, code, message) in refused_shapes().into_iter().chain(refused_settings()) {
        let (found_code, found_message) = client.try_create(asked).await;
        assert_eq!((found_code, found_message.as_str()), (code, message));
    }
}

#[tokio::test]
async fn a_name_asked_for_twice_is_refused_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let request = CreateTopicsRequest {
        topics: vec![topic("twice"), topic("twice")],
        ..Default::default()
    };
    let response = client.ask(7, &request).await;
    assert_eq!(response.topics.len(), 1);
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::InvalidRequest.code()
    );
}

#[tokio::test]
async fn validate_only_creates_nothing() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            num_partitions: 3,
            ..topic("t")
        }],
        validate_only: true,
        ..Default::default()
    };
    let response = client.ask(7, &request).await;
    let result = &response.topics[0];
    assert_eq!(
        (
            result.error_code,
            result.num_partitions,
            result.replication_factor
        ),
        (0, 3, 1)
    );
    assert_eq!(names(&mut client).await, Vec::<String>::new());
}

async fn names(client: &mut Client) -> Vec<String> {
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let response = client.ask(9, &request).await;
    response
        .topics
        .iter()
        .map(|topic| topic.name.as_ref().unwrap().to_string())
        .collect()
}

fn ask_for(name: &str, create: bool) -> MetadataRequest {
    let topic = MetadataRequestTopic {
        name: Some(Text::from(name)),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: create,
        ..MetadataRequest::default()
    }
}

#[tokio::test]
async fn metadata_answers_every_version() {
    let server = Server::start_with(|settings| settings.num_partitions = 4).await;
    let mut client = server.connect().await;
    for version in 0..=13 {
        let name = format!("t{version}");
        // Before version 4 a request cannot say no: asking creates.
        let response = client.ask(version, &ask_for(&name, true)).await;
        assert_eq!(response.topics[0].error_code, 0, "version {version}");
        assert_eq!(response.topics[0].partitions.len(), 4);
        assert_eq!(
            response.brokers[0].port,
            i32::from(server.broker.kafka_addr().port())
        );
    }
    let absent = client.ask(9, &ask_for("absent", false)).await;
    assert_eq!(
        absent.topics[0].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let bad = client.ask(9, &ask_for("no/name", true)).await;
    assert_eq!(
        bad.topics[0].error_code,
        ErrorCode::InvalidTopicException.code()
    );
    for version in [10, 12, 13] {
        let known = client.ask(version, &ask_for("t5", false)).await.topics[0].topic_id;
        let by_id = |topic_id| MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                topic_id,
                name: None,
            }]),
            ..MetadataRequest::default()
        };
        let found = client.ask(version, &by_id(known)).await;
        assert_eq!(found.topics[0].name.as_deref(), Some("t5"));
        let unknown = client.ask(version, &by_id(Uuid::from_bytes([1; 16]))).await;
        assert_eq!(
            unknown.topics[0].error_code,
            ErrorCode::UnknownTopicId.code()
        );
    }
    assert_eq!(names(&mut client).await.len(), 14);
}

#[tokio::test]
async fn auto_creation_can_be_switched_off() {
    let server = Server::start_with(|settings| settings.auto_create_topics_enable = false).await;
    let mut client = server.connect().await;
    let response = client.ask(9, &ask_for("t", true)).await;
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
}

#[tokio::test]
async fn a_deleted_topic_is_gone_and_its_name_is_free() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let first = client.create_topic("t", 2).await.topics[0].topic_id;
    client.produce("t", -1, batch(&["old"])).await;
    let by_name = |name: &str| DeleteTopicsRequest {
        topic_names: vec![Text::from(name)],
        timeout_ms: 30_000,
        ..DeleteTopicsRequest::default()
    };
    let response = client.ask(5, &by_name("t")).await;
    assert_eq!(response.responses[0].error_code, 0);
    assert_eq!(
        client.fetch("t", 0).await.error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let again = client.ask(5, &by_name("t")).await;
    assert_eq!(
        again.responses[0].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let second = client.create_topic("t", 1).await.topics[0].topic_id;
    assert_ne!(first, second);
    assert_eq!(client.offset("t", -1).await.0, 0, "the new topic is empty");
    let both = DeleteTopicState {
        name: Some(Text::from("t")),
        topic_id: second,
    };
    let request = DeleteTopicsRequest {
        topics: vec![both],
        timeout_ms: 30_000,
        ..DeleteTopicsRequest::default()
    };
    let response = client.ask(6, &request).await;
    assert_eq!(
        response.responses[0].error_code,
        ErrorCode::InvalidRequest.code()
    );
}

#[tokio::test]
async fn the_cluster_describes_itself() {
    let server =
        Server::start_with(|settings| settings.advertised = Some("logs.example:9999".into())).await;
    let mut client = server.connect().await;
    for version in 0..=2 {
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            ..DescribeClusterRequest::default()
        };
        let response = client.ask(version, &request).await;
        assert_eq!(
            (
                response.controller_id,
                response.cluster_authorized_operations
            ),
            (1, 8096)
        );
        assert_eq!(response.brokers[0].host.as_str(), "logs.example");
        assert_eq!(response.brokers[0].port, 9999);
        assert_eq!(response.cluster_id.len(), 22);
    }
    let controllers = DescribeClusterRequest {
        endpoint_type: 2,
        ..Default::default()
    };
    let response = client.ask(1, &controllers).await;
    assert_eq!(
        response.error_code,
        ErrorCode::MismatchedEndpointType.code()
    );
}
