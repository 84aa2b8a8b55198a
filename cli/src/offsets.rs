//! Where partitions begin and end: one question to the cluster, asked by several commands.

use logway_client::{Admin, AdminError, ListedOffset, OffsetSpec, TopicPartition};

/// What the cluster answered for each partition.
pub(crate) type Listed = Vec<(TopicPartition, Result<ListedOffset, AdminError>)>;

/// Asks for the same kind of offset of every partition.
pub(crate) async fn list(
    admin: &Admin,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<Listed, AdminError> {
    let ask: Vec<_> = partitions.iter().map(|at| (at.clone(), spec)).collect();
    admin.list_offsets(&ask).await
}

/// The offset listed for one partition, if there is one.
pub(crate) fn of(listed: &Listed, at: &TopicPartition) -> Option<i64> {
    let found = listed.iter().find(|(partition, _)| partition == at);
    found.and_then(|(_, listed)| listed.as_ref().ok()?.offset)
}
