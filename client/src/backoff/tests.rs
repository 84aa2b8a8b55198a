//! Pauses grow, stay within their limits and are never zero.

use std::time::Duration;

use super::{Backoff, pause};

#[test]
fn doubles_up_to_the_limit_with_jitter() {
    let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
    let mut backoff = Backoff::new(first, max);
    for plain in [100_u64, 200, 400, 800, 1000, 1000] {
        let pause = backoff.next();
        let (low, high) = (plain * 79 / 100, plain * 121 / 100);
        assert!(
            (low..=high).contains(&u64::try_from(pause.as_millis()).unwrap()),
            "{pause:?}"
        );
    }
    backoff.reset();
    assert!(backoff.next() <= Duration::from_millis(120));
}

#[test]
fn is_never_zero() {
    assert!(pause(Duration::ZERO, Duration::ZERO, 0) >= Duration::from_millis(1));
    assert!(pause(Duration::from_secs(1), Duration::from_secs(2), u32::MAX) > Duration::ZERO);
}
