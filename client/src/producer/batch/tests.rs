//! Batches keep records, numbers and deliveries together through splits.

use std::sync::Arc;

use logway_protocol::batch::{BatchHeader, verify_crc};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;
use proptest::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Batch;
use crate::producer::delivery::{Answer, Delivery, Outcome, Part, answer_all};
use crate::producer::idempotence::{Identity, Sequence};
use crate::producer::record::{EncodedBatch, ProducerRecord};

const PRODUCER: Identity = Identity { id: 77, epoch: 3 };

fn permit() -> OwnedSemaphorePermit {
    Arc::new(Semaphore::new(1000))
        .try_acquire_many_owned(1000)
        .unwrap()
}

fn filled(values: &[String], compression: Compression) -> (Batch, Vec<Delivery>) {
    let mut batch = Batch::open(1, compression, 64, permit());
    let deliveries = values
        .iter()
        .enumerate()
        .map(|(at, value)| {
            batch
                .append(&ProducerRecord::new("t", value.clone()), 5, None)
                .unwrap();
            if at % 3 == 2 {
                // As a record that waited for the number of partitions.
                let outcome = Arc::new(Outcome::default());
                batch.adopt(Part::new(outcome.clone(), 0..1));
                Delivery::new(outcome, 0..1, 5)
            } else {
                batch.deliver_last(5)
            }
        })
        .collect();
    (batch, deliveries)
}

fn values_of(batch: &mut Batch) -> Vec<String> {
    let bytes = batch.bytes().unwrap();
    verify_crc(&bytes).unwrap();
    let records = decode_records(&bytes, usize::MAX).unwrap();
    assert_eq!(records.len(), batch.records as usize);
    records
        .iter()
        .map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap()).into())
        .collect()
}

proptest! {
    /// Split down to single records in any order, every record is where its delivery says.
    #[test]
    fn splits_lose_nothing(count in 1_usize..40, lz4: bool) {
        let values: Vec<String> = (0..count).map(|n| format!("value {n}")).collect();
        let compression = if lz4 { Compression::Lz4 } else { Compression::None };
        let (mut whole, deliveries) = filled(&values, compression);
        whole.order = Some(100);
        whole.sequence = Some(Sequence { producer: PRODUCER, base: 10 });
        whole.bytes().unwrap();
        let mut open = vec![whole];
        let mut single = Vec::new();
        while let Some(batch) = open.pop() {
            if batch.records == 1 {
                single.push(batch);
            } else {
                let (first, second) = batch.split().unwrap();
                prop_assert_eq!(first.order.unwrap() + u64::from(first.records), second.order.unwrap());
                open.extend([first, second]);
            }
        }
        single.sort_by_key(|batch| batch.order);
        prop_assert_eq!(single.len(), count);
        for (mut batch, (n, value)) in single.into_iter().zip(values.iter().enumerate()) {
            prop_assert_eq!(values_of(&mut batch), std::slice::from_ref(value));
            let header = BatchHeader::decode(&batch.bytes().unwrap()).unwrap();
            prop_assert_eq!(header.base_sequence as usize, 10 + n);
            prop_assert_eq!((header.producer_id, header.producer_epoch), (77, 3));
            let base_offset = 1000 + n as i64;
            let answer = Answer::Stored { partition: 0, base_offset, log_append_time: None };
            answer_all(batch.parts, &answer);
        }
        for (delivery, offset) in deliveries.iter().zip(1000..) {
            prop_assert_eq!(delivery.poll_now().unwrap().unwrap().offset, offset);
        }
    }
}

#[test]
fn new_numbers_change_nothing_else() {
    let mut builder = BatchBuilder::new(Compression::Gzip);
    builder.append(9, Some(b"k"), Some(b"v"), &[]).unwrap();
    let bytes = builder.build().unwrap();
    let encoded = EncodedBatch {
        bytes: bytes.clone(),
        records: 1,
        when_too_large: crate::WhenTooLarge::Split,
    };
    encoded.check().unwrap();
    let (mut batch, _delivery) = Batch::encoded(1, encoded, 9, permit());
    assert_eq!(
        batch.bytes().unwrap(),
        bytes,
        "unchanged without idempotence"
    );
    for base in [0, 8] {
        batch.sequence = Some(Sequence {
            producer: PRODUCER,
            base,
        });
        let numbered = batch.bytes().unwrap();
        verify_crc(&numbered).unwrap();
        assert_eq!(BatchHeader::decode(&numbered).unwrap().base_sequence, base);
        assert_eq!(numbered[57..], bytes[57..]);
        assert_eq!(numbered[..17], bytes[..17]);
    }
}

#[test]
fn room_ends_where_the_size_does() {
    let (mut batch, _deliveries) = filled(&["x".repeat(100)], Compression::None);
    assert!(batch.has_room(50, 500));
    assert!(!batch.has_room(400, 500));
    batch.closed = true;
    assert!(!batch.has_room(1, 500));
    let empty = Batch::open(1, Compression::None, 64, permit());
    assert!(
        empty.has_room(1 << 20, 500),
        "a record larger than the size goes alone"
    );
}
