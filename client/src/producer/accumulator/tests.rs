//! What waits is counted, and its memory comes back.

use std::sync::Arc;

use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Accumulator;
use crate::config::ProducerConfig;
use crate::producer::record::{EncodedBatch, ProducerRecord};

fn permit(memory: &Arc<Semaphore>, bytes: u32) -> OwnedSemaphorePermit {
    memory.clone().try_acquire_many_owned(bytes).unwrap()
}

fn encoded() -> EncodedBatch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(0, None, Some(b"v"), &[]).unwrap();
    EncodedBatch {
        bytes: builder.build().unwrap(),
        records: 1,
        when_too_large: crate::WhenTooLarge::Split,
    }
}

#[test]
fn memory_goes_with_the_batches() {
    let memory = Arc::new(Semaphore::new(1000));
    let mut accumulator = Accumulator::default();
    let config = ProducerConfig::default();
    for key in [None, Some("k".into())] {
        for _ in 0..3 {
            let record = ProducerRecord {
                key: key.clone(),
                ..ProducerRecord::new("t", "v")
            };
            let taken = accumulator.append(record, 0, permit(&memory, 50), (None, &config));
            drop(taken.unwrap().delivery);
        }
    }
    drop(accumulator.append_batch(&"t".into(), Some(1), (encoded(), 0), permit(&memory, 50)));
    assert_eq!(
        (memory.available_permits(), accumulator.ledger.records),
        (650, 7)
    );
    accumulator.topics.clear();
    assert_eq!(memory.available_permits(), 1000);
}

#[test]
fn only_what_is_new_wakes_the_task() {
    let memory = Arc::new(Semaphore::new(10_000));
    let mut accumulator = Accumulator::default();
    let config = ProducerConfig {
        batch_size: 300,
        ..Default::default()
    };
    let mut wakes = Vec::new();
    for _ in 0..4 {
        let record = ProducerRecord::new("t", "x".repeat(60));
        let taken = accumulator
            .append(record, 0, permit(&memory, 90), (None, &config))
            .unwrap();
        wakes.push(taken.wake);
        drop(taken.delivery);
    }
    assert_eq!(wakes, [true, false, false, true]);
}

#[test]
fn a_whole_batch_ends_the_open_one_before_it() {
    let memory = Arc::new(Semaphore::new(10_000));
    let mut accumulator = Accumulator::default();
    let config = ProducerConfig::default();
    let topic: Arc<str> = "t".into();
    for _ in 0..2 {
        let record = ProducerRecord {
            partition: Some(0),
            ..ProducerRecord::new("t", "v")
        };
        let taken = accumulator.append(record, 0, permit(&memory, 50), (None, &config));
        drop(taken.unwrap().delivery);
        let whole = (encoded(), 0);
        drop(accumulator.append_batch(&topic, Some(0), whole, permit(&memory, 50)));
    }
    let queue = &accumulator.topics["t"].partitions[&0];
    assert_eq!(queue.batches.len(), 4);
    assert!(
        queue
            .batches
            .iter()
            .all(|batch| batch.closed && batch.records == 1)
    );
    let serials: Vec<_> = queue.batches.iter().map(|batch| batch.serial).collect();
    assert!(serials.is_sorted());
    assert!(!accumulator.ledger.is_done(1) && accumulator.ledger.is_done(0));
}
