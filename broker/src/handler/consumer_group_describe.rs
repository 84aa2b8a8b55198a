//! ConsumerGroupDescribe 0-1 (KIP-848): groups of the consumer protocol with what their members
//! have and are to have. v1 says which protocol a member speaks. A classic group is not found here.

use std::sync::Arc;

use logway_protocol::message::consumer_group_describe::{
    Assignment, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup,
    Member, TopicPartitions,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use super::describe_groups::GROUP_OPERATIONS;
use crate::context::Context;
use crate::group::Found;
use crate::group::consumer::{ConsumerView, MemberView, ShownPartitions};

/// Kafka's numbers of the kinds of members.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

/// Answers for each group named.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let describe = |id| describe(context, id);
    let mut groups: Vec<DescribedGroup> = request.group_ids.into_iter().map(describe).collect();
    if request.include_authorized_operations {
        let found = |group: &&mut DescribedGroup| group.error_code == ErrorCode::None.code();
        for group in groups.iter_mut().filter(found) {
            group.authorized_operations = GROUP_OPERATIONS;
        }
    }
    ConsumerGroupDescribeResponse {
        groups,
        ..ConsumerGroupDescribeResponse::default()
    }
}

fn describe(context: &Context, id: Text) -> DescribedGroup {
    if id.is_empty() {
        return failed(id, ErrorCode::InvalidGroupId, None);
    }
    match context.groups.describe_consumer(&id) {
        Ok(Found::Group(view)) => described(id, view),
        Ok(Found::Nothing) => {
            let message = format!("Group {id} not found.");
            failed(id, ErrorCode::GroupIdNotFound, Some(message))
        }
        Ok(Found::OtherKind) => {
            let message = format!("Group {id} is not a consumer group.");
            failed(id, ErrorCode::GroupIdNotFound, Some(message))
        }
        Err(error) => failed(id, error, None),
    }
}

fn failed(group_id: Text, error: ErrorCode, message: Option<String>) -> DescribedGroup {
    DescribedGroup {
        error_code: error.code(),
        error_message: message.map(Text::from),
        group_id,
        ..DescribedGroup::default()
    }
}

fn described(group_id: Text, view: ConsumerView) -> DescribedGroup {
    DescribedGroup {
        group_id,
        group_state: Text::from_static(view.state.name()),
        group_epoch: view.epoch,
        assignment_epoch: view.target_epoch,
        assignor_name: Text::from_static(view.assignor),
        members: view.members.into_iter().map(member).collect(),
        ..DescribedGroup::default()
    }
}

fn member(view: MemberView) -> Member {
    let text = |text: &Arc<str>| Text::from(&**text);
    let member = view.member;
    let kind = match member.classic {
        Some(_) => CLASSIC_MEMBER,
        None => CONSUMER_MEMBER,
    };
    Member {
        member_id: text(&member.id),
        instance_id: member.instance_id.as_ref().map(text),
        rack_id: member.rack_id.as_ref().map(text),
        member_epoch: member.current.epoch,
        client_id: text(&member.client.id),
        client_host: text(&member.client.host),
        subscribed_topic_names: member.topics.iter().map(text).collect(),
        subscribed_topic_regex: Some(member.regex.as_ref().map(text).unwrap_or_default()),
        assignment: assignment(view.assignment),
        target_assignment: assignment(view.target),
        member_type: kind,
    }
}

fn assignment(topics: Vec<ShownPartitions>) -> Assignment {
    let topic_partitions = topics.into_iter().map(|of| TopicPartitions {
        topic_id: of.topic_id,
        topic_name: Text::from(&*of.topic),
        partitions: of.partitions,
    });
    Assignment {
        topic_partitions: topic_partitions.collect(),
    }
}
