//! `--describe`: offsets, members and states of groups.

use logway_client::{Admin, Destination, OffsetAndMetadata, OffsetSpec, TopicPartition};
use logway_protocol::message::consumer_group_describe::{
    Assignment, ConsumerGroupDescribeRequest, DescribedGroup,
};

use super::table::{Column, column, text};
use super::{list, while_waiting};
use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::{err, out};
use logway_client::ErrorCode;

/// A group of either protocol.
pub(super) struct Group {
    pub(super) id: String,
    pub(super) state: String,
    assignor: String,
    /// Epochs of the group and of its target assignment, where it has them.
    epochs: Option<(i32, i32)>,
    pub(super) members: Vec<Member>,
}

/// A member of either protocol.
pub(super) struct Member {
    id: String,
    instance: Option<String>,
    client: String,
    host: String,
    pub(super) assignment: Vec<TopicPartition>,
    /// Epoch, and what it shall have, where it has them.
    target: Option<(i32, Vec<TopicPartition>)>,
}

/// Prints what the command line asks for.
pub(super) async fn run(admin: &Admin, parsed: &Parsed) -> Result<(), Exception> {
    let mut names = list::named(admin, parsed).await?;
    names.sort();
    let verbose = parsed.has("verbose");
    let mut groups = Vec::new();
    for name in &names {
        let group = describe(admin, name).await.map_err(|e| while_waiting(&e))?;
        groups.push(group);
    }
    for group in &groups {
        if parsed.has("members") {
            say_state(group);
            out(members(group, verbose));
        } else if parsed.has("state") {
            say_state(group);
            out(state(admin, group, verbose).await?);
        } else {
            let rows = offsets(admin, group, verbose).await?;
            say_state(group);
            if rows.is_empty() {
                continue;
            }
            out(text(&offset_columns(verbose), &rows));
        }
    }
    Ok(())
}

/// What is to be known about a group before its table.
fn say_state(group: &Group) {
    let id = &group.id;
    match group.state.as_str() {
        "Empty" => err(format!("\nConsumer group '{id}' has no active members.")),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            err(format!("\nWarning: Consumer group '{id}' is rebalancing."));
        }
        _ => {}
    }
}

/// The group, whichever protocol it speaks.
pub(super) async fn describe(admin: &Admin, name: &str) -> Result<Group, Exception> {
    let response = admin
        .request(
            Destination::Group(name),
            |_| ConsumerGroupDescribeRequest {
                group_ids: vec![name.into()],
                include_authorized_operations: false,
            },
            |response| response.groups.first().map_or(0, |group| group.error_code),
        )
        .await;
    if let Ok(response) = response
        && let Some(group) = response.groups.into_iter().next()
        && group.error_code == ErrorCode::None.code()
    {
        return Ok(of_consumer(&group));
    }
    let failed = |error| Exception::of_call(&error, "describeConsumerGroups");
    let described = admin.describe_groups(&[name]).await.map_err(failed)?;
    let described = described.into_iter().next().map(|(_, group)| group);
    let unknown = || {
        Exception::of_code(
            ErrorCode::GroupIdNotFound,
            Some(&format!("Group {name} not found.")),
        )
    };
    let group = described.ok_or_else(unknown)?.map_err(failed)?;
    if group.state == "Dead" {
        return Err(unknown());
    }
    Ok(Group {
        id: name.to_owned(),
        state: group.state,
        assignor: group.protocol,
        epochs: None,
        members: group
            .members
            .into_iter()
            .map(|member| Member {
                id: member.member_id,
                instance: member.instance_id,
                client: member.client_id,
                host: member.client_host,
                assignment: sorted(member.assignment),
                target: None,
            })
            .collect(),
    })
}

fn of_consumer(group: &DescribedGroup) -> Group {
    let members = group.members.iter().map(|member| Member {
        id: member.member_id.to_string(),
        instance: member.instance_id.as_ref().map(ToString::to_string),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assignment: partitions(&member.assignment),
        target: Some((member.member_epoch, partitions(&member.target_assignment))),
    });
    Group {
        id: group.group_id.to_string(),
        state: group.group_state.to_string(),
        assignor: group.assignor_name.to_string(),
        epochs: Some((group.group_epoch, group.assignment_epoch)),
        members: members.collect(),
    }
}

fn partitions(assignment: &Assignment) -> Vec<TopicPartition> {
    let partitions = assignment.topic_partitions.iter().flat_map(|topic| {
        let at = |p: &i32| TopicPartition::new(topic.topic_name.as_str(), *p);
        topic.partitions.iter().map(at)
    });
    sorted(partitions.collect())
}

fn sorted(mut partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
    partitions.sort();
    partitions
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn offset_columns(verbose: bool) -> Vec<Column> {
    let mut columns = vec![
        column("GROUP", 15),
        column("TOPIC", 15),
        column("PARTITION", 10),
    ];
    if verbose {
        columns.push(column("LEADER-EPOCH", 15));
    }
    columns.extend([
        column("CURRENT-OFFSET", 15),
        column("LOG-END-OFFSET", 15),
        column("LAG", 15),
        column("CONSUMER-ID", 15),
        column("HOST", 15),
        column("CLIENT-ID", 0),
    ]);
    columns
}

/// A row for each partition that a member has or the group has an offset of.
async fn offsets(
    admin: &Admin,
    group: &Group,
    verbose: bool,
) -> Result<Vec<Vec<String>>, Exception> {
    let failed = |error| Exception::of_call(&error, "listConsumerGroupOffsets");
    let committed = admin.group_offsets(&group.id).await.map_err(failed)?;
    let mut members: Vec<&Member> = group
        .members
        .iter()
        .filter(|m| !m.assignment.is_empty())
        .collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.assignment.len()));
    let mut places: Vec<(TopicPartition, Option<&Member>)> = Vec::new();
    for member in members {
        places.extend(
            member
                .assignment
                .iter()
                .map(|at| (at.clone(), Some(member))),
        );
    }
    for (at, _) in &committed {
        if !places.iter().any(|(known, _)| known == at) {
            places.push((at.clone(), None));
        }
    }
    let wanted: Vec<_> = places
        .iter()
        .map(|(at, _)| (at.clone(), OffsetSpec::Latest))
        .collect();
    let ends = admin.list_offsets(&wanted).await.map_err(failed)?;
    let rows = places.iter().zip(ends).map(|((at, member), (_, end))| {
        let current: Option<&OffsetAndMetadata> = committed
            .iter()
            .find(|(known, _)| known == at)
            .map(|(_, committed)| committed);
        let end = end.ok().and_then(|end| end.offset);
        let offset = current.map(|current| current.offset);
        let mut row = vec![
            group.id.clone(),
            at.topic.to_string(),
            at.partition.to_string(),
        ];
        if verbose {
            row.push(or_dash(current.and_then(|current| current.leader_epoch)));
        }
        row.extend([
            or_dash(offset),
            or_dash(end),
            or_dash(offset.zip(end).map(|(offset, end)| end - offset)),
            or_dash(member.map(|member| &member.id)),
            or_dash(member.map(|member| &member.host)),
            or_dash(member.map(|member| &member.client)),
        ]);
        row
    });
    Ok(rows.collect())
}

fn members(group: &Group, verbose: bool) -> String {
    let has_instances = group.members.iter().any(|member| member.instance.is_some());
    let mut columns = vec![column("GROUP", 15), column("CONSUMER-ID", 15)];
    if has_instances {
        columns.push(column("GROUP-INSTANCE-ID", 17));
    }
    columns.extend([
        column("HOST", 15),
        column("CLIENT-ID", 15),
        column("#PARTITIONS", 15),
    ]);
    if verbose {
        columns.extend([
            column("CURRENT-EPOCH", 15),
            column("CURRENT-ASSIGNMENT", 20),
            column("TARGET-EPOCH", 15),
            column("TARGET-ASSIGNMENT", 20),
        ]);
    }
    // The line ends with the space that a further column would follow.
    if !verbose {
        columns.push(column("", 0));
    }
    let rows: Vec<Vec<String>> = group
        .members
        .iter()
        .map(|member| {
            let mut row = vec![group.id.clone(), member.id.clone()];
            if has_instances {
                row.push(member.instance.clone().unwrap_or_default());
            }
            row.extend([
                member.host.clone(),
                member.client.clone(),
                member.assignment.len().to_string(),
            ]);
            if verbose {
                let target = member.target.as_ref();
                row.extend([
                    or_dash(target.map(|(epoch, _)| epoch)),
                    assignment_text(&member.assignment),
                    or_dash(target.and(group.epochs).map(|(_, assignment)| assignment)),
                    target.map_or_else(|| "-".to_owned(), |(_, target)| assignment_text(target)),
                ]);
            } else {
                row.push(String::new());
            }
            row
        })
        .collect();
    text(&columns, &rows)
}

/// `orders:0,1;other:2`.
fn assignment_text(partitions: &[TopicPartition]) -> String {
    let mut topics: Vec<(&str, Vec<String>)> = Vec::new();
    for at in partitions {
        let number = at.partition.to_string();
        match topics.last_mut() {
            Some((topic, numbers)) if **topic == *at.topic => numbers.push(number),
            _ => topics.push((&at.topic, vec![number])),
        }
    }
    if topics.is_empty() {
        return "-".to_owned();
    }
    let topics: Vec<String> = topics
        .iter()
        .map(|(topic, numbers)| format!("{topic}:{}", numbers.join(",")))
        .collect();
    topics.join(";")
}

async fn state(admin: &Admin, group: &Group, verbose: bool) -> Result<String, Exception> {
    let (node, address) = admin
        .group_coordinator(&group.id)
        .await
        .map_err(|error| Exception::of_call(&error, "findCoordinator"))?;
    let assignor = match group.assignor.as_str() {
        "" => "-".to_owned(),
        assignor => assignor.to_owned(),
    };
    let mut columns = vec![
        column("GROUP", 15),
        column("COORDINATOR (ID)", 25),
        column("ASSIGNMENT-STRATEGY", 20),
        column("STATE", 20),
    ];
    let mut row = vec![
        group.id.clone(),
        format!("{address}  ({node})"),
        assignor,
        group.state.clone(),
    ];
    if verbose {
        columns.extend([
            column("GROUP-EPOCH", 15),
            column("TARGET-ASSIGNMENT-EPOCH", 25),
        ]);
        row.extend([
            or_dash(group.epochs.map(|(epoch, _)| epoch)),
            or_dash(group.epochs.map(|(_, assignment)| assignment)),
        ]);
    }
    columns.push(column("#MEMBERS", 0));
    row.push(group.members.len().to_string());
    Ok(text(&columns, &[row]))
}
