//! `logway groups`: list, describe with lag, and move offsets.

use logway_client::{Admin, OffsetAndMetadata, OffsetSpec, TopicPartition};
use serde_json::Value;

use crate::args::{Cluster, GroupAction, Groups, Output};
use crate::failure::Failure;
use crate::moment;
use crate::offsets;
use crate::table::Table;

/// Runs one group command.
pub(crate) async fn run(args: Groups) -> Result<(), Failure> {
    match args.action {
        GroupAction::List { cluster, output } => list(&cluster, output).await,
        GroupAction::Describe {
            group,
            cluster,
            output,
        } => describe(&group, &cluster, output).await,
        GroupAction::Reset {
            group,
            topic,
            to,
            cluster,
        } => reset(&cluster, &group, &topic, &to).await,
    }
}

async fn list(cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let groups = cluster.admin()?.list_groups().await;
    let mut groups = groups.map_err(|e| Failure::failed(e, "list groups"))?;
    groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    let mut table = Table::new(&["GROUP", "STATE", "PROTOCOL-TYPE"]);
    for group in groups {
        table.row([
            group.group_id.to_string().into(),
            group.state.into(),
            group.protocol_type.to_string().into(),
        ]);
    }
    table.print(output)
}

async fn describe(group: &str, cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let admin = cluster.admin()?;
    let failed = |e| Failure::failed(e, &format!("describe group `{group}`"));
    let described = admin.describe_groups(&[group]).await.map_err(failed)?;
    let Some((_, described)) = described.into_iter().next() else {
        return Err(Failure::usage(format!("group `{group}` does not exist")));
    };
    let described = described.map_err(failed)?;
    let committed = admin.group_offsets(group).await.map_err(failed)?;
    let owner = |at: &TopicPartition| described.members.iter().find(|m| m.assignment.contains(at));
    let mut partitions: Vec<TopicPartition> = committed.iter().map(|(at, _)| at.clone()).collect();
    partitions.extend(
        described
            .members
            .iter()
            .flat_map(|m| m.assignment.iter().cloned()),
    );
    partitions.sort();
    partitions.dedup();
    let ends = offsets::list(&admin, &partitions, OffsetSpec::Latest)
        .await
        .map_err(failed)?;
    let mut table = Table::new(&[
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "MEMBER",
        "CLIENT",
        "HOST",
    ]);
    for at in &partitions {
        let current = committed
            .iter()
            .find(|(p, _)| p == at)
            .map(|(_, c): &(_, OffsetAndMetadata)| c.offset);
        let end = offsets::of(&ends, at);
        let lag = current
            .zip(end)
            .map(|(current, end)| (end - current).max(0));
        let member = owner(at);
        let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
        table.row([
            at.topic.to_string().into(),
            at.partition.into(),
            current.map_or(Value::Null, Into::into),
            end.map_or(Value::Null, Into::into),
            lag.map_or(Value::Null, Into::into),
            text(member.map(|m| m.member_id.to_string())),
            text(member.map(|m| m.client_id.to_string())),
            text(member.map(|m| m.client_host.to_string())),
        ]);
    }
    table.print(output)?;
    if output == Output::Table && described.members.is_empty() {
        eprintln!(
            "group `{group}` has no active members ({})",
            described.state
        );
    }
    Ok(())
}

async fn reset(cluster: &Cluster, group: &str, topic: &str, to: &str) -> Result<(), Failure> {
    let admin = cluster.admin()?;
    let doing = format!("reset group `{group}` on topic `{topic}`");
    let failed = |e| Failure::failed(e, &doing);
    let described = admin.describe_topics(&[topic]).await.map_err(failed)?;
    let Some((_, described)) = described.into_iter().next() else {
        return Err(Failure::usage(format!("topic `{topic}` does not exist")));
    };
    let partitions = described.map_err(failed)?.partitions;
    let places: Vec<_> = partitions
        .iter()
        .map(|p| TopicPartition::new(topic, p.partition))
        .collect();
    let targets = targets(&admin, places, to, &doing).await?;
    let mut table = Table::new(&["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"]);
    for (at, result) in admin
        .alter_group_offsets(group, &targets)
        .await
        .map_err(failed)?
    {
        result.map_err(failed)?;
        let offset = targets
            .iter()
            .find(|(p, _)| *p == at)
            .map_or(-1, |(_, offset)| *offset);
        table.row([
            group.into(),
            at.topic.to_string().into(),
            at.partition.into(),
            offset.into(),
        ]);
    }
    table.print(Output::Table)
}

/// Where each partition is to be read on.
async fn targets(
    admin: &Admin,
    places: Vec<TopicPartition>,
    to: &str,
    doing: &str,
) -> Result<Vec<(TopicPartition, i64)>, Failure> {
    let failed = |e| Failure::failed(e, doing);
    let spec = match to {
        "earliest" => OffsetSpec::Earliest,
        "latest" => OffsetSpec::Latest,
        text => match text.parse() {
            Ok(offset @ 0..) => return Ok(places.into_iter().map(|at| (at, offset)).collect()),
            _ => OffsetSpec::Timestamp(moment::required("--to", text).map_err(|_| {
                Failure::usage(format!(
                    "--to `{text}`: say earliest, latest, an offset, so long ago (-1h) or a time \
                     (2026-01-31T12:00:00Z)"
                ))
            })?),
        },
    };
    let listed = offsets::list(admin, &places, spec).await.map_err(failed)?;
    // Where no record is that late, the next one to come is.
    let ends = match spec {
        OffsetSpec::Timestamp(_) => offsets::list(admin, &places, OffsetSpec::Latest)
            .await
            .map_err(failed)?,
        _ => Vec::new(),
    };
    let mut targets = Vec::with_capacity(places.len());
    for (at, listed) in listed {
        let listed = listed.map_err(failed)?.offset;
        let offset = listed.or_else(|| offsets::of(&ends, &at)).unwrap_or(0);
        targets.push((at, offset));
    }
    Ok(targets)
}
