//! Golden values of Java's murmur2 and the habits of the sticky choice.

use std::collections::HashSet;

use proptest::prelude::*;

use super::{Sticky, murmur2, partition_of_key};

/// Values from Kafka's own `UtilsTest.testMurmur2`.
#[test]
fn murmur2_is_javas() {
    for (text, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        (
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
    }
}

proptest! {
    #[test]
    fn keys_stay_in_range(key in proptest::collection::vec(any::<u8>(), 0..64), count in 1_usize..200) {
        let partition = partition_of_key(&key, count);
        prop_assert!((0..i32::try_from(count).unwrap()).contains(&partition));
        prop_assert_eq!(partition, partition_of_key(&key, count));
    }
}

#[test]
fn sticks_until_a_batch_is_full_then_moves_on() {
    let mut sticky = Sticky::default();
    let available = [(0, 0), (1, 0), (2, 0)];
    let first = sticky.choose(&available, 60, 100).unwrap();
    assert_eq!(sticky.choose(&available, 60, 100), Some(first));
    assert_ne!(sticky.choose(&available, 60, 100), Some(first));
}

#[test]
fn reaches_every_partition_and_prefers_the_least_loaded() {
    let mut sticky = Sticky::default();
    let available = [(0, 0), (1, 0), (2, 0), (3, 0)];
    let seen: HashSet<_> = (0..400)
        .map(|_| sticky.choose(&available, 100, 100))
        .collect();
    assert_eq!(seen.len(), 4);
    for _ in 0..20 {
        assert_eq!(sticky.choose(&[(0, 9), (1, 0), (2, 9)], 100, 100), Some(1));
    }
    assert_eq!(sticky.choose(&[], 1, 100), None);
}
