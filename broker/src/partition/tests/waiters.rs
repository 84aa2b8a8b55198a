//! Fetches that wait are woken by what they wait for, and told what changed.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::super::waiting::{FetchWaiter, FetchWaiters};

fn is_woken(waiter: &FetchWaiter) -> bool {
    let wait = pin!(waiter.wait());
    wait.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[test]
fn bytes_add_up_until_there_are_enough() {
    let waiters = FetchWaiters::default();
    let waiter = FetchWaiter::new(100);
    waiters.arrived(1000);
    assert!(!is_woken(&waiter), "not registered yet");
    waiters.join(&waiter, 0);
    waiters.arrived(60);
    assert!(!is_woken(&waiter));
    waiters.arrived(40);
    assert!(is_woken(&waiter));
    waiter.rearm(50);
    assert!(!is_woken(&waiter));
    waiter.credit(30);
    waiters.arrived(20);
    assert!(is_woken(&waiter));
}

#[test]
fn only_those_who_wait_here_are_woken() {
    let (here, there) = (FetchWaiters::default(), FetchWaiters::default());
    let (one, other) = (FetchWaiter::new(1), FetchWaiter::new(1));
    here.join(&one, 0);
    let key = there.join(&other, 0);
    here.arrived(5);
    assert!(is_woken(&one) && !is_woken(&other));
    there.leave(key);
    there.wake_all();
    assert!(!is_woken(&other));
}

#[test]
fn a_session_hears_once_of_each_partition_that_changed() {
    let partitions: Vec<FetchWaiters> = (0..200).map(|_| FetchWaiters::default()).collect();
    let waiter = FetchWaiter::new(i64::MAX);
    for (place, partition) in (0..).zip(&partitions) {
        partition.join(&waiter, place);
    }
    for at in [150, 3, 64, 3, 150, 63] {
        partitions[at].arrived(1);
    }
    assert_eq!(waiter.take_changed(), [150, 3, 64, 63]);
    assert!(waiter.take_changed().is_empty());
    partitions[64].arrived(0);
    assert_eq!(waiter.take_changed(), [64], "a change without bytes");
    assert!(!is_woken(&waiter));
}
