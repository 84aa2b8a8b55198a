//! Producer states, snapshots, waiting, and what a failing disk does to one partition.

use std::sync::Arc;

use logway_journal::Log;
use logway_protocol::Uuid;

use super::producer_state::ProducerStates;
use super::{Partition, PartitionParts, Writer};
use crate::metadata::TopicConfig;

mod disk;
mod from_kafka;
mod histories;
mod lives;
mod producers;
mod transactions;
mod waiters;

/// The folder of the one partition that these tests open.
const DIR: &str = "/t-0";

/// The partition of an opened log, with its producers as of the offset of their snapshot.
fn led(
    log: Log,
    (producers, snapshot_offset): (ProducerStates, i64),
    config: TopicConfig,
) -> Arc<Partition> {
    Partition::new(PartitionParts {
        reader: log.reader(),
        topic: Arc::from("t"),
        topic_id: Uuid::ZERO,
        index: 0,
        dir: DIR.into(),
        leader_epoch: 0,
        durable: log.durable_offset(),
        writer: Writer {
            log: Some(log),
            producers,
            verifications: super::verification::Verifications::default(),
            snapshot_offset,
            checkpoint_bytes: 0,
            log_end_seen: 0,
        },
        config: Arc::new(config),
    })
}
