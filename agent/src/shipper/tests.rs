//! Batches close when they should, and acknowledgements count only without a gap. Step 4 of the hallway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;
use proptest::prelude::*;

use super::{Acks, Batching, Event, LaneId, Shipper, Stamp};
use crate::checkpoint::FileId;
use crate::input::file::evidence::Tail;
use crate::output::{Batch, Outcome, Output, Refusal};
use crate::telemetry::Telemetry;

/// Takes up to a number of batches.
struct Taker {
    taken: Vec<Batch>,
    room: usize,
}

impl Output for Taker {
    fn partitions(&mut self, _: &Arc<str>) -> Option<i32> {
        Some(1)
    }

    fn send(&mut self, batch: Batch) -> Result<(), Batch> {
        if self.taken.len() == self.room {
            return Err(batch);
        }
        self.taken.push(batch);
        Ok(())
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        Vec::new()
    }
}

struct Bench {
    shipper: Shipper,
    acks: Acks,
    stamp: Stamp,
    at: u64,
    now: Instant,
}

impl Bench {
    fn new() -> Bench {
        let batching = Batching {
            compression: Compression::None,
            batch_bytes: 2000,
            linger: Duration::from_millis(50),
            open_bytes_max: 5000,
        };
        Bench {
            shipper: Shipper::new(batching),
            acks: Acks::new(0, Tail::default()),
            stamp: Stamp {
                origin: "0000000000000001".to_owned(),
                path: "/a".to_owned(),
                host: "h".into(),
            },
            at: 0,
            now: Instant::now(),
        }
    }

    fn lane(&mut self, partition: i32) -> LaneId {
        self.shipper.lane(&"t".into(), partition)
    }

    fn line(&mut self, lane: LaneId, bytes: usize) {
        let body = vec![b'x'; bytes];
        let end = self.at + bytes as u64 + 1;
        let event = Event {
            file: FileId(1),
            stamp: &self.stamp,
            body: &body,
            position: self.at,
            full_len: bytes as u64,
            timestamp_ms: 5,
            end,
            tail: b"\n",
        };
        self.shipper.append(lane, &event, &mut self.acks, self.now);
        self.at = end;
    }

    fn hand_over(&mut self, room: usize) -> Vec<Batch> {
        let mut taker = Taker {
            taken: Vec::new(),
            room,
        };
        let all = self.shipper.hand_over(&mut taker, &Telemetry::new());
        assert_eq!(all, !self.shipper.has_waiting());
        taker.taken
    }
}

#[test]
fn a_batch_is_closed_when_full_or_old_and_a_large_line_goes_alone() {
    let mut bench = Bench::new();
    let lane = bench.lane(0);
    bench.line(lane, 10);
    assert!(bench.hand_over(9).is_empty(), "it waits for more");
    let due = bench.shipper.next_due().expect("an open batch");
    bench.shipper.close_due(due, false);
    assert_eq!(bench.hand_over(9).len(), 1);
    bench.line(lane, 10);
    bench.line(lane, 5000);
    bench.line(lane, 10);
    let records: Vec<i32> = bench
        .hand_over(9)
        .iter()
        .map(|batch| batch.records)
        .collect();
    assert_eq!(
        records,
        [1, 1],
        "the large line shares its batch with nobody"
    );
    bench.shipper.close_due(bench.now, true);
    assert_eq!(bench.hand_over(9).len(), 1);
    assert!(!bench.shipper.is_idle(), "four are in flight");
    assert_eq!(bench.shipper.in_flight(), 4);
}

#[test]
fn all_open_batches_together_are_bounded() {
    let mut bench = Bench::new();
    let mut most = 0;
    for partition in 0..50 {
        let lane = bench.lane(partition);
        bench.line(lane, 500);
        most = most.max(bench.shipper.open_bytes);
    }
    assert!(most <= 5000 + 2000, "{most} bytes are open");
    bench.shipper.close_due(bench.now, true);
    assert_eq!(bench.shipper.open_bytes, 0);
    assert_eq!(bench.hand_over(99).len(), 50);
}

#[test]
fn a_full_output_keeps_the_order() {
    let mut bench = Bench::new();
    let lane = bench.lane(0);
    for _ in 0..6 {
        bench.line(lane, 1900);
    }
    bench.shipper.close_due(bench.now, true);
    let mut batches = bench.hand_over(2);
    assert_eq!(batches.len(), 2);
    batches.extend(bench.hand_over(9));
    let position = |batch: &Batch| {
        let records = decode_records(&batch.bytes, 1 << 20).expect("sound");
        records[0].headers[1].value.clone().expect("a position")
    };
    let positions: Vec<_> = batches.iter().map(position).collect();
    assert_eq!(positions, ["0", "1901", "3802", "5703", "7604", "9505"]);
}

#[test]
fn a_batch_refused_as_too_large_makes_the_next_ones_smaller() {
    let mut bench = Bench::new();
    let lane = bench.lane(0);
    for _ in 0..8 {
        bench.line(lane, 50);
    }
    bench.shipper.close_due(bench.now, true);
    let batch = bench.hand_over(9).remove(0);
    let outcome = Outcome {
        ticket: batch.ticket,
        result: Err(Refusal::TooLarge),
    };
    let settled = bench.shipper.settle(outcome).expect("it was in flight");
    assert_eq!(settled.covered[0].from, 0);
    for _ in 0..8 {
        bench.line(lane, 50);
    }
    bench.shipper.close_due(bench.now, true);
    let smaller = bench.hand_over(99);
    assert!(smaller.len() > 1);
    assert!(
        smaller
            .iter()
            .all(|next| next.bytes.len() < batch.bytes.len())
    );
}

#[test]
fn what_is_recalled_is_not_sent() {
    let mut bench = Bench::new();
    let (lane, other) = (bench.lane(0), bench.lane(1));
    bench.line(lane, 1990);
    bench.line(lane, 10);
    bench.line(other, 10);
    assert_eq!(bench.shipper.recall(lane).len(), 2);
    bench.shipper.close_due(bench.now, true);
    assert_eq!(bench.hand_over(9).len(), 1, "the other lane's batch stays");
}

proptest! {
    /// Against the simplest account there is: a list of spans and flags.
    #[test]
    fn the_committed_position_is_the_gapless_run(
        lengths in proptest::collection::vec(1_u64..100, 1..30),
        order in proptest::collection::vec(0_usize..30, 0..60),
        rewind_at in 0_usize..60,
    ) {
        let mut acks = Acks::new(0, Tail::default());
        let begin = |acks: &mut Acks, from: u64| {
            let mut to = from;
            let spans: Vec<_> = lengths.iter().map(|length| {
                to += length;
                (acks.begin(to, Tail::default()), to, false)
            }).collect();
            spans
        };
        let mut spans = begin(&mut acks, 0);
        let mut base = 0;
        for (step, index) in order.iter().enumerate() {
            if step == rewind_at {
                let stale = spans.clone();
                acks.rewind();
                base = acks.committed().0;
                spans = begin(&mut acks, base);
                for (span, ..) in stale {
                    prop_assert!(!acks.knows(span));
                    prop_assert!(acks.acknowledge(span).is_none(), "spans of before are not known");
                }
            }
            if let Some(span) = spans.get_mut(*index) {
                span.2 = true;
                let moved = acks.acknowledge(span.0);
                let run = spans.iter().take_while(|span| span.2).last();
                let expected = run.map_or(base, |span| span.1);
                prop_assert_eq!(acks.committed().0, expected);
                prop_assert!(moved.is_none_or(|(at, _)| at == expected));
            }
        }
        prop_assert_eq!(acks.is_settled(), spans.iter().all(|span| span.2));
    }
}
