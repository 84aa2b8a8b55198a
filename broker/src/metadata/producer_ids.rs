//! Gives out producer ids in blocks that the metadata log has recorded. Invariant: no id is ever
//! given out twice, not even over a kill: a block is on disk before its first id leaves; and none
//! that a partition's folder brought along from another cluster. Step 7.

use std::ops::Range;
use std::sync::Arc;

use logway_protocol::message::record::cluster::ProducerIdsRecord;
use tokio::sync::Mutex;

use super::record::MetadataRecord;
use super::{Metadata, MetadataError};

/// Ids per block (Kafka's number). What is left of a block is lost at a restart.
const BLOCK: i64 = 1000;

/// Ids from here on were made up by a client: going on behind them could end all ids.
const FOREIGN_MAX: i64 = i64::MAX / 2;

/// The ids of this broker.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    metadata: Arc<Metadata>,
    broker: i32,
    /// Ids below are not given out.
    first: i64,
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// Ids that none of the producers has that partitions know.
    pub(crate) fn new(
        metadata: Arc<Metadata>,
        broker: i32,
        known: impl Iterator<Item = i64>,
    ) -> ProducerIds {
        let newest = known.filter(|id| *id < FOREIGN_MAX).max();
        ProducerIds {
            metadata,
            broker,
            first: newest.map_or(0, |id| id + 1),
            block: Mutex::new(0..0),
        }
    }

    /// An id nobody has had.
    pub(crate) async fn next(&self) -> Result<i64, MetadataError> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            let (broker_id, first) = (self.broker, self.first);
            *block = self
                .metadata
                .propose(move |image| {
                    let first = image.next_producer_id().max(first);
                    let next_producer_id = first + BLOCK;
                    let record = ProducerIdsRecord {
                        broker_id,
                        broker_epoch: 0,
                        next_producer_id,
                    };
                    (
                        vec![MetadataRecord::ProducerIds(record)],
                        first..next_producer_id,
                    )
                })
                .await?;
        }
        block.next().ok_or(MetadataError::Stopped)
    }
}
