//! DescribeLogDirs: which partitions lie in which folder, and how large they are (KIP-113).

use crate::text::Text;

api! { DescribeLogDirs: DescribeLogDirsRequest => DescribeLogDirsResponse, versions 1..=5, flexible 2 }

fields! {
    /// Partitions asked for; null for all.
    pub struct DescribeLogDirsRequest {
        topics: Option<Vec<DescribableLogDirTopic>> = Some(Vec::new()), 0..;
    }

    /// Part of [`DescribeLogDirsRequest`]: describable log dir topic.
    pub struct DescribableLogDirTopic {
        topic: Text, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// Folders with their partitions.
    pub struct DescribeLogDirsResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 3.., ignorable(true);
        results: Vec<DescribeLogDirsResult>, 0..;
    }

    /// Part of [`DescribeLogDirsResponse`]: describe log dirs result.
    pub struct DescribeLogDirsResult {
        error_code: i16, 0..;
        log_dir: Text, 0..;
        topics: Vec<DescribeLogDirsTopic>, 0..;
        total_bytes: i64 = -1, 4.., ignorable(true);
        usable_bytes: i64 = -1, 4.., ignorable(true);
        is_cordoned: bool, 5.., ignorable(true);
    }

    /// Part of [`DescribeLogDirsResponse`]: describe log dirs topic.
    pub struct DescribeLogDirsTopic {
        name: Text, 0..;
        partitions: Vec<DescribeLogDirsPartition>, 0..;
    }

    /// Part of [`DescribeLogDirsResponse`]: describe log dirs partition.
    pub struct DescribeLogDirsPartition {
        partition_index: i32, 0..;
        partition_size: i64, 0..;
        offset_lag: i64, 0..;
        is_future_key: bool, 0..;
    }
}
