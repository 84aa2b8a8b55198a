//! kcat (librdkafka): metadata, produce, consume, group, offsets by time.

use std::process::Command;

use crate::{broker, peers};

fn lines(count: usize) -> String {
    (0..count)
        .map(|i| format!("key{}:line {i}\n", i % 5))
        .collect()
}

#[test]
fn kcat_produces_and_consumes_with_every_compression() {
    let Some(kcat) = peers::kcat() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let sent = lines(1000);
        let mut produce = Command::new(&kcat);
        produce.args([
            "-b", &at, "-P", "-t", codec, "-K", ":", "-z", codec, "-p", "0",
        ]);
        peers::ok(&mut produce, &sent);
        let mut consume = Command::new(&kcat);
        consume.args(["-b", &at, "-C", "-t", codec, "-e", "-q", "-f", "%k:%s\n"]);
        assert_eq!(peers::ok(&mut consume, ""), sent, "{codec}");
    }
    let mut list = Command::new(&kcat);
    let listed = peers::ok(list.args(["-b", &at, "-L"]), "");
    assert!(
        listed.contains("topic \"zstd\" with 1 partitions"),
        "{listed}"
    );
    assert!(listed.contains("1 brokers"), "{listed}");
    assert!(broker.stop().success());
}

#[test]
fn kcat_keeps_headers_tombstones_and_acks() {
    let Some(kcat) = peers::kcat() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    for acks in ["0", "1", "all"] {
        let mut produce = Command::new(&kcat);
        produce.args([
            "-b", &at, "-P", "-t", acks, "-H", "a=1", "-H", "b=two", "-K", ":", "-Z",
        ]);
        peers::ok(
            produce.args(["-X", &format!("acks={acks}")]),
            "k:\nk:value\n",
        );
        let mut consume = Command::new(&kcat);
        consume.args([
            "-b",
            &at,
            "-C",
            "-t",
            acks,
            "-c",
            "2",
            "-q",
            "-f",
            "%k %S %h\n",
        ]);
        assert_eq!(
            peers::ok(&mut consume, ""),
            "k -1 a=1,b=two\nk 5 a=1,b=two\n",
            "acks={acks}"
        );
    }
}

#[test]
fn kcat_finds_offsets_by_time() {
    let Some(kcat) = peers::kcat() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    let mut produce = Command::new(&kcat);
    peers::ok(
        produce.args(["-b", &at, "-P", "-t", "t", "-p", "0"]),
        &lines(10),
    );
    let ask = |time: &str| {
        let mut query = Command::new(&kcat);
        let text = peers::ok(
            query.args(["-b", &at, "-Q", "-t", &format!("t:0:{time}")]),
            "",
        );
        text.trim()
            .rsplit(' ')
            .next()
            .and_then(|offset| offset.parse::<i64>().ok())
    };
    assert_eq!(ask("-2"), Some(0), "earliest");
    assert_eq!(ask("-1"), Some(10), "latest");
    assert_eq!(ask("1"), Some(0), "long ago");
    assert_eq!(ask("99999999999999"), Some(-1), "in the future");
}

#[test]
fn kcat_reads_as_a_group_and_goes_on_where_it_left_off() {
    let Some(kcat) = peers::kcat() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    let produce = |text: &str| {
        let mut produce = Command::new(&kcat);
        peers::ok(produce.args(["-b", &at, "-P", "-t", "t", "-p", "0"]), text);
    };
    produce("a\nb\n");
    let consume = || {
        let mut consume = Command::new(&kcat);
        consume.args([
            "-b",
            &at,
            "-G",
            "g",
            "-e",
            "-q",
            "-X",
            "auto.offset.reset=earliest",
            "t",
        ]);
        peers::ok(&mut consume, "")
    };
    assert_eq!(consume(), "a\nb\n");
    produce("c\n");
    assert_eq!(consume(), "c\n");
}
