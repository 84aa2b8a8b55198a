//! Names, settings, plans, records and the image, without a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::expect;
use logway_config::broker::Broker as Settings;
use logway_protocol::Uuid;

use super::image::Image;
use super::in_force::InForce;
use super::plan::{self, NewTopic, Placement};
use super::record::MetadataRecord;
use super::topic_config::{SETTINGS, TopicConfig, check, default_of, find};
use super::topic_name;

const PLACEMENT: Placement = Placement {
    broker: 1,
    partitions_default: 2,
};

fn in_force() -> InForce {
    InForce::of_file(&Arc::new(Settings::default()))
}

fn id(byte: u8) -> Uuid {
    Uuid::from_bytes([byte; 16])
}

fn topic(name: &str, configs: &[(&str, &str)]) -> NewTopic {
    let configs = configs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned())));
    NewTopic {
        name: name.to_owned(),
        partitions: -1,
        replication: -1,
        assignments: Vec::new(),
        configs: configs.collect(),
    }
}

fn with(topics: &[(&str, u8)]) -> Image {
    let mut image = Image::default();
    for (name, byte) in topics {
        let planned = plan::create_topic(
            &image,
            (&PLACEMENT, &in_force()),
            &topic(name, &[]),
            id(*byte),
        )
        .unwrap();
        planned
            .records
            .iter()
            .for_each(|record| image.apply(record));
    }
    image
}

#[test]
fn names_follow_kafkas_rules() {
    for good in [
        "a",
        "A-b_c.9",
        &"x".repeat(249),
        "__consumer_offsets",
        "...",
    ] {
        assert_eq!(topic_name::check(good), Ok(()), "{good}");
    }
    for bad in ["", ".", "..", &"x".repeat(250), "a/b", "a b", "ä", "a\0"] {
        assert!(topic_name::check(bad).is_err(), "{bad}");
    }
    assert!(topic_name::collides("a.b", "a_b"));
    assert!(!topic_name::collides("a.b", "a.b"));
    assert!(!topic_name::collides("a.b", "a-b"));
}

#[test]
fn a_topic_becomes_records_and_the_records_become_the_topic() {
    let asked = topic(
        "t",
        &[
            ("retention.ms", " 5 "),
            ("cleanup.policy", "compact,delete"),
        ],
    );
    let planned =
        plan::create_topic(&Image::default(), (&PLACEMENT, &in_force()), &asked, id(7)).unwrap();
    assert_eq!((planned.partitions, planned.replication), (2, 1));
    let mut image = Image::default();
    for record in &planned.records {
        let read = MetadataRecord::decode(record.encode().unwrap()).unwrap();
        assert_eq!(&read, record);
        image.apply(&read);
    }
    let found = image.topic("t").unwrap();
    assert_eq!(image.topic_by_id(&id(7)), Some(found));
    assert_eq!(found.configs.get("retention.ms").unwrap(), "5");
    assert_eq!((found.partitions.len(), found.partitions[1].leader), (2, 1));
    image.apply(&plan::delete_topic(id(7)));
    assert!(image.topic("t").is_none() && image.topic_by_id(&id(7)).is_none());
}

#[test]
fn records_are_framed_as_kafka_frames_them() {
    let mut frames = String::new();
    let planned = plan::create_topic(
        &Image::default(),
        (&PLACEMENT, &in_force()),
        &topic("t", &[]),
        id(7),
    );
    for record in planned.unwrap().records.iter().take(2) {
        let bytes = record.encode().unwrap();
        frames.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
        frames.push('\n');
    }
    // Frame version 1, record type, record version 0; then the message.
    expect![[r#"
        01020002740707070707070707070707070707070700
        010300000000000707070707070707070707070707070702000000010200000001010100000001000000000000000000
    "#]]
    .assert_eq(&frames);
}

#[test]
fn foreign_records_are_errors_not_panics() {
    for bytes in [
        &[][..],
        &[1],
        &[1, 2],
        &[2, 2, 0],
        &[1, 2, 0, 9],
        &[0xff; 12],
        &[1, 99, 0],
    ] {
        assert!(MetadataRecord::decode(bytes.into()).is_err(), "{bytes:?}");
    }
}

#[test]
fn every_default_passes_its_own_check() {
    assert!(
        SETTINGS.is_sorted_by(|one, other| one.name < other.name),
        "`find` searches by halves"
    );
    for setting in SETTINGS {
        let value = default_of(setting, &in_force());
        assert_eq!(value, setting.default, "{}", setting.name);
        assert_eq!(check(setting.name, Some(&value)), Ok(()));
        assert!(find(setting.name).is_some());
    }
    let config = TopicConfig::of(&BTreeMap::new(), &in_force());
    assert_eq!(
        (config.segment_bytes, config.message_bytes_max),
        (1 << 30, 1_048_588)
    );
    assert!(config.deletes && !config.compacted && !config.log_append_time);
}

#[test]
fn wrong_settings_are_refused_in_kafkas_words() {
    let cases = [
        ("no.such", Some("1")),
        ("retention.ms", None),
        ("retention.ms", Some("soon")),
        ("retention.ms", Some("-2")),
        ("max.message.bytes", Some("-1")),
        ("preallocate", Some("yes")),
        ("min.cleanable.dirty.ratio", Some("1.5")),
        ("compression.type", Some("brotli")),
        ("cleanup.policy", Some("delete,shred")),
    ];
    let texts = cases.map(|(name, value)| check(name, value).unwrap_err().to_string());
    expect![[r#"
        Unknown topic config name: no.such
        Null value not supported for topic configs: retention.ms
        Invalid value soon for configuration retention.ms: Not a number of type LONG
        Invalid value -2 for configuration retention.ms: Value must be at least -1
        Invalid value -1 for configuration max.message.bytes: Value must be at least 0
        Invalid value yes for configuration preallocate: Expected value to be either true or false
        Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1
        Invalid value brotli for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer
        Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete"#]]
    .assert_eq(&texts.join("\n"));
}

#[test]
fn plans_see_what_is_there() {
    let image = with(&[("a", 1), ("b.c", 2)]);
    for (name, refused) in [
        ("a", true),
        ("b_c", true),
        ("b-c", false),
        ("__cluster_metadata", true),
    ] {
        let planned =
            plan::create_topic(&image, (&PLACEMENT, &in_force()), &topic(name, &[]), id(9));
        assert_eq!(planned.is_err(), refused, "{name}");
    }
}
