//! What consumers put into the opaque bytes of JoinGroup and SyncGroup: subscription and assignment.
//! Both begin with their version as an i16.

use bytes::Bytes;

use crate::text::Text;

data! { ConsumerProtocolSubscription, versions 0..=3, flexible never }
data! { ConsumerProtocolAssignment, versions 0..=3, flexible never }

fields! {
    /// Topics a consumer wants, and what it owns (KIP-429, KIP-792).
    pub struct ConsumerProtocolSubscription {
        topics: Vec<Text>, 0..;
        user_data: Option<Bytes>, 0..;
        owned_partitions: Vec<TopicPartition>, 1.., ignorable(true);
        generation_id: i32 = -1, 2.., ignorable(true);
        rack_id: Option<Text>, 3.., ignorable(true);
    }

    /// Part of [`ConsumerProtocolSubscription`]: topic partition.
    pub struct TopicPartition {
        topic: Text, 1..;
        partitions: Vec<i32>, 1..;
    }

    /// Partitions that a consumer got.
    pub struct ConsumerProtocolAssignment {
        assigned_partitions: Vec<ConsumerProtocolAssignmentTopicPartition>, 0..;
        user_data: Option<Bytes>, 0..;
    }

    /// Part of [`ConsumerProtocolAssignment`]: consumer protocol assignment topic partition.
    pub struct ConsumerProtocolAssignmentTopicPartition {
        topic: Text, 0..;
        partitions: Vec<i32>, 0..;
    }
}
