//! Records come out of batches as the isolation level asks.

use bytes::{Bytes, BytesMut};
use logway_protocol::batch::{BatchHeader, set_base_offset, set_leader_epoch};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::control::{EndTransaction, control_batch};
use logway_protocol::message::fetch::AbortedTransaction;

use super::{Chunk, Position, Reading, end_of};
use crate::config::IsolationLevel;
use crate::topic::TopicPartition;

/// Batches one after the other, with offsets.
#[derive(Default)]
struct LogOf {
    bytes: BytesMut,
    next: i64,
}

impl LogOf {
    fn push(&mut self, batch: &Bytes) -> &mut Self {
        let mut batch = BytesMut::from(&**batch);
        set_base_offset(&mut batch, self.next).unwrap();
        self.next += i64::from(BatchHeader::decode(&batch).unwrap().last_offset_delta) + 1;
        self.bytes.extend_from_slice(&batch);
        self
    }

    fn data(&mut self, values: &[&str], producer: Option<i64>) -> &mut Self {
        let mut builder = BatchBuilder::new(Compression::Lz4);
        for value in values {
            builder
                .append(0, None, Some(value.as_bytes()), &[])
                .unwrap();
        }
        if let Some(id) = producer {
            builder.set_producer(id, 0, 0).set_transactional(true);
        }
        let batch = builder.build().unwrap();
        self.push(&batch)
    }

    fn marker(&mut self, producer: i64, committed: bool) -> &mut Self {
        let marker = EndTransaction {
            committed,
            coordinator_epoch: 0,
        };
        let batch = control_batch(marker, (producer, 0), 0).unwrap();
        self.push(&batch)
    }

    fn freeze(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).freeze()
    }
}

fn chunk(bytes: &Bytes, from: i64, isolation: IsolationLevel, aborted: &[(i64, i64)]) -> Chunk {
    let aborted = aborted
        .iter()
        .map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id: *producer_id,
            first_offset: *first_offset,
        });
    let reading = Reading {
        isolation,
        limit: 1 << 20,
    };
    let of = (TopicPartition::new("t", 0), 1, from);
    Chunk::new(of, bytes, Some(aborted.collect()), reading)
}

fn read(chunk: &mut Chunk, max: usize) -> Vec<String> {
    let mut records = Vec::new();
    while chunk.read(max, &mut records).unwrap() {}
    records
        .iter()
        .map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap()).into())
        .collect()
}

/// Two transactions mixed, one aborted, one committed; one aborted earlier; plain records.
fn mixed() -> Bytes {
    LogOf::default()
        .data(&["p0"], None) // 0
        .data(&["a1", "a2"], Some(1)) // 1, 2
        .data(&["b3"], Some(2)) // 3
        .data(&["a4"], Some(1)) // 4
        .marker(1, false) // 5
        .data(&["a6"], Some(1)) // 6: the same producer's next transaction
        .marker(2, true) // 7
        .marker(1, true) // 8
        .data(&["p9"], None) // 9
        .freeze()
}

#[test]
fn committed_reads_skip_what_was_aborted() {
    let bytes = mixed();
    let mut committed = chunk(&bytes, 0, IsolationLevel::ReadCommitted, &[(1, 1)]);
    assert_eq!(read(&mut committed, 100), ["p0", "b3", "a6", "p9"]);
    assert_eq!(committed.position.offset, 10);
    let mut all = chunk(&bytes, 0, IsolationLevel::ReadUncommitted, &[]);
    assert_eq!(
        read(&mut all, 1),
        ["p0", "a1", "a2", "b3", "a4", "a6", "p9"]
    );
    assert_eq!(all.position.offset, 10);
}

#[test]
fn reading_from_the_midst_of_a_transaction() {
    let mut committed = chunk(&mixed(), 4, IsolationLevel::ReadCommitted, &[(1, 1)]);
    assert_eq!(read(&mut committed, 100), ["a6", "p9"]);
    let mut all = chunk(&mixed(), 2, IsolationLevel::ReadUncommitted, &[]);
    assert_eq!(read(&mut all, 100), ["a2", "b3", "a4", "a6", "p9"]);
}

#[test]
fn positions_pass_over_markers_and_stop_at_damage() {
    let bytes = LogOf::default().data(&["a"], None).marker(1, true).freeze();
    let mut ends = chunk(&bytes, 0, IsolationLevel::ReadUncommitted, &[]);
    assert_eq!(read(&mut ends, 100), ["a"]);
    assert_eq!((ends.position.offset, end_of(&bytes)), (2, Some(2)));

    let mut damaged = BytesMut::from(
        &*LogOf::default()
            .data(&["a"], None)
            .data(&["b"], None)
            .freeze(),
    );
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let mut chunk = chunk(&damaged.freeze(), 0, IsolationLevel::ReadUncommitted, &[]);
    let mut records = Vec::new();
    assert!(chunk.read(100, &mut records).is_err());
    assert_eq!((records.len(), chunk.position.offset), (1, 1));
}

#[test]
fn positions_and_records_know_the_epochs_of_their_batches() {
    let epochs = |log: &mut LogOf, epochs: &[i32]| {
        let (mut bytes, mut all) = (std::mem::take(&mut log.bytes), BytesMut::new());
        for epoch in epochs {
            let size = BatchHeader::decode(&bytes).unwrap().total_size();
            let mut batch = bytes.split_to(size);
            set_leader_epoch(&mut batch, *epoch).unwrap();
            all.extend_from_slice(&batch);
        }
        all.freeze()
    };
    let mut log = LogOf::default();
    log.data(&["a", "b"], None)
        .data(&["c"], None)
        .data(&["d"], None)
        .marker(1, true);
    let bytes = epochs(&mut log, &[3, -1, 4, 5]);
    let mut chunk = chunk(&bytes, 0, IsolationLevel::ReadUncommitted, &[]);
    assert_eq!(chunk.position, Position::at(0));
    let mut seen = Vec::new();
    loop {
        let mut records = Vec::new();
        let more = chunk.read(1, &mut records).unwrap();
        if let [record] = &records[..] {
            assert_eq!(record.leader_epoch, chunk.position.leader_epoch);
        }
        seen.push((chunk.position.offset, chunk.position.leader_epoch));
        if !more {
            break;
        }
    }
    let expected = [
        (1, Some(3)),
        (2, Some(3)),
        (3, None),
        (4, Some(4)),
        (5, Some(5)),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_tail_that_is_cut_off_is_left_for_the_next_fetch() {
    let whole = LogOf::default()
        .data(&["a", "b"], None)
        .data(&["c"], None)
        .freeze();
    let cut = whole.slice(..whole.len() - 5);
    let mut chunk = chunk(&cut, 1, IsolationLevel::ReadUncommitted, &[]);
    assert_eq!(read(&mut chunk, 100), ["b"]);
    assert_eq!((chunk.position.offset, end_of(&cut)), (2, Some(2)));
    assert_eq!(end_of(&whole.slice(..20)), None);
}
