//! With a global subscriber tracing does not keep events from coming back into the layer that logs
//! them; here everything at TRACE goes to the layer, the client that finds no broker included.
//! One test, as a process has one global subscriber.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tracing::{Event, Subscriber, info, info_span};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// Counts what is logged by the client, to know that there was something to keep out.
struct Ears;

static FROM_CLIENT: AtomicU64 = AtomicU64::new(0);

impl<S: Subscriber> Layer<S> for Ears {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("logway_client") {
            FROM_CLIENT.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Logs so many times inside one another when it is shown.
struct Chatty(u32);

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 0 {
            info!(inner = ?Chatty(self.0 - 1), "level {}", self.0);
        }
        write!(f, "chatty {}", self.0)
    }
}

#[test]
fn nothing_comes_back() {
    // Nobody listens there, and nobody comes to.
    let (layer, guard) = logway_appenders::layer("127.0.0.1:1").build().unwrap();
    tracing_subscriber::registry().with(layer).with(Ears).init();
    logway_appenders::flush_on_panic(Duration::from_millis(50));

    info!("one");
    let span = info_span!("outer", value = ?Chatty(1));
    span.in_scope(|| info!(value = ?Chatty(2), "two, with two inside"));
    let taken = guard.metrics();
    assert_eq!((taken.enqueued, taken.dropped.total()), (5, 0), "{taken:?}");

    // Deeper than the appender follows: the surplus is dropped and counted, not looped.
    info!(value = ?Chatty(20), "too deep");
    let deep = guard.metrics();
    assert_eq!(deep.enqueued - taken.enqueued, 4);
    assert_eq!(
        deep.dropped.nested,
        17 / 17,
        "the events inside the first refused one never exist"
    );

    // The worker tries to reach the broker meanwhile, and whatever it logs stays out.
    let report = guard.flush(Duration::from_millis(500));
    assert_eq!((report.sent, report.pending), (0, deep.enqueued));
    assert_eq!(guard.metrics().enqueued, deep.enqueued);
    info!("still taken in");
    let caught = std::panic::catch_unwind(|| panic!("the hook flushes and does not hang"));
    assert!(caught.is_err());

    let handle = guard.handle();
    let report = guard.shutdown(Duration::from_millis(100));
    assert_eq!(report.dropped, deep.enqueued + 1 + deep.dropped.nested);
    info!("after the end");
    assert_eq!(handle.metrics().dropped.closed, 1);
    println!(
        "events of the client that were kept out: {}",
        FROM_CLIENT.load(Ordering::Relaxed)
    );
}
