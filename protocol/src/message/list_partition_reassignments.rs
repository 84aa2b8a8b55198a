//! ListPartitionReassignments: moves of partitions under way (KIP-455).

use crate::text::Text;

api! { ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse, versions 0..=0, flexible 0 }

fields! {
    /// Partitions asked for; null for all.
    pub struct ListPartitionReassignmentsRequest {
        timeout_ms: i32 = 60000, 0..;
        topics: Option<Vec<ListPartitionReassignmentsTopics>>, 0..;
    }

    /// Part of [`ListPartitionReassignmentsRequest`]: list partition reassignments topics.
    pub struct ListPartitionReassignmentsTopics {
        name: Text, 0..;
        partition_indexes: Vec<i32>, 0..;
    }

    /// Moves under way.
    pub struct ListPartitionReassignmentsResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        topics: Vec<OngoingTopicReassignment>, 0..;
    }

    /// Part of [`ListPartitionReassignmentsResponse`]: ongoing topic reassignment.
    pub struct OngoingTopicReassignment {
        name: Text, 0..;
        partitions: Vec<OngoingPartitionReassignment>, 0..;
    }

    /// Part of [`ListPartitionReassignmentsResponse`]: ongoing partition reassignment.
    pub struct OngoingPartitionReassignment {
        partition_index: i32, 0..;
        replicas: Vec<i32>, 0..;
        adding_replicas: Vec<i32>, 0..;
        removing_replicas: Vec<i32>, 0..;
    }
}
