//! Parsers against Telegraf's documented samples, against themselves, and against noise.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const DEFAULT_NS: i64 = 42;

fn influx(input: &[u8]) -> Vec<Content<'_>> {
    let mut out = Vec::new();
    influx::parse(input, DEFAULT_NS, &mut |content| out.push(content));
    out
}

fn json(input: &[u8]) -> Vec<Content<'_>> {
    let mut out = Vec::new();
    telegraf::parse(input, DEFAULT_NS, &mut |content| out.push(content));
    out
}

/// A metric in a form that is easy to write down: name, tags, fields, time.
type Plain = (
    String,
    Vec<(String, String)>,
    Vec<(String, Value<'static>)>,
    i64,
);

fn plain(content: &Content<'_>) -> Option<Plain> {
    let Content::Metric(metric) = content else {
        return None;
    };
    let (name, tags) = match &metric.series {
        Series::Line(text) => influx::series_parts(text),
        Series::Parts { name, tags } => (name.clone(), tags.clone()),
    };
    let fields = metric
        .fields
        .iter()
        .map(|(key, value)| (key.to_string(), owned(value)));
    Some((
        name,
        tags.into_iter().collect(),
        fields.collect(),
        metric.timestamp,
    ))
}

fn owned(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Float(number) => Value::Float(*number),
        Value::Int(number) => Value::Int(*number),
        Value::Uint(number) => Value::Uint(*number),
        Value::Bool(flag) => Value::Bool(*flag),
        Value::Text(text) => Value::Text(Cow::Owned(text.to_string())),
    }
}

fn metric(
    name: &str,
    tags: &[(&str, &str)],
    fields: &[(&str, Value<'static>)],
    timestamp: i64,
) -> Plain {
    (
        name.to_owned(),
        tags.iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        fields
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect(),
        timestamp,
    )
}

fn text(value: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(value))
}

#[track_caller]
fn check(input: &str, expected: &[Plain]) {
    let parsed = influx(input.as_bytes());
    let plain: Vec<_> = parsed.iter().filter_map(plain).collect();
    assert_eq!(plain, expected, "{input:?} gave {parsed:?}");
    assert_eq!(parsed.len(), expected.len(), "{input:?} gave {parsed:?}");
}

#[track_caller]
fn check_bad(input: &str, reason: Reason) {
    match influx(input.as_bytes()).as_slice() {
        [Content::Unparsed(unparsed)] => {
            assert_eq!(
                (unparsed.reason, unparsed.body),
                (reason, input.as_bytes()),
                "{input:?}"
            );
        }
        other => panic!("{input:?} gave {other:?}"),
    }
}

#[test]
fn line_protocol_as_telegraf_writes_it() {
    check(
        "cpu,cpu=cpu0,host=loaner usage_idle=68.7,usage_user=3i 1568760922000000000",
        &[metric(
            "cpu",
            &[("cpu", "cpu0"), ("host", "loaner")],
            &[
                ("usage_idle", Value::Float(68.7)),
                ("usage_user", Value::Int(3)),
            ],
            1_568_760_922_000_000_000,
        )],
    );
    check(
        "cpu value=42",
        &[metric(
            "cpu",
            &[],
            &[("value", Value::Float(42.0))],
            DEFAULT_NS,
        )],
    );
    check(
        "cpu value=-1e3,b=.5,c=1. -5",
        &[metric(
            "cpu",
            &[],
            &[
                ("value", Value::Float(-1000.0)),
                ("b", Value::Float(0.5)),
                ("c", Value::Float(1.0)),
            ],
            -5,
        )],
    );
    check(
        "cpu a=t,b=False,c=TRUE,d=18446744073709551615u,e=-9223372036854775808i",
        &[metric(
            "cpu",
            &[],
            &[
                ("a", Value::Bool(true)),
                ("b", Value::Bool(false)),
                ("c", Value::Bool(true)),
                ("d", Value::Uint(u64::MAX)),
                ("e", Value::Int(i64::MIN)),
            ],
            DEFAULT_NS,
        )],
    );
}

#[test]
fn escapes_and_quoted_strings() {
    check(
        r"a\ b\,c,k\=1=v\ 2 f\,x=1 7",
        &[metric(
            "a b,c",
            &[("k=1", "v 2")],
            &[("f,x", Value::Float(1.0))],
            7,
        )],
    );
    check(
        r#"m s="a, \"b\" = c \\ \n" 7"#,
        &[metric("m", &[], &[("s", text(r#"a, "b" = c \ \n"#))], 7)],
    );
    check(
        "m s=\"two\nlines\",t=\"\" 7\nn v=1 8",
        &[
            metric("m", &[], &[("s", text("two\nlines")), ("t", text(""))], 7),
            metric("n", &[], &[("v", Value::Float(1.0))], 8),
        ],
    );
    check(
        r"m,path=C:\Windows v=1 7",
        &[metric(
            "m",
            &[("path", r"C:\Windows")],
            &[("v", Value::Float(1.0))],
            7,
        )],
    );
    check(
        "온도,도시=서울 값=21.5 7",
        &[metric(
            "온도",
            &[("도시", "서울")],
            &[("값", Value::Float(21.5))],
            7,
        )],
    );
}

#[test]
fn several_lines_comments_and_blanks() {
    check(
        "# a comment\n\r\n  cpu v=1 1  \r\n\n#cpu v=9\ncpu v=2 2\n   ",
        &[
            metric("cpu", &[], &[("v", Value::Float(1.0))], 1),
            metric("cpu", &[], &[("v", Value::Float(2.0))], 2),
        ],
    );
    check("", &[]);
    check(
        "cpu\tv=1\t5",
        &[metric("cpu", &[], &[("v", Value::Float(1.0))], 5)],
    );
}

#[test]
fn a_bad_line_says_why_and_leaves_its_neighbours_alone() {
    check_bad(",a=b v=1", Reason::Name);
    check_bad("cpu", Reason::Field);
    check_bad("cpu,a v=1", Reason::Tag);
    check_bad("cpu,a= v=1", Reason::Tag);
    check_bad("cpu,=a v=1", Reason::Tag);
    check_bad("cpu,a=b=c v=1", Reason::Tag);
    check_bad("cpu v", Reason::Field);
    check_bad("cpu v=", Reason::Field);
    check_bad("cpu v=1,", Reason::Field);
    check_bad("cpu v=NaN", Reason::Field);
    check_bad("cpu v=+inf", Reason::Field);
    check_bad("cpu v=0x1f", Reason::Field);
    check_bad("cpu v=-i", Reason::Field);
    check_bad("cpu v=1.5i", Reason::Field);
    check_bad("cpu v=-1u", Reason::Field);
    check_bad("cpu v=\"open", Reason::Field);
    check_bad("cpu v=\"a\"b", Reason::Field);
    check_bad("cpu v=1e999", Reason::Range);
    check_bad("cpu v=9223372036854775808i", Reason::Range);
    check_bad("cpu v=1 soon", Reason::Timestamp);
    check_bad("cpu v=1 12 13", Reason::Timestamp);
    check_bad("cpu v=1 99999999999999999999", Reason::Timestamp);
    let mixed = influx(b"a v=1 1\nb v=\"x\"y\r\n\xff v=1\nc v=1 3");
    assert_eq!(
        mixed
            .iter()
            .filter_map(plain)
            .map(|m| m.0)
            .collect::<Vec<_>>(),
        ["a", "c"]
    );
    let bad: Vec<_> = mixed
        .iter()
        .filter_map(|content| match content {
            Content::Unparsed(unparsed) => Some((unparsed.reason, unparsed.body)),
            _ => None,
        })
        .collect();
    assert_eq!(
        bad,
        [
            (Reason::Field, b"b v=\"x\"y".as_slice()),
            (Reason::NotUtf8, b"\xff v=1")
        ]
    );
}

#[test]
fn telegraf_json_single_and_batch() {
    let one = br#"{"fields":{"field_1":30,"load":0.5,"up":true,"s":"x","gone":null},"name":"docker","tags":{"host":"raynor"},"timestamp":1458229140}"#;
    let expected = metric(
        "docker",
        &[("host", "raynor")],
        &[
            ("field_1", Value::Float(30.0)),
            ("load", Value::Float(0.5)),
            ("s", text("x")),
            ("up", Value::Bool(true)),
        ],
        1_458_229_140_000_000_000,
    );
    assert_eq!(
        json(one).iter().filter_map(plain).next(),
        Some(expected.clone())
    );
    let one = String::from_utf8_lossy(one);
    let batch = format!("{{\"metrics\":[{one},{one}]}}");
    let batch: Vec<_> = json(batch.as_bytes()).iter().filter_map(plain).collect();
    assert_eq!(batch, [expected.clone(), expected]);
    assert_eq!(json(br#"{"metrics":[]}"#), []);
}

#[test]
fn telegraf_json_times_of_every_unit() {
    let time = |text: &str| {
        let document = format!(r#"{{"name":"m","fields":{{"v":1}},"timestamp":{text}}}"#);
        json(document.as_bytes())
            .iter()
            .filter_map(plain)
            .map(|m| m.3)
            .next()
    };
    let expected = Some(1_458_229_140_000_000_000);
    assert_eq!(time("1458229140"), expected);
    assert_eq!(time("1458229140000"), expected);
    assert_eq!(time("1458229140000000"), expected);
    assert_eq!(time("1458229140000000000"), expected);
    assert_eq!(time("\"2016-03-17T15:39:00Z\""), expected);
    assert_eq!(time("1458229140.5"), Some(1_458_229_140_500_000_000));
    assert_eq!(time("null"), Some(DEFAULT_NS));
    assert_eq!(time("\"Thursday\""), None);
    assert_eq!(time("[]"), None);
}

#[test]
fn other_json_is_kept_with_its_reason() {
    for (input, reason) in [
        ("{\"name\":1}", Reason::Shape),
        ("{\"name\":\"m\"}", Reason::Shape),
        ("{\"metrics\":{}}", Reason::Shape),
        ("{\"metrics\":[1]}", Reason::Shape),
        ("{\"name\":\"\",\"fields\":{\"a\":1}}", Reason::Name),
        ("{\"name\":\"m\",\"fields\":{}}", Reason::NoFields),
        ("{\"name\":\"m\",\"fields\":{\"a\":[]}}", Reason::Field),
        (
            "{\"name\":\"m\",\"tags\":[],\"fields\":{\"a\":1}}",
            Reason::Tag,
        ),
        ("{\"name\":", Reason::Json),
    ] {
        let parsed = json(input.as_bytes());
        let expected = Content::Unparsed(Unparsed {
            reason,
            body: input.as_bytes(),
        });
        assert_eq!(parsed, [expected], "{input}");
    }
    let exact = json(br#"{"name":"m","fields":{"a":9007199254740993,"b":18446744073709551615,"c":-9007199254740993}}"#);
    let fields = exact.iter().filter_map(plain).next().unwrap().2;
    assert_eq!(fields[0].1, Value::Int(9_007_199_254_740_993));
    assert_eq!(fields[1].1, Value::Uint(u64::MAX));
    assert_eq!(fields[2].1, Value::Int(-9_007_199_254_740_993));
}

#[test]
fn logstash_events_give_their_fields() {
    let body = br#"{"@timestamp":"2019-11-03T15:04:05.123+01:00","@version":"1","message":"user \"7\" found","logger_name":"org.company.Users","thread_name":"main","level":"DEBUG","level_value":10000,"service":"user-service","mdc":{"a":[1,{"b":null}]},"n":1.5}"#;
    let event = logstash::parse(body).unwrap();
    assert_eq!(event.timestamp, Some(1_572_789_845_123));
    assert_eq!(event.level, Some(Level::Debug));
    assert_eq!(event.logger.as_deref(), Some("org.company.Users"));
    assert_eq!(event.thread.as_deref(), Some("main"));
    assert_eq!(event.message.as_deref(), Some("user \"7\" found"));
    assert_eq!(event.service.as_deref(), Some("user-service"));
    let unix =
        logstash::parse(br#"{"@timestamp":1572789845123,"message":"x","level":30}"#).unwrap();
    assert_eq!(
        (unix.timestamp, unix.level),
        (Some(1_572_789_845_123), None)
    );
    assert!(logstash::parse(br#"{"a":1}"#).is_none());
    assert!(logstash::parse(br#"{"message":"x""#).is_none());
    assert!(logstash::parse(b"plain").is_none());
}

#[test]
fn levels_of_raw_lines() {
    let level = |line: &str| level::in_line(line.as_bytes());
    assert_eq!(
        level("081109 203615 148 INFO dfs.DataNode: x"),
        Some(Level::Info)
    );
    assert_eq!(
        level("[Sun Dec 04 04:47:44 2005] [error] mod_jk"),
        Some(Level::Error)
    );
    assert_eq!(
        level("[Sun Dec 04 04:47:44 2005] [notice] workerEnv"),
        Some(Level::Notice)
    );
    assert_eq!(
        level("2015-07-29 17:41:44,747 - WARN  [main:Q@1] - x"),
        Some(Level::Warn)
    );
    assert_eq!(level("sshd[24200]: an error in reverse mapping"), None);
    assert_eq!(level("MY_ERROR_CODE"), None);
    assert_eq!(level(""), None);
    assert_eq!(level(&format!("{} ERROR", "x".repeat(200))), None);
}

fn word() -> impl Strategy<Value = String> {
    // Any text but line ends, other blanks, and backslashes, which line protocol cannot carry
    // unambiguously at the end of a name.
    "[^\\p{Cc}\\\\]{1,12}".prop_filter("a comment", |word| !word.starts_with('#'))
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(Value::Float),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::Uint),
        any::<bool>().prop_map(Value::Bool),
        ".{0,20}".prop_map(|text| Value::Text(Cow::Owned(text))),
    ]
}

fn escape(text: &str, special: &str) -> String {
    text.chars()
        .flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

fn write(
    name: &str,
    tags: &BTreeMap<String, String>,
    fields: &[(String, Value<'static>)],
    timestamp: i64,
) -> String {
    let mut line = escape(name, ", ");
    for (key, value) in tags {
        line += &format!(",{}={}", escape(key, ",= "), escape(value, ",= "));
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Value::Float(number) => format!("{number}"),
                Value::Int(number) => format!("{number}i"),
                Value::Uint(number) => format!("{number}u"),
                Value::Bool(flag) => flag.to_string(),
                Value::Text(text) => format!("\"{}\"", escape(text, "\"\\")),
            };
            format!("{}={value}", escape(key, ",= "))
        })
        .collect();
    format!("{line} {} {timestamp}", fields.join(","))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        name in word(),
        tags in proptest::collection::btree_map(word(), word(), 0..4),
        fields in proptest::collection::vec((word(), value()), 1..5),
        timestamp in any::<i64>(),
    ) {
        let line = write(&name, &tags, &fields, timestamp);
        let lines = format!("{line}\n{line}\r\n");
        let parsed: Vec<_> = influx(lines.as_bytes()).iter().filter_map(plain).collect();
        let tags: Vec<_> = tags.into_iter().collect();
        let expected = (name, tags, fields, timestamp);
        prop_assert_eq!(parsed, vec![expected.clone(), expected], "{}", line);
    }

    #[test]
    fn no_input_is_lost_or_panics(input in proptest::collection::vec(
        prop_oneof![any::<u8>(), proptest::sample::select(b" ,=\\\"\n#i1a{}[]:".as_slice())],
        0..200,
    )) {
        let visible = |bytes: &[u8]| bytes.iter().any(|byte| !byte.is_ascii_whitespace() && *byte != 0x0b);
        let comments = input.split(|byte| *byte == b'\n').all(|line| {
            line.trim_ascii_start().first().is_none_or(|first| *first == b'#') || !visible(line)
        });
        prop_assert!(comments || !influx(&input).is_empty());
        let _json = json(&input);
        let _event = logstash::parse(&input);
        let _level = level::in_line(&input);
        let record = Received {
            topic: Arc::from("t"), partition: 0, offset: 0, timestamp: i64::MAX,
            value: Some(Bytes::from(input.clone())), origin: Some(Bytes::from(input.clone())),
            position: Some(Bytes::from(input.clone())), host: Some(Bytes::from(input.clone())),
            path: Some(Bytes::from(input)),
        };
        let mut rows = Vec::new();
        transform(TopicKind::Metrics, &record, &mut rows);
        transform(TopicKind::Logs, &record, &mut rows);
    }

    #[test]
    fn noisy_lines_are_all_accounted_for(
        lines in proptest::collection::vec("[a-c,= \\\\\"1i.#-]{0,20}", 0..8)
    ) {
        // Every byte is in a metric, an unparsed line, a comment or white space: what the emitted
        // pieces and comments do not cover is blank.
        let text = lines.join("\n");
        let mut bad = 0;
        for content in influx(text.as_bytes()) {
            if let Content::Unparsed(unparsed) = content {
                prop_assert!(!unparsed.body.is_empty());
                bad += 1;
            }
        }
        prop_assert!(bad <= lines.len());
    }
}
