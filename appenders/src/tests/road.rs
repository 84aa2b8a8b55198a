//! From a log call to a record: order, stamps, keys, flush, shutdown, outage and return.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tracing::{debug, error, info, subscriber::with_default, warn};
use tracing_subscriber::{Registry, layer::SubscriberExt, registry};

use super::broker::{FakeBroker, Line};
use crate::{Builder, FlushReport, Keying, LogwayLayer, layer};

/// A time that no test waits out unless it fails.
pub(super) const LONG: Duration = Duration::from_secs(120);

pub(super) fn builder() -> Builder {
    layer("unused:1").pattern("%msg").host("web-1")
}

pub(super) fn subscriber(
    layer: LogwayLayer,
) -> tracing_subscriber::layer::Layered<LogwayLayer, Registry> {
    registry().with(layer)
}

fn values(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.value.as_str()).collect()
}

fn report(sent: u64) -> FlushReport {
    FlushReport {
        sent,
        ..FlushReport::default()
    }
}

#[test]
fn records_carry_time_origin_position_and_host() {
    let broker = FakeBroker::new(true, 1 << 20);
    let (layer, guard) = broker.start(builder());
    let before = jiff::Timestamp::now().as_millisecond();
    with_default(subscriber(layer), || {
        info!("one");
        info!("two");
    });
    assert_eq!(guard.flush(LONG), report(2));
    let lines = broker.lines();
    assert_eq!(values(&lines), ["one", "two"]);
    let after = jiff::Timestamp::now().as_millisecond();
    for (at, line) in lines.iter().enumerate() {
        assert!((before..=after).contains(&line.timestamp));
        assert_eq!(line.headers["logway.position"], at.to_string());
        assert_eq!(line.headers["host.name"], "web-1");
        let origin = &line.headers["logway.origin"];
        assert!(
            origin.len() == 16 && origin.chars().all(|c| c.is_ascii_hexdigit()),
            "{origin}"
        );
        assert_eq!(origin, &lines[0].headers["logway.origin"]);
    }
    assert_eq!(guard.shutdown(LONG), report(2));
    assert!(broker.is_closed());
}

#[test]
fn two_appenders_have_two_origins() {
    let broker = FakeBroker::new(true, 1 << 20);
    let (first, first_guard) = broker.start(builder());
    let (second, second_guard) = broker.start(builder());
    with_default(registry().with(first).with(second), || info!("to both"));
    assert_eq!(first_guard.flush(LONG), report(1));
    assert_eq!(second_guard.flush(LONG), report(1));
    let origins: BTreeSet<String> = broker
        .lines()
        .iter()
        .map(|line| line.headers["logway.origin"].clone())
        .collect();
    assert_eq!(origins.len(), 2);
}

#[test]
fn many_threads_keep_their_order_and_unique_positions() {
    const THREADS: usize = 8;
    const EVENTS: usize = 2000;
    let broker = FakeBroker::new(true, 1 << 20);
    let (layer, guard) = broker.start(builder().batch_bytes(4096));
    let dispatch = tracing::Dispatch::new(subscriber(layer));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let dispatch = dispatch.clone();
            scope.spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    (0..EVENTS).for_each(|event| info!("{thread} {event}"));
                });
            });
        }
    });
    assert_eq!(guard.flush(LONG), report((THREADS * EVENTS) as u64));
    let mut positions = BTreeSet::new();
    let mut next: BTreeMap<String, (usize, i64)> = BTreeMap::new();
    for line in broker.lines() {
        let position: i64 = line.headers["logway.position"].parse().unwrap();
        assert!(positions.insert(position), "position {position} twice");
        let (thread, event) = line.value.split_once(' ').unwrap();
        let (expected, last) = next.entry(thread.to_owned()).or_insert((0, -1));
        assert_eq!(event.parse(), Ok(*expected), "order of thread {thread}");
        assert!(position > *last, "positions of thread {thread} rise");
        (*expected, *last) = (*expected + 1, position);
    }
    assert_eq!(positions.last(), Some(&((THREADS * EVENTS) as i64 - 1)));
    assert_eq!(guard.metrics().bytes_buffered, 0);
}

#[test]
fn keys() {
    for (keying, expected) in [
        (Keying::None, None),
        (Keying::Host, Some("web-1")),
        (Keying::Service, Some("users")),
        (Keying::Thread, std::thread::current().name()),
    ] {
        let broker = FakeBroker::new(true, 1 << 20);
        let (layer, guard) = broker.start(builder().service("users").keying(keying));
        with_default(subscriber(layer), || info!("x"));
        assert!(guard.shutdown(LONG).is_complete());
        assert_eq!(broker.lines()[0].key.as_deref(), expected, "{keying:?}");
    }
}

#[test]
fn keyed_by_logger_a_batch_has_one_key() {
    let broker = FakeBroker::new(true, 1 << 20);
    let (layer, guard) = broker.start(builder().keying(Keying::Logger));
    with_default(subscriber(layer), || {
        info!(target: "a", "1");
        info!(target: "b", "2");
        info!(target: "a", "3");
    });
    assert!(guard.shutdown(LONG).is_complete());
    for batch in broker.batches() {
        let keys: BTreeSet<_> = batch.iter().map(|line| line.key.clone()).collect();
        assert_eq!(keys.len(), 1);
    }
    let of_a: Vec<Line> = broker
        .lines()
        .into_iter()
        .filter(|line| line.key.as_deref() == Some("a"))
        .collect();
    assert_eq!(values(&of_a), ["1", "3"]);
}

#[test]
fn ignored_loggers_do_not_arrive() {
    let broker = FakeBroker::new(true, 1 << 20);
    let (layer, guard) = broker.start(builder().ignore_target("noisy"));
    with_default(subscriber(layer), || {
        info!(target: "logway_client::connection", "never");
        info!(target: "noisy", "never");
        info!(target: "noisy.part", "never");
        info!(target: "noisyneighbour", "one");
        info!(target: "logway_clients", "two");
    });
    assert_eq!(guard.shutdown(LONG), report(2));
    assert_eq!(values(&broker.lines()), ["one", "two"]);
}

#[test]
fn broker_absent_at_start_and_returning() {
    let broker = FakeBroker::new(false, 1 << 20);
    let (layer, guard) = broker.start(builder());
    let subscriber = tracing::Dispatch::new(subscriber(layer));
    tracing::dispatcher::with_default(&subscriber, || {
        (0..100).for_each(|event| info!("{event}"));
    });
    let pending = FlushReport {
        pending: 100,
        ..FlushReport::default()
    };
    assert_eq!(guard.flush(Duration::ZERO), pending);
    assert!(!pending.is_complete());
    broker.set_up(true);
    assert_eq!(guard.flush(LONG), report(100));
    broker.set_up(false);
    tracing::dispatcher::with_default(&subscriber, || info!("while away"));
    broker.set_up(true);
    assert_eq!(guard.flush(LONG), report(101));
    assert_eq!(broker.lines().len(), 101);
    assert_eq!(broker.lines()[100].value, "while away");
}

#[test]
fn a_refused_batch_is_counted_and_reported() {
    let broker = FakeBroker::new(true, 1 << 20);
    let (layer, guard) = broker.start(layer("unused:1"));
    broker.refuse(Some("topic authorization failed"));
    let dispatch = tracing::Dispatch::new(subscriber(layer));
    tracing::dispatcher::with_default(&dispatch, || {
        debug!("lost");
        warn!("lost too");
    });
    let refused = FlushReport {
        failed: 2,
        ..FlushReport::default()
    };
    // The report is refused as well, and kept for later.
    assert_eq!(guard.flush(LONG), refused);
    broker.refuse(None);
    tracing::dispatcher::with_default(&dispatch, || info!("arrives"));
    let handle = guard.handle();
    assert_eq!(guard.shutdown(LONG), FlushReport { sent: 1, ..refused });
    let lines = broker.lines();
    assert_eq!(lines.len(), 2);
    let told = lines
        .iter()
        .find(|line| line.value.contains("lost_total"))
        .unwrap();
    let told: serde_json::Value = serde_json::from_str(&told.value).unwrap();
    assert_eq!(told["logger_name"], "logway.appenders");
    assert_eq!(told["level"], "ERROR");
    assert_eq!(
        (&told["lost_total"], &told["lost_debug"]),
        (&2.into(), &1.into())
    );
    assert_eq!(told["lost_warn"], 1);
    assert!(
        told["message"].as_str().unwrap().ends_with("refused 2"),
        "{told}"
    );
    assert_eq!(handle.metrics().loss_reports, 1);
}

#[test]
fn events_after_the_guard_are_counted() {
    let broker = FakeBroker::new(true, 1 << 20);
    let (layer, guard) = broker.start(builder());
    let handle = guard.handle();
    let dispatch = tracing::Dispatch::new(subscriber(layer));
    tracing::dispatcher::with_default(&dispatch, || error!("before"));
    drop(guard);
    tracing::dispatcher::with_default(&dispatch, || error!("after"));
    assert_eq!(values(&broker.lines()), ["before"]);
    let metrics = handle.metrics();
    assert_eq!(
        (
            metrics.sent,
            metrics.dropped.closed,
            metrics.dropped.total()
        ),
        (1, 1, 1)
    );
    assert_eq!(
        handle.flush(LONG),
        FlushReport {
            sent: 1,
            dropped: 1,
            ..report(0)
        }
    );
}

#[test]
fn shutdown_gives_up_at_its_deadline() {
    let broker = FakeBroker::new(false, 1 << 20);
    let (layer, guard) = broker.start(builder());
    with_default(subscriber(layer), || info!("never arrives"));
    let report = guard.shutdown(Duration::from_millis(50));
    assert_eq!(
        report,
        FlushReport {
            dropped: 1,
            ..FlushReport::default()
        }
    );
    assert!(broker.is_closed());
}

#[test]
fn what_a_thread_logs_at_its_very_end_arrives() {
    struct Last(tracing::Dispatch);
    impl Drop for Last {
        fn drop(&mut self) {
            tracing::dispatcher::with_default(&self.0, || info!("from a destructor"));
        }
    }
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let broker = FakeBroker::new(true, 1 << 20);
    let (layer, guard) = broker.start(builder());
    let dispatch = tracing::Dispatch::new(subscriber(layer));
    let body = || {
        // Registered first, so destroyed after the appender's own storage.
        LAST.with(|last| *last.borrow_mut() = Some(Last(dispatch.clone())));
        tracing::dispatcher::with_default(&dispatch, || info!("from the thread"));
    };
    std::thread::scope(|scope| {
        scope.spawn(body);
    });
    let report = guard.flush(LONG);
    assert_eq!((report.dropped, report.failed), (0, 0));
    assert!(values(&broker.lines()).contains(&"from the thread"));
    let enqueued = guard.metrics().enqueued;
    assert_eq!(enqueued, report.sent);
}
