//! Transactional requests of every kind, odd ones above all, get the same answers from Apache Kafka
//! and from Logway. Producer ids are told by the order in which they appear.

mod hanging;
mod odd;
mod talk;
mod versions;

use std::process::Command;

use crate::node::Kafka;
use crate::raw::Raw;
use crate::{broker, peers, steady};

use talk::Talk;

/// The first protocol: version of EndTxn and of Produce.
const FIRST: i16 = 4;
/// KIP-890's.
const SECOND: i16 = 5;

#[test]
fn transactional_requests_are_judged_as_kafka_judges_them() {
    compare(transcript);
}

/// Both brokers have to say the same to a conversation, line by line.
fn compare(transcript: fn(&str) -> Vec<String>) {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start(script, folder.path());
    let logway = broker(folder.path());
    let theirs = transcript(&kafka.address());
    let ours = transcript(&logway.address("kafka"));
    let differing: Vec<String> = (theirs.iter().zip(&ours))
        .filter(|(theirs, ours)| theirs != ours)
        .map(|(theirs, ours)| format!("kafka:  {theirs}\nlogway: {ours}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(theirs.len(), ours.len());
    assert!(logway.stop().success());
}

fn transcript(address: &str) -> Vec<String> {
    let mut talk = Talk::start(address);
    inits(&mut talk);
    adds(&mut talk);
    first_protocol(&mut talk);
    second_protocol(&mut talk);
    produces(&mut talk);
    offsets(&mut talk);
    fencing(&mut talk);
    markers(&mut talk);
    listings(&mut talk);
    talk.lines
}

fn inits(talk: &mut Talk) {
    talk.title("init");
    talk.init(5, "", 60_000, None);
    talk.init(5, "a", 0, None);
    talk.init(5, "a", -1, None);
    talk.init(5, "a", 900_001, None);
    let a = talk.init(5, "a", 60_000, None);
    let a = talk.init(4, "a", 60_000, Some(a));
    talk.init(4, "a", 60_000, Some((a.0, a.1 - 1)));
    talk.init(4, "a", 60_000, Some((a.0, a.1 - 1)));
    talk.init(4, "a", 60_000, Some((a.0, a.1 + 5)));
    talk.init(3, "a", 60_000, Some((a.0, a.1 + 5)));
    talk.init(3, "a", 60_000, Some((a.0 + 99, 0)));
    talk.init(5, "a", 60_000, Some((a.0, -1)));
    talk.init(5, "a", 60_000, Some((-1, 0)));
    talk.init(5, "new", 60_000, Some((a.0 + 99, 7)));
    talk.init(2, "a", 60_000, None);
    talk.describe(&["a", "nobody", ""]);
}

fn adds(talk: &mut Talk) {
    talk.title("add");
    let (b, e) = talk.init(5, "b", 60_000, None);
    talk.add(3, "nobody", (b, e), &[("t", &[0])]);
    talk.add(3, "", (b, e), &[("t", &[0])]);
    talk.add(3, "b", (b + 99, e), &[("t", &[0])]);
    talk.add(3, "b", (b, e + 1), &[("t", &[0])]);
    talk.add(1, "b", (b, e + 1), &[("t", &[0])]);
    talk.add(3, "b", (b, e), &[("t", &[0, 99]), ("missing", &[0])]);
    talk.add(3, "b", (b, e), &[("t", &[0])]);
    talk.add(3, "b", (b, e), &[("t", &[0])]);
    talk.add(3, "b", (b, e), &[("t", &[0, 1])]);
    talk.describe(&["b"]);
    for epoch in [e, e + 1] {
        talk.verify("b", (b, epoch), &[("t", &[0, 2])]);
    }
    talk.verify("nobody", (b, e), &[("t", &[0])]);
    talk.verify("b", (b + 99, e), &[("t", &[0])]);
    talk.verify("", (b, e), &[("t", &[0])]);
    talk.add_offsets(3, "b", (b, e + 1), "g");
    talk.add_offsets(1, "b", (b, e + 1), "g");
    talk.add_offsets(3, "", (b, e), "g");
    talk.add_offsets(3, "b", (b, e), "g");
    talk.end(FIRST, "b", (b, e), false);
    talk.settle("b");
    talk.describe(&["b"]);
}

fn first_protocol(talk: &mut Talk) {
    talk.title("first protocol");
    let p = talk.init(5, "c", 60_000, None);
    talk.end(FIRST, "nobody", p, true);
    talk.end(FIRST, "", p, true);
    talk.end(FIRST, "c", p, true);
    talk.end(FIRST, "c", p, false);
    talk.add(3, "c", p, &[("t", &[0])]);
    talk.end(FIRST, "c", (p.0 + 99, p.1), true);
    talk.end(FIRST, "c", (p.0, p.1 + 1), true);
    talk.end(1, "c", (p.0, p.1 + 1), true);
    talk.end(1, "c", (p.0, p.1 - 1), true);
    talk.end(FIRST, "c", p, true);
    talk.settle("c");
    talk.describe(&["c"]);
    talk.end(FIRST, "c", p, true);
    talk.end(FIRST, "c", p, false);
    talk.end(SECOND, "c", p, true);
    talk.add(3, "c", p, &[("t", &[0])]);
    talk.end(FIRST, "c", p, false);
    talk.settle("c");
    talk.end(FIRST, "c", p, false);
    talk.end(FIRST, "c", p, true);
    talk.end(SECOND, "c", p, false);
    talk.settle("c");
    talk.describe(&["c"]);
}

fn second_protocol(talk: &mut Talk) {
    talk.title("second protocol");
    let p = talk.init(5, "d", 60_000, None);
    talk.end(SECOND, "nobody", p, true);
    talk.end(SECOND, "", p, true);
    talk.end(SECOND, "d", p, true);
    let p = talk.end(SECOND, "d", p, false);
    talk.settle("d");
    talk.describe(&["d"]);
    talk.end(SECOND, "d", (p.0, p.1 - 1), false);
    talk.end(SECOND, "d", (p.0, p.1 - 1), true);
    talk.end(SECOND, "d", (p.0, p.1 + 1), false);
    talk.add_by_broker("d", p, &[("t", &[0])]);
    talk.describe(&["d"]);
    talk.end(SECOND, "d", (p.0, p.1 - 1), true);
    talk.end(SECOND, "d", (p.0, p.1 + 1), true);
    let n = talk.end(SECOND, "d", p, true);
    talk.settle("d");
    talk.end(SECOND, "d", p, true);
    talk.end(SECOND, "d", p, false);
    talk.end(SECOND, "d", n, true);
    let n = talk.end(SECOND, "d", n, false);
    talk.settle("d");
    talk.end(FIRST, "d", n, false);
    talk.end(FIRST, "d", n, true);
    talk.add_by_broker("d", n, &[("t", &[0, 1])]);
    let n = talk.end(SECOND, "d", n, false);
    talk.settle("d");
    talk.init(5, "d", 60_000, Some((n.0, n.1 - 1)));
    talk.init(5, "d", 60_000, Some(n));
    talk.describe(&["d"]);
}

fn produces(talk: &mut Talk) {
    talk.title("produce");
    let p = talk.init(5, "e", 60_000, None);
    for version in [3, 9, 10, 11, 12] {
        talk.produce(version, "nobody", p, 0);
    }
    for version in [3, 9, 10, 11] {
        talk.produce(version, "e", p, 0);
        talk.produce(version, "e", (p.0, p.1 + 1), 0);
    }
    talk.produce(12, "e", (p.0, p.1 + 1), 0);
    talk.add(3, "e", p, &[("t", &[0])]);
    talk.produce(9, "e", p, 0);
    talk.produce(9, "e", p, 0);
    talk.produce(9, "e", p, 2);
    talk.plain(9, "e", p, 1);
    talk.produce(9, "e", p, 1);
    talk.producers("t", 0);
    talk.end(FIRST, "e", p, true);
    talk.settle("e");
    talk.produce(9, "e", p, 2);
    talk.plain(9, "e", p, 2);
    let f = talk.init(5, "f", 60_000, None);
    talk.produce(12, "f", f, 3);
    talk.produce(12, "f", f, 0);
    talk.produce(12, "f", f, 1);
    talk.describe(&["f"]);
    let n = talk.end(SECOND, "f", f, true);
    talk.settle("f");
    talk.produce(12, "f", f, 2);
    talk.produce(12, "f", n, 2);
    talk.produce(12, "f", n, 0);
    talk.produce(11, "f", n, 1);
    let n = talk.end(SECOND, "f", n, false);
    talk.settle("f");
    talk.producers("t", 0);
    talk.producers("t", 99);
    talk.producers("missing", 0);
    talk.produce(11, "f", n, 0);
    talk.read_committed("t");
}

fn offsets(talk: &mut Talk) {
    talk.title("offsets");
    let p = talk.init(5, "o", 60_000, None);
    talk.commit(3, "nobody", (p, "og"), (-1, ""));
    for version in [0, 3, 4] {
        talk.commit(version, "o", (p, "og"), (-1, ""));
    }
    talk.commit(4, "o", ((p.0, p.1 + 1), "og"), (-1, ""));
    talk.commit(5, "o", ((p.0, p.1 + 1), "og"), (-1, ""));
    talk.commit(5, "nobody", (p, "og"), (-1, ""));
    talk.add_offsets(3, "o", p, "og");
    talk.commit(3, "o", (p, ""), (-1, ""));
    talk.commit(3, "o", (p, "og"), (3, "member"));
    talk.commit(3, "o", (p, "og"), (3, ""));
    talk.commit(3, "o", (p, "og"), (-1, "member"));
    talk.commit(3, "o", (p, "og"), (-1, ""));
    talk.fetch_offsets("og");
    talk.end(FIRST, "o", p, true);
    talk.settle("o");
    talk.fetch_offsets("og");
    let n = talk.init(5, "o", 60_000, None);
    talk.commit(5, "o", (n, "og"), (-1, ""));
    talk.describe(&["o"]);
    talk.fetch_offsets("og");
    let n = talk.end(SECOND, "o", n, false);
    talk.settle("o");
    talk.fetch_offsets("og");
    talk.commit(5, "o", (n, "other"), (-1, ""));
    talk.fetch_offsets("other");
    talk.end(SECOND, "o", n, true);
    talk.settle("o");
    talk.fetch_offsets("other");
}

fn fencing(talk: &mut Talk) {
    talk.title("fencing");
    let p = talk.init(5, "z", 60_000, None);
    talk.add(3, "z", p, &[("t", &[1])]);
    talk.init_once(5, "z", None);
    talk.settle("z");
    talk.describe(&["z"]);
    talk.end(FIRST, "z", p, true);
    talk.end(SECOND, "z", p, true);
    let n = talk.init(5, "z", 60_000, None);
    talk.produce(9, "z", p, 0);
    talk.produce(12, "z", p, 0);
    talk.add(3, "z", p, &[("t", &[1])]);
    talk.end(FIRST, "z", p, true);
    talk.end(FIRST, "z", n, false);
    talk.produce(12, "z", n, 0);
    talk.init_once(5, "z", Some(n));
    talk.settle("z");
    talk.describe(&["z"]);
    talk.init(5, "z", 60_000, Some(n));
    talk.init(5, "z", 60_000, None);
}

fn markers(talk: &mut Talk) {
    talk.title("markers");
    talk.init(5, "m", 60_000, None);
    let p = talk.init(5, "m", 60_000, None);
    talk.produce_to(12, "m", p, ("m", 0));
    talk.mark(1, (p.0, p.1), ("missing", 0), (false, 0, 0));
    talk.mark(2, (p.0, p.1 - 1), ("m", 0), (false, 0, 2));
    talk.mark(2, (p.0, p.1), ("m", 0), (false, 0, 2));
    talk.mark(2, (p.0, p.1 + 1), ("m", 0), (false, 0, 2));
    talk.mark(2, (p.0, p.1 + 1), ("m", 0), (false, 0, 2));
    talk.mark(2, (p.0, p.1 + 1), ("m", 0), (true, 0, 2));
    talk.mark(1, (p.0, p.1 + 1), ("m", 0), (true, 3, 0));
    talk.mark(1, (p.0, p.1 + 1), ("m", 0), (true, 2, 0));
    talk.mark(1, (p.0, p.1), ("m", 0), (true, 3, 0));
    talk.mark(1, (p.0 + 500, 7), ("m", 0), (true, 0, 0));
    talk.producers("m", 0);
    talk.read_committed("m");
}

fn listings(talk: &mut Talk) {
    talk.title("list");
    talk.list(0, &[], &[], (-1, None));
    talk.list(0, &["Empty"], &[], (-1, None));
    talk.list(0, &["CompleteCommit", "Nonsense"], &[], (-1, None));
    talk.list(0, &["Nonsense"], &[], (-1, None));
    talk.list(0, &["Dead"], &[], (-1, None));
    talk.list(0, &["complete_commit"], &[], (-1, None));
    talk.list(1, &[], &[], (0, None));
    talk.list(1, &[], &[], (3_600_000, None));
    talk.list(2, &[], &[], (-1, Some("[a-c]")));
    talk.list(2, &[], &[], (-1, Some("")));
    talk.list(2, &[], &[], (-1, Some("ne")));
    talk.list(2, &[], &[], (-1, Some("(")));
}

/// What Kafka's own decoder of the state topic makes of ours.
#[test]
fn the_state_topic_is_read_by_kafkas_decoder() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let logway = broker(folder.path());
    let mut talk = Talk::start(&logway.address("kafka"));
    let p = talk.init(5, "dumped", 60_000, None);
    talk.produce(12, "dumped", p, 0);
    talk.end(SECOND, "dumped", p, true);
    talk.settle("dumped");
    assert!(logway.stop().success());
    let mut read = String::new();
    for partition in 0..50 {
        let log = folder.path().join(format!(
            "broker/__transaction_state-{partition}/00000000000000000000.log"
        ));
        if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            let mut dump = Command::new(&script);
            dump.args(["tool", "kafka-dump-log", "--transaction-log-decoder"]);
            read += &peers::ok(dump.arg("--files").arg(log), "");
        }
    }
    let key = r#"{"type":"0","data":{"transactionalId":"dumped"}}"#;
    let records: Vec<&str> = read.lines().filter(|line| line.contains(key)).collect();
    // Empty, Ongoing, PrepareCommit, CompleteCommit.
    let states = [0, 1, 2, 4].map(|state| format!(r#""transactionStatus":{state},"#));
    assert_eq!(records.len(), states.len(), "{read}");
    for (record, state) in records.iter().zip(&states) {
        assert!(record.contains(state), "no {state} in {record}");
    }
}

/// A Java producer of the second protocol, and what Kafka's own tools see of it.
#[test]
fn kafkas_tools_write_list_and_read_transactions() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let logway = broker(folder.path());
    let at = logway.address("kafka");
    let tool = |args: &[&str]| {
        let mut tool = Command::new(&script);
        peers::ok(tool.arg("tool").args(args), "")
    };
    let bootstrap = format!("bootstrap.servers={at}");
    tool(&[
        "kafka-producer-perf-test",
        "--topic",
        "measured",
        "--num-records",
        "5000",
        "--record-size",
        "50",
        "--throughput",
        "-1",
        "--transactional-id",
        "java",
        "--transaction-duration-ms",
        "5",
        "--producer-props",
        &bootstrap,
    ]);
    // The last one's markers may still be on their way.
    steady::markers(&mut Raw::connect(&at));
    let listed = tool(&["kafka-transactions", "--bootstrap-server", &at, "list"]);
    let line = listed.lines().find(|line| line.starts_with("java"));
    assert!(
        line.is_some_and(|line| line.contains("CompleteCommit")),
        "{listed}"
    );
    let of = ["--topic", "measured", "--partition", "0"];
    let producers = [
        &[
            "kafka-transactions",
            "--bootstrap-server",
            &at,
            "describe-producers",
        ],
        &of[..],
    ];
    assert!(
        tool(&producers.concat()).contains("None"),
        "nothing is open"
    );
    let read = tool(&[
        "kafka-console-consumer",
        "--bootstrap-server",
        &at,
        "--topic",
        "measured",
        "--from-beginning",
        "--isolation-level",
        "read_committed",
        "--max-messages",
        "5000",
        "--timeout-ms",
        "120000",
    ]);
    assert_eq!(read.lines().count(), 5000);
    assert!(logway.stop().success());
}
