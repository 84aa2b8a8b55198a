//! The opaque bytes as Kafka's own clients write them.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Subscription, decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};
use crate::config::Assignor;
use crate::topic::TopicPartition;

#[test]
fn subscriptions_of_every_version_are_read() {
    let topics: [Arc<str>; 2] = ["logs".into(), "metrics".into()];
    let wanted = Subscription {
        topics: topics.to_vec(),
        owned: vec![
            TopicPartition::new("logs", 3),
            TopicPartition::new("metrics", 1),
        ],
        generation: 5,
    };
    for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
        let bytes = encode_subscription(&wanted, assignor, Some("here")).unwrap();
        assert_eq!(decode_subscription(bytes, Some(assignor)).unwrap(), wanted);
    }
    let bytes = encode_subscription(&wanted, Assignor::Range, None).unwrap();
    let read = decode_subscription(bytes, Some(Assignor::Range)).unwrap();
    assert_eq!((read.topics, read.owned), (topics.to_vec(), vec![]));
    // Version 0, as old clients write it: one topic, no user data.
    let old = Bytes::from_static(b"\0\0\0\0\0\x01\0\x04logs\xff\xff\xff\xff");
    let logs: [Arc<str>; 1] = ["logs".into()];
    assert_eq!(decode_subscription(old, None).unwrap().topics, logs);
    // A version of the future: the known fields, then more.
    let new = [
        b"\0\x09\0\0\0\x01\0\x04logs\xff\xff\xff\xff".as_slice(),
        b"\0\0\0\0\xff\xff\xff\xff\xff\xff more",
    ];
    assert_eq!(
        decode_subscription(new.concat().into(), None)
            .unwrap()
            .topics,
        logs
    );
    assert!(decode_subscription(Bytes::from_static(b"\0\0\0\0\0\x09"), None).is_err());
}

/// The bytes of Kafka's own assignors: `StickyAssignorUserData` of version 1, and version 0 of
/// `CooperativeStickyAssignorUserData`, in a subscription of version 1.
#[test]
fn the_sticky_assignors_own_bytes_are_kafkas() {
    let had = Subscription {
        topics: vec!["t".into()],
        owned: vec![TopicPartition::new("t", 0), TopicPartition::new("t", 2)],
        generation: 7,
    };
    let sticky = encode_subscription(&had, Assignor::Sticky, None).unwrap();
    let own = b"\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\x07";
    assert!(
        sticky.windows(own.len()).any(|bytes| bytes == own),
        "{sticky:?}"
    );
    let cooperative = [
        b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x04\0\0\0\x07".as_slice(),
        b"\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x02",
    ];
    let cooperative = Bytes::from(cooperative.concat());
    let read = decode_subscription(cooperative, Some(Assignor::CooperativeSticky)).unwrap();
    assert_eq!(read, had);
    // Bytes that claim more than they hold.
    let lying = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x04\x7f\xff\xff\xff".as_slice();
    let read = decode_subscription(lying.into(), Some(Assignor::Sticky)).unwrap();
    assert_eq!(read.owned, []);
}

#[test]
fn assignments_come_back_by_topic() {
    let partitions = ["b", "a", "b"]
        .iter()
        .zip(0..)
        .map(|(t, p)| TopicPartition::new(*t, p))
        .collect::<Vec<_>>();
    let mut read = decode_assignment(encode_assignment(&partitions).unwrap()).unwrap();
    read.sort_by_key(|partition| partition.partition);
    assert_eq!(read, partitions);
    assert_eq!(decode_assignment(Bytes::new()).unwrap(), []);
}
