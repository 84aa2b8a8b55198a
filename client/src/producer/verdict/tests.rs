//! Every kind of answer and what it leads to.

use std::sync::Arc;

use logway_protocol::compression::Compression;
use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::produce::PartitionProduceResponse;
use tokio::sync::Semaphore;

use super::{Verdict, judge};
use crate::producer::batch::Batch;
use crate::producer::idempotence::{Identity, Sequence};
use crate::producer::record::ProducerRecord;

fn batch(records: usize, numbered: bool) -> Batch {
    let permit = Arc::new(Semaphore::new(100))
        .try_acquire_many_owned(100)
        .unwrap();
    let mut batch = Batch::open(1, Compression::None, 64, permit);
    for _ in 0..records {
        batch
            .append(&ProducerRecord::new("t", "v"), 0, None)
            .unwrap();
        drop(batch.deliver_last(0));
    }
    let producer = Identity { id: 1, epoch: 0 };
    batch.sequence = numbered.then_some(Sequence { producer, base: 0 });
    batch
}

fn verdict(code: ErrorCode, batch: &Batch, is_earliest: bool) -> String {
    let response = PartitionProduceResponse {
        error_code: code.code(),
        base_offset: 42,
        log_append_time_ms: -1,
        ..Default::default()
    };
    let verdict = format!("{:?}", judge(&response, batch, is_earliest));
    verdict
        .split([' ', '('])
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn answers_lead_to_what_mends_them() {
    use ErrorCode as E;
    let (many, one, plain) = (batch(3, true), batch(1, true), batch(3, false));
    for (code, batch, is_earliest, wanted) in [
        (E::None, &many, true, "Stored"),
        (E::DuplicateSequenceNumber, &many, true, "Stored"),
        (E::MessageTooLarge, &many, true, "Split"),
        (E::RecordListTooLarge, &many, true, "Split"),
        (E::MessageTooLarge, &one, true, "Fail"),
        (E::NotLeaderOrFollower, &many, true, "Retry"),
        (E::RequestTimedOut, &many, true, "Retry"),
        (E::NotEnoughReplicas, &many, true, "Retry"),
        (E::UnknownTopicOrPartition, &many, true, "Retry"),
        (E::CorruptMessage, &many, true, "Retry"),
        (E::OutOfOrderSequenceNumber, &many, false, "Retry"),
        (E::OutOfOrderSequenceNumber, &many, true, "Renumber"),
        (E::UnknownProducerId, &many, true, "Renumber"),
        (E::OutOfOrderSequenceNumber, &plain, true, "Fail"),
        (E::InvalidProducerEpoch, &many, true, "NewIdentity"),
        (E::TopicAuthorizationFailed, &many, true, "Fail"),
        (E::InvalidRecord, &many, true, "Fail"),
        (E::UnsupportedCompressionType, &many, true, "Fail"),
    ] {
        assert_eq!(
            verdict(code, batch, is_earliest),
            wanted,
            "{code}, earliest {is_earliest}"
        );
    }
}

#[test]
fn a_batch_that_stays_corrupt_is_reported() {
    let mut batch = batch(1, true);
    batch.corrupt = 3;
    assert_eq!(verdict(ErrorCode::CorruptMessage, &batch, true), "Fail");
}

#[test]
fn the_brokers_clock_counts_where_it_is_given() {
    let response = PartitionProduceResponse {
        log_append_time_ms: 99,
        ..Default::default()
    };
    let verdict = judge(&response, &batch(1, false), true);
    assert!(
        matches!(
            verdict,
            Verdict::Stored {
                log_append_time: Some(99),
                ..
            }
        ),
        "{verdict:?}"
    );
}
