//! DescribeLogDirs 1-5: the data folder with the size of each partition's log, and of its disk.
//! Partitions that are asked for and are not here are left out, as Kafka does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use logway_protocol::message::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::partition::Availability;

/// Answers the one folder.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let asked = request.topics.map(|topics| {
        let topics = topics.into_iter();
        let partitions = topics.flat_map(|topic| {
            let name = topic.topic;
            let indexes = topic.partitions.into_iter();
            indexes.map(move |index| (name.to_string(), index))
        });
        partitions.collect::<BTreeSet<_>>()
    });
    let mut topics: BTreeMap<String, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in context.partitions.all() {
        let key = (partition.topic().to_owned(), partition.index());
        let wanted = asked.as_ref().is_none_or(|asked| asked.contains(&key));
        if !wanted || partition.availability() == Availability::Deleted {
            continue;
        }
        let size = partition.reader().size_bytes();
        topics
            .entry(key.0)
            .or_default()
            .push(DescribeLogDirsPartition {
                partition_index: key.1,
                partition_size: i64::try_from(size).unwrap_or(i64::MAX),
                offset_lag: 0,
                is_future_key: false,
            });
    }
    let topics = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic {
            name: Text::from(name),
            partitions,
        }
    });
    let folder = std::path::absolute(&context.settings.data_dir)
        .unwrap_or_else(|_| context.settings.data_dir.clone());
    let (total_bytes, usable_bytes) = space(&folder);
    DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            error_code: ErrorCode::None.code(),
            log_dir: Text::from(folder.display().to_string()),
            topics: topics.collect(),
            total_bytes,
            usable_bytes,
            is_cordoned: false,
        }],
        ..DescribeLogDirsResponse::default()
    }
}

/// Bytes of the folder's disk, and those that are free; -1 where the system does not say.
fn space(folder: &Path) -> (i64, i64) {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return (-1, -1);
    };
    let bytes =
        |blocks: u64| i64::try_from(blocks.saturating_mul(disk.f_frsize)).unwrap_or(i64::MAX);
    (bytes(disk.f_blocks), bytes(disk.f_bavail))
}
