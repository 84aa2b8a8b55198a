//! Fetches that wait are woken by what they wait for.

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
    waiters.register(&waiter);
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
    here.register(&one);
    there.register(&other);
    here.arrived(5);
    assert!(is_woken(&one) && !is_woken(&other));
    there.unregister(&other);
    there.wake_all();
    assert!(!is_woken(&other));
}
