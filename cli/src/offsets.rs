//! Where partitions begin and end: one question to the cluster, asked by several commands, and
//! `logway offsets`, which prints the answer.

use logway_client::{Admin, AdminError, ListedOffset, OffsetSpec, TopicPartition};
use serde_json::Value;

use crate::args::Offsets;
use crate::failure::Failure;
use crate::moment;
use crate::progress::{Progress, Unit};
use crate::table::Table;

/// Partitions asked about in one go.
const AT_ONCE: usize = 1000;

/// What the cluster answered for each partition.
pub(crate) type Listed = Vec<(TopicPartition, Result<ListedOffset, AdminError>)>;

/// Asks for the same kind of offset of every partition.
pub(crate) async fn list(
    admin: &Admin,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<Listed, AdminError> {
    let progress = if partitions.len() > AT_ONCE {
        Progress::beside_results(partitions.len() as u64, Unit::Partitions)
    } else {
        Progress::hidden()
    };
    let mut listed = Listed::with_capacity(partitions.len());
    for some in partitions.chunks(AT_ONCE) {
        let ask: Vec<_> = some.iter().map(|at| (at.clone(), spec)).collect();
        listed.extend(admin.list_offsets(&ask).await?);
        progress.add(some.len() as u64);
    }
    Ok(listed)
}

/// The offset listed for one partition, if there is one.
pub(crate) fn of(listed: &Listed, at: &TopicPartition) -> Option<i64> {
    let found = listed.iter().find(|(partition, _)| partition == at);
    found.and_then(|(_, listed)| listed.as_ref().ok()?.offset)
}

/// `logway offsets`.
pub(crate) async fn run(args: Offsets) -> Result<(), Failure> {
    let admin = args.cluster.admin()?;
    let failed = |e| Failure::failed(e, "list offsets");
    let at = args
        .at
        .as_deref()
        .map(|at| moment::required("--at", at))
        .transpose()?;
    let listed = admin.list_topics().await.map_err(failed)?;
    let mut places = Vec::new();
    for name in &args.topics {
        if !listed.iter().any(|topic| *topic.name == **name) {
            return Err(Failure::usage(format!("topic `{name}` does not exist")));
        }
    }
    for topic in &listed {
        let named = args.topics.iter().any(|name| **name == *topic.name);
        if named || args.topics.is_empty() && !topic.internal {
            let count = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
            places.extend((0..count).map(|p| TopicPartition::new(topic.name.as_ref(), p)));
        }
    }
    let first = list(&admin, &places, OffsetSpec::Earliest)
        .await
        .map_err(failed)?;
    let next = list(&admin, &places, OffsetSpec::Latest)
        .await
        .map_err(failed)?;
    let since = match at {
        Some(at) => Some(
            list(&admin, &places, OffsetSpec::Timestamp(at))
                .await
                .map_err(failed)?,
        ),
        None => None,
    };
    let columns: &'static [&'static str] = match since {
        Some(_) => &["TOPIC", "PARTITION", "FIRST", "NEXT", "SINCE"],
        None => &["TOPIC", "PARTITION", "FIRST", "NEXT"],
    };
    let mut table = Table::new(columns);
    let number =
        |listed: &Listed, at: &TopicPartition| of(listed, at).map_or(Value::Null, Into::into);
    for at in &places {
        let mut row: Vec<Value> = vec![
            at.topic.to_string().into(),
            at.partition.into(),
            number(&first, at),
            number(&next, at),
        ];
        row.extend(since.as_ref().map(|since| number(since, at)));
        table.row(row);
    }
    table.print(args.output)
}
