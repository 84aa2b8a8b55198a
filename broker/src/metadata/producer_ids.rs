//! Gives out producer ids in blocks that the metadata log has recorded. Invariant: no id is ever
//! given out twice, not even over a kill: a block is on disk before its first id leaves. Step 7.

use std::ops::Range;
use std::sync::Arc;

use logway_protocol::message::record::cluster::ProducerIdsRecord;
use tokio::sync::Mutex;

use super::record::MetadataRecord;
use super::{Metadata, MetadataError};

/// Ids per block (Kafka's number). What is left of a block is lost at a restart.
const BLOCK: i64 = 1000;

/// The ids of this broker.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    metadata: Arc<Metadata>,
    broker: i32,
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    pub(crate) fn new(metadata: Arc<Metadata>, broker: i32) -> ProducerIds {
        ProducerIds {
            metadata,
            broker,
            block: Mutex::new(0..0),
        }
    }

    /// An id nobody has had.
    pub(crate) async fn next(&self) -> Result<i64, MetadataError> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            let broker_id = self.broker;
            *block = self
                .metadata
                .propose(move |image| {
                    let first = image.next_producer_id();
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
