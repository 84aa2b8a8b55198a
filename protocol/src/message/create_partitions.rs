//! CreatePartitions: more partitions for existing topics (KIP-195).

use crate::text::Text;

api! { CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse, versions 0..=3, flexible 2 }

fields! {
    /// Topics with the number of partitions they are to have.
    pub struct CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic>, 0..;
        timeout_ms: i32, 0..;
        validate_only: bool, 0..;
    }

    /// Part of [`CreatePartitionsRequest`]: create partitions topic.
    pub struct CreatePartitionsTopic {
        name: Text, 0..;
        count: i32, 0..;
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()), 0..;
    }

    /// Part of [`CreatePartitionsRequest`]: create partitions assignment.
    pub struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>, 0..;
    }

    /// A result for each topic.
    pub struct CreatePartitionsResponse {
        throttle_time_ms: i32, 0..;
        results: Vec<CreatePartitionsTopicResult>, 0..;
    }

    /// Part of [`CreatePartitionsResponse`]: create partitions topic result.
    pub struct CreatePartitionsTopicResult {
        name: Text, 0..;
        error_code: i16, 0..;
        error_message: Option<Text>, 0..;
    }
}
