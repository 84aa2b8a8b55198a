//! Where the appender says what is wrong with itself: standard error, seldom, and never `tracing`.
//!
//! **Invariant:** at most one line per ten seconds; a closed standard error is no problem.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

const INTERVAL: Duration = Duration::from_secs(10);

struct Told {
    last: Option<Instant>,
    suppressed: u64,
}

static TOLD: Mutex<Told> = Mutex::new(Told {
    last: None,
    suppressed: 0,
});

/// Writes one line, unless one was written just now.
pub(crate) fn report(problem: &str) {
    let mut told = TOLD.lock();
    let now = Instant::now();
    if told
        .last
        .is_some_and(|last| now.duration_since(last) < INTERVAL)
    {
        told.suppressed += 1;
        return;
    }
    let suppressed = std::mem::take(&mut told.suppressed);
    told.last = Some(now);
    drop(told);
    let more = match suppressed {
        0 => String::new(),
        count => format!(" ({count} more problems were not shown)"),
    };
    writeln!(std::io::stderr(), "logway appender: {problem}{more}").ok();
}
