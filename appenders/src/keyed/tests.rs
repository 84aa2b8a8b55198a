//! Kafka's own test values (`UtilsTest.testMurmur2`).

use super::{murmur2, partition_of};

#[test]
fn murmur2_gives_kafkas_values() {
    for (key, hash) in [
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
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
    }
}

#[test]
fn partitions_are_in_range() {
    for count in 1..20 {
        for key in ["", "a", "web-1", "사용자"] {
            assert!((0..count).contains(&partition_of(key.as_bytes(), count)));
        }
    }
}
