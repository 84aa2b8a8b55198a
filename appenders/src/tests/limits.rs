//! Bounded memory: what is kept, what is dropped, what is told about it. No test here looks at a clock:
//! a call that waited for the broker would never return, as the broker only comes back afterwards.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use tracing::{Dispatch, Level, debug, dispatcher::with_default, error, info, warn};

use super::{
    broker::{FakeBroker, Line},
    road::{LONG, builder, subscriber},
};
use crate::{
    Compression, FullPolicy,
    budget::Budget,
    layer,
    loss::{Cause, Loss},
};

const BUFFER: usize = 1 << 20;

fn small() -> crate::Builder {
    builder()
        .buffer_bytes(BUFFER)
        .batch_bytes(32 << 10)
        .event_bytes_max(64 << 10)
}

#[test]
fn a_million_calls_with_the_broker_away() {
    const CALLS: u64 = 1_000_000;
    let broker = FakeBroker::new(false, 256 << 10);
    let (layer, guard) = broker.start(small().compression(Compression::None));
    let dispatch = Dispatch::new(subscriber(layer));
    with_default(&dispatch, || {
        (0..CALLS).for_each(|event| info!("event {event}"));
    });
    let metrics = guard.metrics();
    assert_eq!(metrics.enqueued + metrics.dropped.full, CALLS);
    assert_eq!(
        (metrics.dropped.total(), metrics.sent),
        (metrics.dropped.full, 0)
    );
    assert!(metrics.bytes_buffered <= BUFFER, "{metrics:?}");
    assert!(metrics.enqueued > 2000, "the buffer was used: {metrics:?}");
    assert_eq!(metrics.buffered, metrics.enqueued);
    broker.set_up(true);
    let report = guard.flush(LONG);
    assert_eq!(
        (report.sent, report.dropped, report.pending),
        (metrics.enqueued, metrics.dropped.full, 0)
    );
    assert_eq!(
        guard.metrics().bytes_buffered,
        0,
        "every byte was given back"
    );
    // The oldest were kept, in order, and the loss is told, in one report or two.
    let told = |line: &Line| line.value.contains(" log events were lost between ");
    let (reports, kept): (Vec<Line>, Vec<Line>) = broker.lines().into_iter().partition(told);
    assert_eq!(kept.len() as u64, metrics.enqueued);
    assert_eq!(kept[0].value, "event 0");
    let lost = reports.iter().map(|report| {
        let (count, _) = report.value.split_once(' ').unwrap();
        assert!(
            report.value.contains(&format!("lost_info={count}")),
            "{report:?}"
        );
        count.parse::<u64>().unwrap()
    });
    assert_eq!(lost.sum::<u64>(), metrics.dropped.full);
}

#[test]
fn compressed_batches_leave_room_for_more() {
    // Calls until nothing was taken for `idle` rounds, or more than `enough`.
    let enqueued = |compression, idle, enough| {
        let broker = FakeBroker::new(false, 4096);
        let (layer, guard) = broker.start(small().compression(compression));
        let dispatch = Dispatch::new(subscriber(layer));
        let (mut taken, mut rounds) = (0, 0);
        while rounds < idle && taken <= enough {
            with_default(&dispatch, || {
                (0..100).for_each(|_| info!("the same over and over again"));
            });
            // The pauses for a flush give the worker the chance to compress.
            assert_eq!(guard.flush(Duration::from_millis(1)).sent, 0);
            let now = guard.metrics().enqueued;
            rounds = if now > taken { 0 } else { rounds + 1 };
            taken = now;
        }
        taken
    };
    let plain = enqueued(Compression::None, 100, u64::MAX);
    // A slow machine may not compress for a long time.
    let compressed = enqueued(Compression::Lz4, 20_000, 2 * plain);
    assert!(compressed > 2 * plain, "{compressed} and {plain}");
}

#[test]
fn loss_is_reported_as_json_with_counts_and_times() {
    let broker = FakeBroker::new(false, 0);
    let (layer, guard) = broker.start(
        layer("unused:1")
            .buffer_bytes(64 << 10)
            .batch_bytes(8192)
            .event_bytes_max(64 << 10),
    );
    let dispatch = Dispatch::new(subscriber(layer));
    with_default(&dispatch, || {
        for _ in 0..1000 {
            debug!("so much to say");
            info!("so much to say");
        }
        // Larger than an event may be: another reason.
        warn!("{}", "x".repeat(100_000));
    });
    let dropped = guard.metrics().dropped;
    assert_eq!((dropped.too_large, dropped.total()), (1, dropped.full + 1));
    broker.set_up(true);
    drop(dispatch);
    let kept = guard.metrics().enqueued;
    // Nothing was taken so far: the sink had no room at all.
    assert_eq!(broker.lines(), []);
    broker.refuse(None);
    broker.set_capacity(1 << 20);
    assert_eq!(guard.flush(LONG).sent, kept);
    let lines = broker.lines();
    // A slow machine makes two reports of it: the first was under way when the rest was lost.
    let told = lines.iter().filter_map(|line| {
        let told: serde_json::Value = serde_json::from_str(&line.value).unwrap();
        told.get("lost_total").is_some().then_some(told)
    });
    let told: Vec<serde_json::Value> = told.collect();
    let sum = |name: &str| {
        let counts = told.iter().filter_map(|report| report[name].as_u64());
        counts.sum::<u64>()
    };
    assert_eq!(sum("lost_total"), dropped.total());
    assert_eq!(sum("lost_warn"), 1);
    assert_eq!(sum("lost_debug") + sum("lost_info"), dropped.full);
    for report in &told {
        assert!(report["lost_from"].as_str().unwrap() <= report["lost_to"].as_str().unwrap());
    }
    assert_eq!(guard.metrics().loss_reports, told.len() as u64);
    assert_eq!(
        guard.metrics().sent,
        kept,
        "a report is not one of the application's events"
    );
}

#[test]
fn warnings_find_room_longer() {
    let broker = FakeBroker::new(false, 0);
    let (layer, guard) = broker.start(
        small()
            .compression(Compression::None)
            .when_full(FullPolicy::KeepWarnings),
    );
    let dispatch = Dispatch::new(subscriber(layer));
    with_default(&dispatch, || {
        while guard.metrics().dropped.full == 0 {
            info!("fills the buffer up to the threshold");
        }
        let full = guard.metrics();
        assert!(full.bytes_buffered > BUFFER / 5 * 3 && full.bytes_buffered <= BUFFER / 5 * 4);
        for _ in 0..500 {
            warn!("finds room");
            error!("finds room");
        }
        assert_eq!(guard.metrics().dropped, full.dropped);
        info!("{}", "does not".repeat(4000));
        assert_eq!(guard.metrics().dropped.full, full.dropped.full + 1);
    });
}

#[test]
fn a_blocked_caller_goes_on_when_there_is_room() {
    let broker = FakeBroker::new(false, 0);
    let block = FullPolicy::Block { timeout: LONG };
    let (layer, guard) = broker.start(small().compression(Compression::None).when_full(block));
    let dispatch = Dispatch::new(subscriber(layer));
    let (waiting, waits) = mpsc::sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            with_default(&dispatch, || {
                (0..3000).for_each(|event| info!("{event} {}", "x".repeat(500)));
            });
            waiting.send(()).unwrap();
        });
        // 1.5 MB do not fit into 1 MiB: the thread cannot have finished.
        while guard.metrics().bytes_buffered < BUFFER - (64 << 10) {
            std::thread::yield_now();
        }
        assert!(waits.try_recv().is_err());
        broker.set_up(true);
        broker.set_capacity(1 << 20);
        waits.recv().unwrap();
    });
    let report = guard.flush(LONG);
    assert_eq!((report.sent, report.dropped), (3000, 0));
}

#[test]
fn a_blocked_caller_gives_up_in_the_end() {
    let broker = FakeBroker::new(false, 0);
    let block = FullPolicy::Block {
        timeout: Duration::from_millis(1),
    };
    let (layer, guard) = broker.start(small().compression(Compression::None).when_full(block));
    let dispatch = Dispatch::new(subscriber(layer));
    with_default(&dispatch, || {
        while guard.metrics().dropped.full == 0 {
            info!("{}", "x".repeat(10_000));
        }
    });
    assert!(guard.metrics().bytes_buffered <= BUFFER);
}

#[test]
fn a_full_sink_is_not_asked_without_end() {
    let broker = FakeBroker::new(false, 0);
    let (layer, guard) = broker.start(small());
    with_default(&Dispatch::new(subscriber(layer)), || info!("waits"));
    let began = Instant::now();
    assert_eq!(guard.flush(Duration::from_millis(200)).pending, 1);
    let (offers, seconds) = (broker.offers(), began.elapsed().as_secs_f64());
    assert!(
        (offers as f64) < 250.0 * seconds.max(0.2),
        "{offers} offers in {seconds} s"
    );
}

#[test]
fn budget_takes_and_gives_back() {
    let budget = Budget::new(100, FullPolicy::KeepWarnings);
    assert!(budget.try_take(80, Level::INFO));
    assert!(!budget.try_take(1, Level::INFO));
    assert!(budget.try_take(20, Level::ERROR));
    assert!(!budget.try_take(1, Level::ERROR));
    assert!(!budget.try_take(usize::MAX, Level::ERROR));
    budget.give_back(100);
    assert_eq!(budget.used(), 0);
    assert!(budget.deadline().is_none());
}

#[test]
fn loss_text() {
    let mut loss = Loss::default();
    loss.one(Level::WARN, 1_795_381_543_123, Cause::Full);
    loss.one(Level::INFO, 1_795_381_544_000, Cause::TooLarge);
    expect_test::expect!["2 log events were lost between 2026-11-22T21:05:43.123000Z and 2026-11-22T21:05:44.000000Z: buffer full 1, too large 1"].assert_eq(&loss.text());
    assert_eq!(loss.severity(), Level::ERROR);
}
