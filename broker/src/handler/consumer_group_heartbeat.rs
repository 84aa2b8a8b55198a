//! ConsumerGroupHeartbeat 0-1 (KIP-848): a member joins, stays, learns its assignment and goes, all
//! in one request. v1 adds regular expressions and makes the member bring an id of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::message::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    ConsumerGroupHeartbeatResponseTopicPartitions,
};
use logway_protocol::{ErrorCode, Text};
use tracing::error;

use super::Header;
use crate::context::Context;
use crate::group::consumer::{Beat, BeatReply, Partitions, Refused, compile};
use crate::group::engine::{ClientInfo, Leaving, Reply, Waiter};

/// Version from which the member makes its own id.
const OWN_ID_FROM: i16 = 1;
/// The member leaves for good.
const LEAVES: i32 = -1;
/// A static member leaves and will be back.
const GOES_AWAY: i32 = -2;
/// Characters of one regular expression.
const REGEX_LENGTH_MAX: usize = 4096;

/// Takes the heartbeat and answers once what it changed is durable.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let reply = match check(context, header.version, &request) {
        Ok(()) => beat(context, header, &request).await,
        Err(refused) => Err(refused),
    };
    response(reply.unwrap_or_else(BeatReply::refused))
}

fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::InvalidRequest, message)
}

fn check(
    context: &Context,
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), Refused> {
    let no_id = request.member_id.is_empty();
    if version >= OWN_ID_FROM && no_id {
        return Err(invalid("MemberId can't be empty."));
    }
    if request.group_id.is_empty() {
        return Err(invalid("GroupId can't be empty."));
    }
    if request.instance_id.as_ref().is_some_and(|id| id.is_empty()) {
        return Err(invalid("InstanceId can't be empty."));
    }
    if request.rack_id.as_ref().is_some_and(|id| id.is_empty()) {
        return Err(invalid("RackId can't be empty."));
    }
    match request.member_epoch {
        1.. | LEAVES if no_id => return Err(invalid("MemberId can't be empty.")),
        1.. | LEAVES => {}
        0 => check_join(request)?,
        GOES_AWAY if request.instance_id.is_none() => {
            return Err(invalid("InstanceId can't be null."));
        }
        GOES_AWAY => {}
        _ => {
            return Err(invalid(format!(
                "MemberEpoch is {}, invalid.",
                request.member_epoch
            )));
        }
    }
    let assignors = &context.settings.group_consumer.assignors;
    if let Some(name) = &request.server_assignor
        && !assignors.iter().any(|known| **known == **name)
    {
        let message = format!(
            "ServerAssignor {name} is not supported. Supported assignors: {}.",
            assignors.join(", ")
        );
        return Err(Refused::new(ErrorCode::UnsupportedAssignor, message));
    }
    check_size(context, request)
}

fn check_join(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refused> {
    if request.rebalance_timeout_ms == -1 {
        return Err(invalid(
            "RebalanceTimeoutMs must be provided in first request.",
        ));
    }
    if request
        .topic_partitions
        .as_ref()
        .is_none_or(|of| !of.is_empty())
    {
        return Err(invalid("TopicPartitions must be empty when (re-)joining."));
    }
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        let message = "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
        return Err(invalid(message));
    }
    Ok(())
}

/// A member is stored as one record, which must fit a batch with others.
fn check_size(context: &Context, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refused> {
    let names = request.subscribed_topic_names.iter().flatten();
    let bytes: usize = names.map(|name| name.len() + 4).sum();
    let max = usize::try_from(context.settings.message_max_bytes).unwrap_or(0) / 2;
    if bytes > max {
        return Err(invalid(format!(
            "SubscribedTopicNames takes {bytes} bytes, more than {max}."
        )));
    }
    Ok(())
}

fn check_regex(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refused> {
    let Some(pattern) = request
        .subscribed_topic_regex
        .as_deref()
        .filter(|text| !text.is_empty())
    else {
        return Ok(());
    };
    let refuse = |why: &dyn std::fmt::Display| {
        let message =
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {why}.");
        Err(Refused::new(ErrorCode::InvalidRegularExpression, message))
    };
    if pattern.len() > REGEX_LENGTH_MAX {
        return refuse(&"it is too long");
    }
    compile(pattern).map_or_else(|source| refuse(&source), |_| Ok(()))
}

async fn beat(
    context: &Context,
    header: &Header,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<BeatReply, Refused> {
    let reply = if matches!(request.member_epoch, LEAVES | GOES_AWAY) {
        let leaving = Leaving {
            member_id: Arc::from(&*request.member_id),
            instance_id: request.instance_id.as_deref().map(Arc::from),
        };
        let groups = &context.groups;
        groups
            .leave(&request.group_id, &leaving, request.member_epoch)
            .await?
    } else {
        let member_id = match &*request.member_id {
            "" => new_member_id()?,
            id => Arc::from(id),
        };
        // Compiled here, off the groups' lock; judged only after the member is.
        let regex_fault = check_regex(request).err();
        let make = |waiter| Beat {
            regex_fault,
            ..event(header, request, (waiter, member_id))
        };
        let joins = request.member_epoch == 0;
        context.groups.beat(&request.group_id, joins, make).await?
    };
    match reply {
        Reply::Beat(reply) => Ok(*reply),
        _ => Err(Refused::new(
            ErrorCode::UnknownServerError,
            "An answer of another kind.",
        )),
    }
}

fn event(
    header: &Header,
    request: &ConsumerGroupHeartbeatRequest,
    (waiter, member_id): (Waiter, Arc<str>),
) -> Beat {
    let shared = |text: &Text| Arc::<str>::from(&**text);
    let names = request.subscribed_topic_names.as_ref();
    let holds = request.topic_partitions.as_ref().map(|topics| {
        let mut holds = Partitions::new();
        for of in topics {
            holds.entry(of.topic_id).or_default().extend(&of.partitions);
        }
        holds
    });
    Beat {
        waiter,
        member_id,
        epoch: request.member_epoch,
        instance_id: request.instance_id.as_ref().map(shared),
        rack_id: request.rack_id.as_ref().map(shared),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms != -1),
        topics: names.map(|names| names.iter().map(shared).collect::<BTreeSet<_>>()),
        regex: request.subscribed_topic_regex.as_ref().map(shared),
        regex_fault: None,
        assignor: request.server_assignor.as_ref().map(shared),
        holds,
        client: ClientInfo {
            id: Arc::from(header.client_id.as_deref().unwrap_or_default()),
            host: Arc::from(format!("/{}", header.peer.ip())),
        },
    }
}

/// Kafka's form: a random id as 22 characters.
fn new_member_id() -> Result<Arc<str>, Refused> {
    let uuid = crate::random::uuid().map_err(|source| {
        error!("no random numbers for a member id: {source}");
        Refused::new(ErrorCode::UnknownServerError, "No random numbers.")
    })?;
    Ok(Arc::from(uuid.to_string()))
}

fn response(reply: BeatReply) -> ConsumerGroupHeartbeatResponse {
    let assignment = reply.assignment.map(|assignment| Assignment {
        topic_partitions: assignment
            .into_iter()
            .map(
                |(topic_id, of)| ConsumerGroupHeartbeatResponseTopicPartitions {
                    topic_id,
                    partitions: of.into_iter().collect(),
                },
            )
            .collect(),
    });
    ConsumerGroupHeartbeatResponse {
        error_code: reply.error.code(),
        error_message: reply.message.map(Text::from),
        member_id: reply.member_id.as_deref().map(Text::from),
        member_epoch: reply.epoch,
        heartbeat_interval_ms: reply.heartbeat_interval_ms,
        assignment,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}
