//! Records of `__consumer_offsets` that hold the groups of the consumer protocol (KIP-848).
//! A key begins with its version as an i16, which says what it is: 3 to 8, and 16.

use bytes::Bytes;

use crate::text::Text;
use crate::uuid::Uuid;

data! { ConsumerGroupMetadataKey, versions 3..=3, flexible never }
data! { ConsumerGroupMetadataValue, versions 0..=0, flexible 0 }
data! { ConsumerGroupPartitionMetadataKey, versions 4..=4, flexible never }
data! { ConsumerGroupPartitionMetadataValue, versions 0..=0, flexible 0 }
data! { ConsumerGroupMemberMetadataKey, versions 5..=5, flexible never }
data! { ConsumerGroupMemberMetadataValue, versions 0..=0, flexible 0 }
data! { ConsumerGroupTargetAssignmentMetadataKey, versions 6..=6, flexible never }
data! { ConsumerGroupTargetAssignmentMetadataValue, versions 0..=0, flexible 0 }
data! { ConsumerGroupTargetAssignmentMemberKey, versions 7..=7, flexible never }
data! { ConsumerGroupTargetAssignmentMemberValue, versions 0..=0, flexible 0 }
data! { ConsumerGroupCurrentMemberAssignmentKey, versions 8..=8, flexible never }
data! { ConsumerGroupCurrentMemberAssignmentValue, versions 0..=0, flexible 0 }
data! { ConsumerGroupRegularExpressionKey, versions 16..=16, flexible never }
data! { ConsumerGroupRegularExpressionValue, versions 0..=0, flexible 0 }

fields! {
    /// Key of a group's epoch.
    pub struct ConsumerGroupMetadataKey {
        group_id: Text, 0..;
    }

    /// A group's epoch.
    pub struct ConsumerGroupMetadataValue {
        epoch: i32, 0..;
        metadata_hash: i64, 0.., tag(0);
    }

    /// Key of the topics that a group subscribed to; written before Kafka 4.1.
    pub struct ConsumerGroupPartitionMetadataKey {
        group_id: Text, 0..;
    }

    /// Topics of a group with their partitions; written before Kafka 4.1.
    pub struct ConsumerGroupPartitionMetadataValue {
        topics: Vec<TopicMetadata>, 0..;
    }

    /// Part of [`ConsumerGroupPartitionMetadataValue`]: topic metadata.
    pub struct TopicMetadata {
        topic_id: Uuid, 0..;
        topic_name: Text, 0..;
        num_partitions: i32, 0..;
        partition_metadata: Vec<PartitionMetadata>, 0..;
    }

    /// Part of [`ConsumerGroupPartitionMetadataValue`]: partition metadata.
    pub struct PartitionMetadata {
        partition: i32, 0..;
        racks: Vec<Text>, 0..;
    }

    /// Key of a member and its subscription.
    pub struct ConsumerGroupMemberMetadataKey {
        group_id: Text, 0..;
        member_id: Text, 0..;
    }

    /// A member and its subscription.
    pub struct ConsumerGroupMemberMetadataValue {
        instance_id: Option<Text> = Some(Text::default()), 0..;
        rack_id: Option<Text> = Some(Text::default()), 0..;
        client_id: Text, 0..;
        client_host: Text, 0..;
        subscribed_topic_names: Vec<Text>, 0..;
        subscribed_topic_regex: Option<Text> = Some(Text::default()), 0..;
        rebalance_timeout_ms: i32 = -1, 0..;
        server_assignor: Option<Text> = Some(Text::default()), 0..;
        classic_member_metadata: Option<ClassicMemberMetadata>, 0.., tag(0);
    }

    /// Part of [`ConsumerGroupMemberMetadataValue`]: classic member metadata.
    pub struct ClassicMemberMetadata {
        session_timeout_ms: i32, 0..;
        supported_protocols: Vec<ClassicProtocol>, 0..;
    }

    /// Part of [`ConsumerGroupMemberMetadataValue`]: classic protocol.
    pub struct ClassicProtocol {
        name: Text, 0..;
        metadata: Bytes, 0..;
    }

    /// Key of the epoch of a group's target assignment.
    pub struct ConsumerGroupTargetAssignmentMetadataKey {
        group_id: Text, 0..;
    }

    /// The epoch of a group's target assignment.
    pub struct ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: i32, 0..;
        assignment_timestamp: i64, 0.., tag(0), ignorable(true);
    }

    /// Key of what a member is to have.
    pub struct ConsumerGroupTargetAssignmentMemberKey {
        group_id: Text, 0..;
        member_id: Text, 0..;
    }

    /// What a member is to have.
    pub struct ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: Vec<TopicPartition>, 0..;
    }

    /// Part of [`ConsumerGroupTargetAssignmentMemberValue`]: topic partition.
    pub struct TopicPartition {
        topic_id: Uuid, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// Key of what a member has.
    pub struct ConsumerGroupCurrentMemberAssignmentKey {
        group_id: Text, 0..;
        member_id: Text, 0..;
    }

    /// What a member has, and what it still has to give up.
    pub struct ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: i32, 0..;
        previous_member_epoch: i32, 0..;
        state: i8, 0..;
        assigned_partitions: Vec<TopicPartitions>, 0..;
        partitions_pending_revocation: Vec<TopicPartitions>, 0..;
    }

    /// Part of [`ConsumerGroupCurrentMemberAssignmentValue`]: topic partitions.
    pub struct TopicPartitions {
        topic_id: Uuid, 0..;
        partitions: Vec<i32>, 0..;
        assignment_epochs: Option<Vec<i32>>, 0.., tag(0);
    }

    /// Key of the topics that a regular expression matched.
    pub struct ConsumerGroupRegularExpressionKey {
        group_id: Text, 0..;
        regular_expression: Text, 0..;
    }

    /// Topics that a regular expression matched.
    pub struct ConsumerGroupRegularExpressionValue {
        topics: Vec<Text>, 0..;
        version: i64, 0..;
        timestamp: i64, 0..;
    }
}
