//! Groups and their members.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::describe_groups::{
    DescribeGroupsRequest, DescribedGroup, DescribedGroupMember,
};
use logway_protocol::message::list_groups::ListGroupsRequest;

use super::{Admin, Results, check, rejected};
use crate::cluster::Lane;
use crate::consumer::decode_assignment;
use crate::coordinator::{Coordinator, Failure};
use crate::error::AdminError;
use crate::topic::TopicPartition;

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group_id: Arc<str>,
    /// What kind of group: `consumer`, or empty for one with offsets only.
    pub protocol_type: String,
    /// Its state (`Stable`), where the broker says it.
    pub state: Option<String>,
}

/// A group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub group_id: Arc<str>,
    /// Its state: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance` or `Dead`.
    pub state: String,
    /// What kind of group.
    pub protocol_type: String,
    /// The assignor in use.
    pub protocol: String,
    /// Its members, by member id.
    pub members: Vec<MemberDescription>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// The id that the coordinator gave it.
    pub member_id: String,
    /// Its own name, if it is a static member.
    pub instance_id: Option<String>,
    /// Its client id.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// What it has.
    pub assignment: Vec<TopicPartition>,
}

impl Admin {
    /// All groups of all brokers, by id.
    ///
    /// # Errors
    /// A broker does not answer or refuses.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, AdminError> {
        self.retry("list groups", "", || async {
            self.know_brokers().await;
            let mut groups = Vec::new();
            let nodes: Vec<i32> = self.cluster.metadata().nodes.keys().copied().collect();
            for node in nodes {
                let connection = self.cluster.node(node, Lane::Main).await?;
                let response = self
                    .call(&connection, |_| ListGroupsRequest::default())
                    .await?;
                ErrorCode::check(response.error_code).map_err(Failure::Code)?;
                groups.extend(response.groups.iter().map(|group| GroupListing {
                    group_id: (*group.group_id).into(),
                    protocol_type: group.protocol_type.to_string(),
                    state: Some(group.group_state.to_string()).filter(|state| !state.is_empty()),
                }));
            }
            groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
            groups.dedup_by(|a, b| a.group_id == b.group_id);
            Ok(groups)
        })
        .await
    }

    /// Groups with their members. A group that does not exist has the state `Dead`.
    ///
    /// # Errors
    /// No broker answers; refusals are in the results.
    pub async fn describe_groups(
        &self,
        groups: &[&str],
    ) -> Result<Results<Arc<str>, GroupDescription>, AdminError> {
        let mut results = Vec::with_capacity(groups.len());
        for group in groups {
            let coordinator = Coordinator::new(self.cluster.clone(), (*group).into());
            let timeout = self.cluster.config().request_timeout;
            let what = ("describe group", *group);
            let answer = self
                .retry(what.0, group, || async {
                    let response = coordinator
                        .call(Lane::Main, timeout, |_| DescribeGroupsRequest {
                            groups: vec![(*group).into()],
                            ..Default::default()
                        })
                        .await?;
                    let described = response.groups.into_iter().next();
                    if let Some(described) = &described
                        && let code = ErrorCode::from_code(described.error_code)
                        && code.is_retriable()
                    {
                        coordinator.observe(code);
                        return Err(Failure::Code(code));
                    }
                    Ok(described)
                })
                .await;
            let result = match answer {
                Ok(Some(described)) => described_group(group, &described),
                Ok(None) => Err(rejected(what, ErrorCode::UnknownServerError, None)),
                Err(error @ AdminError::Rejected { .. }) => Err(error),
                Err(error) => return Err(error),
            };
            results.push(((*group).into(), result));
        }
        Ok(results)
    }
}

fn described_group(id: &str, group: &DescribedGroup) -> Result<GroupDescription, AdminError> {
    let code = ErrorCode::from_code(group.error_code);
    // From version 6 on a group that does not exist is an error (KIP-1043), before it was dead.
    if code != ErrorCode::GroupIdNotFound {
        check(
            ("describe group", id),
            group.error_code,
            group.error_message.as_deref(),
        )?;
    }
    let mut members: Vec<_> = group.members.iter().map(described_member).collect();
    members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    let state = match code {
        ErrorCode::GroupIdNotFound => "Dead".to_owned(),
        _ => group.group_state.to_string(),
    };
    Ok(GroupDescription {
        group_id: id.into(),
        state,
        protocol_type: group.protocol_type.to_string(),
        protocol: group.protocol_data.to_string(),
        members,
    })
}

fn described_member(member: &DescribedGroupMember) -> MemberDescription {
    MemberDescription {
        member_id: member.member_id.to_string(),
        instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        // Another kind of group puts other bytes there; they are no partitions.
        assignment: decode_assignment(member.member_assignment.clone()).unwrap_or_default(),
    }
}
