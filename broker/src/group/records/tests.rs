//! Bytes of `__consumer_offsets` as Kafka writes them, and back.

use super::*;

fn offset() -> (OffsetKey, Committed) {
    let key = OffsetKey {
        group: Arc::from("g"),
        topic: Arc::from("t"),
        partition: 7,
    };
    let committed = Committed {
        offset: 42,
        leader_epoch: 3,
        metadata: Box::from("m"),
        committed_ms: 1_000,
        expires_ms: None,
        record_offset: 5,
    };
    (key, committed)
}

fn group() -> Snapshot {
    Snapshot {
        generation: 2,
        protocol_type: Some(Arc::from("consumer")),
        protocol_name: Some(Arc::from("range")),
        leader: Some(Arc::from("a")),
        state_since_ms: 9,
        members: vec![MemberSnapshot {
            member_id: Arc::from("a"),
            instance_id: None,
            client_id: Arc::from("c"),
            client_host: Arc::from("/h"),
            rebalance_timeout_ms: 60,
            session_timeout_ms: 45,
            subscription: Bytes::from_static(b"S"),
            assignment: Bytes::from_static(b"A"),
        }],
    }
}

#[test]
fn a_group_is_kept_where_kafka_keeps_it() {
    // Computed with Java's String.hashCode and Kafka's Utils.abs, 50 partitions.
    for (group, partition) in [
        ("", 0),
        ("billing", 9),
        ("logway-pipeline", 22),
        ("polygenelubricants", 0), // i32::MIN
        ("그룹", 19),
        ("a😀b", 44),
        ("console-consumer-12345", 6),
    ] {
        assert_eq!(partition_for(group, 50), partition, "{group}");
    }
}

#[test]
fn an_offset_is_key_1_value_3() {
    let (key, committed) = offset();
    let record = offset_record(&key, Some(&committed)).expect("short");
    assert_eq!(&record.key[..], b"\0\x01\0\x01g\0\x01t\0\0\0\x07");
    let value = record.value.expect("a value");
    assert_eq!(
        &value[..],
        b"\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x03\0\x01m\0\0\0\0\0\0\x03\xe8",
        "version, offset, leader epoch, metadata, commit time"
    );
    assert_eq!(
        read(&record.key, Some(&value), 5),
        Ok(Stored::Offset {
            key,
            committed: Some(committed)
        })
    );
}

#[test]
fn an_expiry_of_its_own_takes_value_1() {
    let (key, committed) = offset();
    let committed = Committed {
        expires_ms: Some(2_000),
        leader_epoch: -1,
        ..committed
    };
    let record = offset_record(&key, Some(&committed)).expect("short");
    let value = record.value.expect("a value");
    assert_eq!(
        &value[..],
        b"\0\x01\0\0\0\0\0\0\0\x2a\0\x01m\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x07\xd0"
    );
    assert_eq!(
        read(&record.key, Some(&value), 5),
        Ok(Stored::Offset {
            key,
            committed: Some(committed)
        })
    );
}

#[test]
fn a_group_is_key_2_value_3() {
    let record = group_record("g", Some(&group())).expect("short");
    assert_eq!(&record.key[..], b"\0\x02\0\x01g");
    let value = record.value.expect("a value");
    let mut expected = b"\0\x03\0\x08consumer\0\0\0\x02\0\x05range\0\x01a".to_vec();
    expected.extend(b"\0\0\0\0\0\0\0\x09\0\0\0\x01");
    expected.extend(b"\0\x01a\xff\xff\0\x01c\0\x02/h\0\0\0\x3c\0\0\0\x2d\0\0\0\x01S\0\0\0\x01A");
    assert_eq!(&value[..], &expected[..]);
    assert_eq!(
        read(&record.key, Some(&value), 0),
        Ok(Stored::Group {
            id: Arc::from("g"),
            snapshot: Some(group())
        })
    );
}

#[test]
fn an_empty_group_has_no_protocol_and_no_leader() {
    let empty = Snapshot {
        protocol_name: None,
        leader: None,
        members: Vec::new(),
        ..group()
    };
    let record = group_record("g", Some(&empty)).expect("short");
    let stored = read(&record.key, record.value.as_ref(), 0);
    assert_eq!(
        stored,
        Ok(Stored::Group {
            id: Arc::from("g"),
            snapshot: Some(empty)
        })
    );
}

#[test]
fn tombstones_are_read_as_removals() {
    let (key, _) = offset();
    let record = offset_record(&key, None).expect("short");
    assert_eq!(record.value, None);
    assert_eq!(
        read(&record.key, None, 0),
        Ok(Stored::Offset {
            key,
            committed: None
        })
    );
    let record = group_record("g", None).expect("short");
    assert_eq!(
        read(&record.key, None, 0),
        Ok(Stored::Group {
            id: Arc::from("g"),
            snapshot: None
        })
    );
}

#[test]
fn a_member_stored_without_a_rebalance_timeout_uses_its_session_timeout() {
    let mut value = group_value(&group());
    value.members[0].rebalance_timeout = -1;
    let value = versioned(&value, 0).expect("short");
    let key = group_record("g", None).expect("short").key;
    match read(&key, Some(&value), 0) {
        Ok(Stored::Group {
            snapshot: Some(group),
            ..
        }) => {
            assert_eq!(group.members[0].rebalance_timeout_ms, 45);
        }
        other => panic!("{other:?}"),
    }
}
