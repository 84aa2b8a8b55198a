//! Rates over random histories, and who falls under which quota.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bucket::Bucket;
use super::rate::{Rate, Windows};
use super::rules::{Limited, Rules};
use crate::metadata::{ClientQuotas, EntityKind, QuotaEntity};

const WINDOWS: Windows = Windows {
    count: 11,
    size_ms: 1000,
};

/// Sends pieces as soon as it may; what it has sent by the end.
fn obedient(windows: Windows, limit: f64, pieces: &[(f64, u16)]) -> (f64, i64, f64) {
    let (mut rate, mut now, mut sent, mut largest) = (Rate::default(), 0i64, 0.0, 0.0f64);
    for (share, pause) in pieces {
        let amount = limit * share;
        rate.record(windows, now, amount);
        sent += amount;
        largest = largest.max(amount);
        let wait = i64::try_from(rate.wait_ms(windows, now, limit)).unwrap();
        now += wait + i64::from(*pause);
    }
    (sent, now, largest)
}

proptest! {
    /// Whoever waits as he is told sends no more than the quota and one burst of all windows, however
    /// he cuts what he sends.
    #[test]
    fn an_obedient_client_keeps_to_the_quota(
        limit in 1_000.0..1e7f64,
        pieces in prop::collection::vec((0.000_1..3.0f64, 0u16..50), 1..600),
    ) {
        let (sent, until, largest) = obedient(WINDOWS, limit, &pieces);
        // Waits are whole milliseconds: each may be half of one too short.
        let until = until + i64::try_from(pieces.len()).unwrap();
        let seconds = until as f64 / 1000.0 + f64::from(WINDOWS.count);
        prop_assert!(sent <= limit * seconds + largest, "{sent} in {until} ms at {limit}/s");
    }

    /// Whoever stays below the quota never waits: also if he sends what gathered in two windows at
    /// once, which a rate over ten takes for a sixth more.
    #[test]
    fn a_slow_client_never_waits(
        limit in 1_000.0..1e7f64,
        share in 0.01..0.83f64,
        pauses in prop::collection::vec(1i64..2_000, 1..300),
    ) {
        let (mut rate, mut now) = (Rate::default(), 0);
        for pause in pauses {
            now += pause;
            rate.record(WINDOWS, now, limit * share * pause as f64 / 1000.0);
            prop_assert_eq!(rate.wait_ms(WINDOWS, now, limit), 0);
        }
    }

    /// What is not sent after all does not count.
    #[test]
    fn what_was_taken_back_is_forgotten(
        amounts in prop::collection::vec((0.0..1e6f64, 0i64..500), 1..100),
        refused in 1.0..1e9f64,
    ) {
        let (mut with, mut without, mut now) = (Rate::default(), Rate::default(), 0);
        for (amount, pause) in amounts {
            now += pause;
            with.record(WINDOWS, now, amount);
            without.record(WINDOWS, now, amount);
            with.record(WINDOWS, now, refused);
            with.record(WINDOWS, now, -refused);
        }
        let (with, without) = (with.per_second(WINDOWS, now), without.per_second(WINDOWS, now));
        prop_assert!((with - without).abs() <= 1.0, "{with} {without}");
    }

    /// Whoever waits until nothing is overdrawn gets, over any time, what the bucket held and what ran
    /// into it since, and the last piece of work; whoever takes less than runs in never waits.
    #[test]
    fn a_bucket_gives_no_more_than_runs_into_it(
        limit in 0.1..1e4f64,
        work in prop::collection::vec((0.0..1e5f64, 0i64..100), 1..200),
    ) {
        let (mut bucket, burst) = (Bucket::full(limit, 11.0, 0), 11.0 * limit);
        let (mut now, mut taken) = (0i64, 0.0);
        for (amount, pause) in work {
            prop_assert!(bucket.wait_ms(limit, 11.0, now) <= 1);
            prop_assert!(taken <= burst + limit * (now as f64 / 1000.0) + limit / 1000.0 + 1e-6);
            bucket.take(amount);
            taken += amount;
            now += i64::try_from(bucket.wait_ms(limit, 11.0, now)).unwrap() + pause;
        }
        let mut slow = Bucket::full(limit, 11.0, 0);
        for second in 1..50 {
            slow.take(limit * 0.9);
            prop_assert_eq!(slow.wait_ms(limit, 11.0, second * 1000), 0);
        }
    }

    /// Nothing is remembered for longer than all windows.
    #[test]
    fn a_rate_is_bounded_and_forgets(
        count in 1u32..20,
        size_ms in 1i64..3_000,
        steps in prop::collection::vec(0i64..4_000, 1..200),
    ) {
        let windows = Windows { count, size_ms };
        let (mut rate, mut now) = (Rate::default(), 0);
        for step in steps {
            now += step;
            rate.record(windows, now, 1.0);
            prop_assert!(rate.per_second(windows, now) > 0.0);
        }
        prop_assert!(rate.is_idle(windows, now + i64::from(count) * size_ms));
    }
}

/// What somebody gets in these seconds who sends `piece` after `piece` as fast as he may.
fn gets(limit: f64, piece: f64, seconds: i64) -> f64 {
    let (mut rate, mut now, mut sent) = (Rate::default(), 0i64, 0.0);
    while now < seconds * 1000 {
        rate.record(WINDOWS, now, piece);
        sent += piece;
        now += 1 + i64::try_from(rate.wait_ms(WINDOWS, now, limit)).unwrap();
    }
    sent * 1000.0 / now as f64
}

/// The same for what is withheld while it is too much, as fetched records are.
fn fetches(limit: f64, piece: f64, seconds: i64) -> f64 {
    let (mut rate, mut now, mut sent) = (Rate::default(), 0i64, 0.0);
    while now < seconds * 1000 {
        rate.record(WINDOWS, now, piece);
        sent += piece;
        let wait = i64::try_from(rate.wait_ms(WINDOWS, now, limit)).unwrap();
        if wait > 0 {
            rate.record(WINDOWS, now, -piece);
            sent -= piece;
        }
        now += 1 + wait;
    }
    sent * 1000.0 / now as f64
}

#[test]
fn who_sends_all_he_may_gets_his_quota() {
    for limit in [1e6, 5e6] {
        for piece in [16.5e3, 80e3, 500e3, 1e6, 2e6, 5e6] {
            for seconds in [30, 60, 200, 1000] {
                for of in [gets, fetches] {
                    let share = of(limit, piece, seconds) / limit;
                    // The last piece of a short time may still be withheld.
                    let least = 0.97 - piece / limit / seconds as f64;
                    assert!(
                        (least..1.03).contains(&share),
                        "{share} of {limit} in pieces of {piece} over {seconds} s"
                    );
                }
            }
        }
    }
}

#[test]
fn who_was_held_may_burst_again_after_a_while() {
    let (mut rate, limit) = (Rate::default(), 1e6);
    for now in [0, 60_000] {
        rate.record(WINDOWS, now, 10e6);
        assert_eq!(rate.wait_ms(WINDOWS, now, limit), 0, "at {now}");
        rate.record(WINDOWS, now, 1e6);
        assert_eq!(rate.wait_ms(WINDOWS, now, limit), 1000, "at {now}");
    }
    // A limit that comes down does not count what was allowed before it.
    let mut rate = Rate::default();
    for now in (0..60_000).step_by(100) {
        rate.record(WINDOWS, now, 1.1e6);
        rate.wait_ms(WINDOWS, now, 10e6);
    }
    assert!(rate.wait_ms(WINDOWS, 60_000, 1e6) < 120_000);
}

fn entity(parts: &[(EntityKind, Option<&str>)]) -> QuotaEntity {
    let parts = parts
        .iter()
        .map(|(kind, name)| (*kind, name.map(str::to_owned)));
    QuotaEntity(parts.collect())
}

/// Each entity with a limit of its own.
fn quotas(entities: &[QuotaEntity], key: &str) -> ClientQuotas {
    let limits = (1u8..).zip(entities).map(|(limit, entity)| {
        let value = BTreeMap::from([(key.to_owned(), f64::from(limit))]);
        (entity.clone(), value)
    });
    limits.collect()
}

#[test]
fn the_closest_quota_holds_in_kafkas_order() {
    use EntityKind::{ClientId, User};
    let order = [
        entity(&[(User, Some("u")), (ClientId, Some("c"))]),
        entity(&[(User, Some("u")), (ClientId, None)]),
        entity(&[(User, Some("u"))]),
        entity(&[(User, None), (ClientId, Some("c"))]),
        entity(&[(User, None), (ClientId, None)]),
        entity(&[(User, None)]),
        entity(&[(ClientId, Some("c"))]),
        entity(&[(ClientId, None)]),
    ];
    // Whose rate counts: the user's client, the user's, or the client's whoever uses it.
    let measured = [
        (1, 1),
        (1, 1),
        (1, 0),
        (1, 1),
        (1, 1),
        (1, 0),
        (0, 1),
        (0, 1),
    ];
    for (begin, (user, client)) in measured.into_iter().enumerate() {
        let rules = Rules::new(&quotas(&order[begin..], "producer_byte_rate"));
        let (limit, who) = rules.of_client(Limited::Produce, "u", "c").unwrap();
        assert_eq!(limit, 1.0, "from {begin}");
        assert_eq!(
            (who.user.iter().count(), who.client.iter().count()),
            (user, client)
        );
        assert!(rules.of_client(Limited::Fetch, "u", "c").is_none());
        assert!(!rules.limits(Limited::Requests));
    }
    let rules = Rules::new(&quotas(&order[..1], "producer_byte_rate"));
    assert!(rules.of_client(Limited::Produce, "u", "other").is_none());
}

#[test]
fn an_address_has_its_own_quota_or_the_default() {
    let addresses = [
        entity(&[(EntityKind::Ip, Some("127.0.0.1"))]),
        entity(&[(EntityKind::Ip, None)]),
    ];
    let rules = Rules::new(&quotas(&addresses, "connection_creation_rate"));
    assert_eq!(rules.of_address("127.0.0.1").unwrap().0, 1.0);
    assert_eq!(rules.of_address("::1").unwrap().0, 2.0);
    assert!(Rules::default().of_address("127.0.0.1").is_none());
}
