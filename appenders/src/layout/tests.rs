//! Golden outputs of both layouts, and that JSON is JSON whatever is logged.

#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests fail by panicking"
)]
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tracing::Level;

use super::{CustomValue, JsonLayout, Layout, PatternLayout, Scratch, civil::SecondCache};
use crate::event::{Context, Entry, FieldValue, FieldVisitor, Fields, Location, Moment, NoContext};

/// 2026-11-22T21:05:43.123456789Z.
const TIME: Moment = Moment {
    seconds: 1_795_381_543,
    nanos: 123_456_789,
};

type List<'a> = &'a [(&'static str, FieldValue<'a>)];

struct Given<'a>(List<'a>);

impl Fields for Given<'_> {
    fn visit(&self, visitor: &mut dyn FieldVisitor) {
        self.0
            .iter()
            .for_each(|(name, value)| visitor.field(name, *value));
    }
}

impl Context for Given<'_> {
    fn visit(&self, visitor: &mut dyn FieldVisitor) {
        Fields::visit(self, visitor);
    }
}

fn encode(layout: &Layout, level: Level, fields: List<'_>, context: List<'_>) -> String {
    let entry = Entry {
        time: TIME,
        level,
        logger: "user_service::api::users",
        thread: "tokio-rt-worker",
        location: Location {
            module: Some("user_service::api::users"),
            file: Some("src/api/users.rs"),
            line: Some(42),
        },
        fields: &Given(fields),
        context: &Given(context),
    };
    let mut scratch = Scratch::default();
    // Twice with the same buffers: nothing of the first may be left.
    layout.encode(&entry, &mut scratch);
    layout.encode(&entry, &mut scratch);
    String::from_utf8(std::mem::take(&mut scratch.out)).unwrap()
}

/// Checks the exact text, that it is JSON, and that no name stands twice.
fn json(fields: List<'_>, context: List<'_>, expected: Expect) {
    let text = encode(
        &Layout::Json(JsonLayout::default()),
        Level::INFO,
        fields,
        context,
    );
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for name in value.as_object().unwrap().keys() {
        let key = format!("{}:", serde_json::to_string(name).unwrap());
        assert_eq!(
            text.matches(&key).count(),
            1,
            "{name} stands once in {text}"
        );
    }
    let rest = text.split_once("\"level_value\":20000").unwrap().1;
    expected.assert_eq(rest);
}

fn pattern(pattern: &str, expected: Expect) {
    let message: List<'_> = &[
        ("message", FieldValue::Text("user loaded")),
        ("id", FieldValue::Unsigned(7)),
    ];
    let spans: List<'_> = &[
        ("request", FieldValue::Text("r-1")),
        ("user", FieldValue::Text("ada")),
    ];
    expected.assert_eq(&render(pattern, message, spans));
}

fn render(pattern: &str, fields: List<'_>, context: List<'_>) -> String {
    let custom = vec![("region", CustomValue::from("kr-1"))];
    let layout = PatternLayout::parse(pattern, Some("user-service"), custom).unwrap();
    encode(
        &Layout::Pattern(Box::new(layout)),
        Level::INFO,
        fields,
        context,
    )
}

fn refused(pattern: &str, expected: Expect) {
    let error = PatternLayout::parse(pattern, None, Vec::new()).unwrap_err();
    expected.assert_eq(&error.to_string());
}

#[derive(Debug)]
struct Failure(&'static str, Option<Box<Failure>>);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|inner| inner as _)
    }
}

fn failure() -> Failure {
    let inner = Failure("connection refused", None);
    let middle = Failure("connect to \"db\"", Some(Box::new(inner)));
    Failure("load user", Some(Box::new(middle)))
}

#[test]
fn whole_json_event() {
    let layout = JsonLayout {
        caller: true,
        custom: vec![("service", "user-service".into()), ("shard", 3.into())],
    };
    let fields: List<'_> = &[
        ("message", FieldValue::Text("user loaded")),
        ("id", FieldValue::Unsigned(7)),
    ];
    for (level, expected) in [
        (
            Level::TRACE,
            expect![[
                r#"{"@timestamp":"2026-11-22T21:05:43.123456Z","@version":"1","message":"user loaded","logger_name":"user_service::api::users","thread_name":"tokio-rt-worker","level":"TRACE","level_value":5000,"caller_class_name":"user_service::api::users","caller_file_name":"src/api/users.rs","caller_line_number":42,"id":7,"service":"user-service","shard":3}"#
            ]],
        ),
        (
            Level::ERROR,
            expect![[
                r#"{"@timestamp":"2026-11-22T21:05:43.123456Z","@version":"1","message":"user loaded","logger_name":"user_service::api::users","thread_name":"tokio-rt-worker","level":"ERROR","level_value":40000,"caller_class_name":"user_service::api::users","caller_file_name":"src/api/users.rs","caller_line_number":42,"id":7,"service":"user-service","shard":3}"#
            ]],
        ),
    ] {
        let layout = Layout::Json(JsonLayout {
            caller: layout.caller,
            custom: layout.custom.clone(),
        });
        expected.assert_eq(&encode(&layout, level, fields, &[]));
    }
}

#[test]
fn level_values_are_logbacks() {
    for (level, value) in [
        (Level::TRACE, 5000),
        (Level::DEBUG, 10_000),
        (Level::INFO, 20_000),
        (Level::WARN, 30_000),
        (Level::ERROR, 40_000),
    ] {
        let text = encode(&Layout::Json(JsonLayout::default()), level, &[], &[]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["level_value"], value);
        assert_eq!(json["level"], level.as_str());
        assert_eq!(json["@version"], "1");
        assert_eq!(json["message"], "");
    }
}

#[test]
fn json_values() {
    json(
        &[
            ("yes", FieldValue::Bool(true)),
            ("minus", FieldValue::Signed(-7)),
            ("large", FieldValue::Unsigned(u128::from(u64::MAX))),
            ("huge", FieldValue::Unsigned(u128::MAX)),
            ("deep", FieldValue::Signed(i128::MIN)),
            ("half", FieldValue::Float(0.5)),
            ("one", FieldValue::Float(1.0)),
            ("big", FieldValue::Float(1e300)),
            ("nan", FieldValue::Float(f64::NAN)),
            ("inf", FieldValue::Float(f64::NEG_INFINITY)),
            ("shown", FieldValue::Shown(&Some("x\ty"))),
        ],
        &[],
        expect![[
            r#","yes":true,"minus":-7,"large":18446744073709551615,"huge":"340282366920938463463374607431768211455","deep":"-170141183460469231731687303715884105728","half":0.5,"one":1.0,"big":1e300,"nan":"NaN","inf":"-Infinity","shown":"Some(\"x\\ty\")"}"#
        ]],
    );
}

#[test]
fn json_escapes() {
    json(
        &[
            ("quote", FieldValue::Text("say \"hi\" \\ bye")),
            (
                "control",
                FieldValue::Text("a\nb\rc\td\u{8}e\u{c}f\u{0}g\u{1b}[1m\u{7f}"),
            ),
            ("beyond", FieldValue::Text("로그 🚀 \u{2028} \u{fffd}")),
            ("odd \"name\"\n", FieldValue::Bool(true)),
            ("bytes", FieldValue::Shown(&OsStr::from_bytes(b"caf\xe9"))),
        ],
        &[],
        expect![[
            r#","quote":"say \"hi\" \\ bye","control":"a\nb\rc\td\be\ff\u0000g\u001b[1m","beyond":"로그 🚀   �","odd \"name\"\n":true,"bytes":"\"caf\\xE9\""}"#
        ]],
    );
}

#[test]
fn json_names_stand_once() {
    json(
        &[
            ("id", FieldValue::Unsigned(1)),
            ("level", FieldValue::Text("mine")),
            ("_level", FieldValue::Text("also mine")),
            ("@timestamp", FieldValue::Text("never")),
        ],
        &[
            ("id", FieldValue::Unsigned(2)),
            ("user", FieldValue::Text("inner")),
            ("user", FieldValue::Text("outer")),
            ("message", FieldValue::Text("of a span")),
        ],
        expect![[
            r#","id":1,"_level":"mine","_@timestamp":"never","user":"inner","_message":"of a span"}"#
        ]],
    );
}

#[test]
fn json_errors_with_their_causes() {
    let error = failure();
    json(
        &[("error", FieldValue::Error(&error))],
        &[],
        expect![[
            r#","stack_trace":"load user\nCaused by: connect to \"db\"\nCaused by: connection refused","error":"load user"}"#
        ]],
    );
}

#[test]
fn patterns_as_in_logback() {
    pattern(
        "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX, UTC} [%thread] %-5level %logger{36} - %msg%n",
        expect![
            "2026-11-22T21:05:43.123Z [tokio-rt-worker] INFO  user_service::api::users - user loaded id=7"
        ],
    );
    pattern(
        "%d{ISO8601,Asia/Seoul} %date{HH:mm:ss,SSS} %d{\"dd MMM yyyy, EEEE\", UTC}",
        expect!["2026-11-23 06:05:43,123 21:05:43,123 22 Nov 2026, Sunday"],
    );
    pattern(
        "%-5p|%5le|%.2level|%.-2level|%7.7level|%-7.3level|%07level",
        expect!["INFO | INFO|FO|IN|   INFO|NFO    |000INFO"],
    );
    pattern(
        "%logger|%lo{0}|%c{10}|%logger{20}|%logger{99}|%.10logger|%.-10logger",
        expect![
            "user_service::api::users|users|u::a::users|u::api::users|user_service::api::users|api::users|user_servi"
        ],
    );
    pattern(
        "%C{0} %M %F:%L %caller",
        expect![
            "users users src/api/users.rs:42 Caller+0	 at user_service::api::users (src/api/users.rs:42)"
        ],
    );
    pattern(
        "%X{request} %X{none:-nobody} %mdc{none} {%X} %kvp %kvp{NONE} %kvp{SINGLE}",
        expect![[r#"r-1 nobody  {request=r-1, user=ada} id="7" id=7 id='7'"#]],
    );
    pattern(
        "%cn %contextName %property{region} %property{zone:-a}",
        expect!["user-service user-service kr-1 a"],
    );
    pattern(
        "%replace(%msg %X{user}){'(\\w+) (\\w+)', '$2_$1'} %replace(%logger){'::', '.'}",
        expect!["loaded_user id=ada_7 user_service.api.users"],
    );
    pattern(
        "%-20(%level %thread)|%30(%level %thread)|%.8(%level %thread)",
        expect!["INFO tokio-rt-worker|          INFO tokio-rt-worker|t-worker"],
    );
    pattern(
        "100\\% \\(x\\) %level\\_%thread a(b) )",
        expect!["100% (x) INFOtokio-rt-worker a(b) )"],
    );
    pattern(
        "%highlight(%level) %cyan(%logger{0}) %boldRed(!)",
        expect!["[34mINFO[0;39m [36musers[0;39m [1;31m![0;39m"],
    );
    pattern(
        "%prefix(%level %logger{0} %X{user}) %epoch %epoch{seconds} %micros %sn",
        expect!["level=INFO logger=users user=ada 1795381543123 1795381543 456 1"],
    );
}

#[test]
fn dates_as_in_java() {
    for (pattern, expected) in [
        (
            "y yy yyyy M MM MMM MMMM d dd D",
            "2026 26 2026 11 11 Nov November 22 22 326",
        ),
        ("H k K h a m s", "21 21 9 9 PM 5 43"),
        (
            "S SSS SSSSSS SSSSSSSSS SSSSSSSSSSS n",
            "1 123 123456 123456789 12345678900 123456789",
        ),
        ("E EEEE e 'it''s' ''", "Sun Sunday 7 it's '"),
        (
            "X XX XXX x xxx Z ZZZZ V",
            "Z Z Z +00 +00:00 +0000 GMT+00:00 UTC",
        ),
    ] {
        let text = render(&format!("%d{{\"{pattern}\", UTC}}"), &[], &[]);
        assert_eq!(text, expected, "{pattern}");
    }
    for (zone, expected) in [
        ("Asia/Seoul", "06:05 +09:00"),
        ("GMT-3:30", "17:35 -03:30"),
        ("+01", "22:05 +01:00"),
    ] {
        assert_eq!(
            render(&format!("%d{{HH:mm XXX, {zone}}}"), &[], &[]),
            expected,
            "{zone}"
        );
    }
}

#[test]
fn pattern_errors_of_the_application() {
    let error = failure();
    let fields: List<'_> = &[
        ("message", FieldValue::Text("no")),
        ("error", FieldValue::Error(&error)),
    ];
    expect![[r#"
        INFO no error=load user
        load user
        Caused by: connect to "db"
        Caused by: connection refused"#]]
    .assert_eq(&render("%level %msg%n", fields, &[]));
    expect![[r#"
        INFO no error="load user"
        load user"#]]
    .assert_eq(&render("%level %msg %kvp%n%ex{short}", fields, &[]));
    expect!["INFO no error=load user"].assert_eq(&render(
        "%level %message%nopex %kvp{NONE}",
        fields,
        &[],
    ));
}

#[test]
fn patterns_that_are_refused() {
    refused(
        "%d{yyyy-MM-ddTHH:mm} %msg",
        expect![
            "at character 1 of `%d{yyyy-MM-ddTHH:mm} %msg`: `T` in the date `yyyy-MM-ddTHH:mm` is not a date letter (yuMLdHhkKmsSnaEeDXxZzV)"
        ],
    );
    refused(
        "%d{HH:mm, Mars/Olympus}",
        expect![
            "at character 1 of `%d{HH:mm, Mars/Olympus}`: `Mars/Olympus` is not a time zone: write Asia/Seoul, UTC, or an offset such as GMT+9"
        ],
    );
    refused(
        "로그 %mesage%n",
        expect!["at character 4 of `로그 %mesage%n`: `%mesage` is not a conversion word"],
    );
    refused(
        "%(%msg",
        expect!["at character 3 of `%(%msg`: this group is not closed"],
    );
    refused(
        "%d{HH:mm",
        expect!["at character 1 of `%d{HH:mm`: its option is not closed by }"],
    );
    refused(
        "100% sure",
        expect!["at character 4 of `100% sure`: a conversion word must follow"],
    );
    refused(
        "%replace(%msg){'[', 'x'}",
        expect![[r#"
        at character 1 of `%replace(%msg){'[', 'x'}`: `[` is not a regular expression: regex parse error:
            [
            ^
        error: unclosed character class"#]],
    );
    refused(
        "%-5.level",
        expect!["at character 1 of `%-5.level`: a number must follow the dot"],
    );
    refused(
        "%99999level",
        expect!["at character 1 of `%99999level`: a width is at most 10000"],
    );
    refused(
        "%logger{x}",
        expect!["at character 1 of `%logger{x}`: `x` is not a length"],
    );
}

#[test]
fn widths_count_characters() {
    let fields: List<'_> = &[("message", FieldValue::Text("로그웨이"))];
    assert_eq!(
        render("%6msg|%-6msg|%.2msg|%.-2msg", fields, &[]),
        "  로그웨이|로그웨이  |웨이|로그"
    );
}

#[test]
fn no_context_is_empty() {
    struct Never;
    impl FieldVisitor for Never {
        fn field(&mut self, name: &'static str, _: FieldValue<'_>) {
            panic!("{name} came from nowhere");
        }
    }
    NoContext.visit(&mut Never);
}

proptest! {
    #[test]
    fn any_text_survives_json(text in any::<String>(), more in any::<String>()) {
        let fields: List<'_> = &[("message", FieldValue::Text(&text)), ("more", FieldValue::Shown(&more))];
        let line = encode(&Layout::Json(JsonLayout::default()), Level::INFO, fields, &[]);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(json["message"].as_str().unwrap(), text);
        prop_assert_eq!(json["more"].as_str().unwrap(), format!("{more:?}"));
    }

    #[test]
    fn any_second_agrees_with_the_calendar(seconds in -62_135_596_800_i64..253_402_300_799, nanos in 0_u32..1_000_000_000) {
        let mut out = Vec::new();
        SecondCache::default().write(Moment { seconds, nanos }, &mut out);
        let time = jiff::Timestamp::new(seconds, 0).unwrap();
        let expected = format!("{}.{:06}Z", time.strftime("%Y-%m-%dT%H:%M:%S"), nanos / 1000);
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn any_pattern_parses_or_says_why(text in "[%a-zA-Z0-9(){}:,.'\" \\\\$-]{0,40}") {
        if let Ok(layout) = PatternLayout::parse(&text, None, Vec::new()) {
            let fields: List<'_> = &[("message", FieldValue::Text("x"))];
            encode(&Layout::Pattern(Box::new(layout)), Level::WARN, fields, &[]);
        }
    }
}
