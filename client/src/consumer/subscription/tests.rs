//! The opaque bytes as Kafka's own clients write them.

use std::sync::Arc;

use bytes::Bytes;

use super::{decode_assignment, decode_subscription, encode_assignment, encode_subscription};
use crate::topic::TopicPartition;

#[test]
fn subscriptions_of_every_version_are_read() {
    let topics: [Arc<str>; 2] = ["logs".into(), "metrics".into()];
    assert_eq!(
        decode_subscription(encode_subscription(&topics).unwrap()).unwrap(),
        topics
    );
    // Version 0, as old clients write it: one topic, no user data.
    let old = Bytes::from_static(b"\0\0\0\0\0\x01\0\x04logs\xff\xff\xff\xff");
    assert_eq!(decode_subscription(old).unwrap(), ["logs".into()]);
    // A version of the future: the known fields, then more.
    let new = [
        b"\0\x09\0\0\0\x01\0\x04logs\xff\xff\xff\xff".as_slice(),
        b"\0\0\0\0\xff\xff\xff\xff\xff\xff more",
    ];
    assert_eq!(
        decode_subscription(new.concat().into()).unwrap(),
        ["logs".into()]
    );
    assert!(decode_subscription(Bytes::from_static(b"\0\0\0\0\0\x09")).is_err());
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
