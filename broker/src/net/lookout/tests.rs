//! When a connection looks, and that nobody suffers from it.

use std::future::pending;
use std::pin::pin;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::*;

/// Waits in microseconds: asleep and looking.
type Waits = (u64, u64);

/// Exchanges of `count`, in how many of which the connection looked.
fn exchange(lookout: &mut Lookout, (asleep, looking): Waits, count: u32) -> u32 {
    let mut looked = 0;
    for _ in 0..count {
        let wait = if lookout.looks() { looking } else { asleep };
        looked += u32::from(lookout.looks());
        lookout.waited(Duration::from_micros(wait));
    }
    looked
}

#[test]
fn who_is_answered_sooner_by_it_looks() {
    let mut lookout = Lookout::default();
    assert_eq!(exchange(&mut lookout, (40, 15), WINDOW), 0);
    let count = 100 * 1000;
    let looked = exchange(&mut lookout, (40, 15), count);
    // Sleeping is measured again now and then, but for less than one exchange in two hundred.
    assert!(looked < count && looked > count - count / 200, "{looked}");
    // The cores have become busy: now being woken costs nothing.
    exchange(&mut lookout, (10, 15), 2 * TRUSTED * WINDOW);
    assert!(exchange(&mut lookout, (10, 15), count) < count / 50);
}

#[test]
fn a_slow_connection_never_looks() {
    assert_eq!(exchange(&mut Lookout::default(), (150, 1), 100_000), 0);
}

#[test]
fn who_gains_nothing_tries_ever_more_rarely() {
    let mut lookout = Lookout::default();
    let tried = exchange(&mut lookout, (15, 14), 10_000);
    assert!((WINDOW..2000).contains(&tried), "{tried}");
    assert!(exchange(&mut lookout, (15, 14), 100_000) < 2000);
}

#[test]
fn looks_in_vain_end_at_once() {
    let mut lookout = Lookout::default();
    exchange(&mut lookout, (90, 0), WINDOW);
    assert!(lookout.looks());
    assert_eq!(exchange(&mut lookout, (90, 31), WINDOW), MISSED_MAX + 1);
}

#[test]
fn who_sends_ahead_never_looks() {
    let mut lookout = Lookout::default();
    let mut looked = 0;
    for _ in 0..10_000 {
        looked += exchange(&mut lookout, (10, 1), 5);
        lookout.overlapped();
    }
    assert_eq!(looked, 0);
}

#[test]
fn one_connection_looks_at_a_time() {
    let looking = Looking::default();
    let turn = looking.try_begin().expect("nobody looks");
    assert!(looking.try_begin().is_none());
    drop(turn);
    assert!(looking.try_begin().is_some());
}

/// One thread, and no end but the event: whoever looks lets the other task run.
#[tokio::test]
async fn other_tasks_run_while_a_connection_looks() {
    let (send, receive) = oneshot::channel();
    let mut others = JoinSet::new();
    others.spawn(async move { send.send(7) });
    let limits = Limits {
        look: Duration::from_secs(3600),
        turn: Duration::from_secs(3600),
    };
    assert_eq!(look(pin!(receive), limits).await, Some(Ok(7)));
    assert!(matches!(others.join_next().await, Some(Ok(Ok(())))));
}

#[tokio::test]
async fn a_look_ends_with_its_time_or_when_others_need_the_core() {
    let (long, none) = (Duration::from_secs(3600), Duration::ZERO);
    for (look_for, turn) in [(none, long), (long, none)] {
        let limits = Limits {
            look: look_for,
            turn,
        };
        assert_eq!(look(pin!(pending::<()>()), limits).await, None);
    }
}
