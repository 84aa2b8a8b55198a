//! ConsumerGroupDescribe: groups of the consumer protocol with members and assignments (KIP-848).

use crate::text::Text;
use crate::uuid::Uuid;

api! { ConsumerGroupDescribe: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse, versions 0..=1, flexible 0 }

fields! {
    /// Groups asked for.
    pub struct ConsumerGroupDescribeRequest {
        group_ids: Vec<Text>, 0..;
        include_authorized_operations: bool, 0..;
    }

    /// Their descriptions.
    pub struct ConsumerGroupDescribeResponse {
        throttle_time_ms: i32, 0..;
        groups: Vec<DescribedGroup>, 0..;
    }

    /// Part of [`ConsumerGroupDescribeResponse`]: described group.
    pub struct DescribedGroup {
        error_code: i16, 0..;
        error_message: Option<Text>, 0..;
        group_id: Text, 0..;
        group_state: Text, 0..;
        group_epoch: i32, 0..;
        assignment_epoch: i32, 0..;
        assignor_name: Text, 0..;
        members: Vec<Member>, 0..;
        authorized_operations: i32 = i32::MIN, 0..;
    }

    /// Part of [`ConsumerGroupDescribeResponse`]: member.
    pub struct Member {
        member_id: Text, 0..;
        instance_id: Option<Text>, 0..;
        rack_id: Option<Text>, 0..;
        member_epoch: i32, 0..;
        client_id: Text, 0..;
        client_host: Text, 0..;
        subscribed_topic_names: Vec<Text>, 0..;
        subscribed_topic_regex: Option<Text>, 0..;
        assignment: Assignment, 0..;
        target_assignment: Assignment, 0..;
        member_type: i8 = -1, 1.., ignorable(true);
    }

    /// Part of [`ConsumerGroupDescribeResponse`]: topic partitions.
    pub struct TopicPartitions {
        topic_id: Uuid, 0..;
        topic_name: Text, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// Part of [`ConsumerGroupDescribeResponse`]: assignment.
    pub struct Assignment {
        topic_partitions: Vec<TopicPartitions>, 0..;
    }
}
