//! What of tracing's events and spans arrives, and how.

use std::{error::Error, fmt};

use expect_test::{Expect, expect};
use tracing::{Level, debug, error, field, info, info_span, span, warn};
use tracing_subscriber::prelude::*;

use super::broker::FakeBroker;
use crate::Builder;

/// Runs the code under a layer and compares the records' values, timestamps blanked.
fn check(builder: Builder, code: impl FnOnce(), expected: Expect) {
    let broker = FakeBroker::new(true, 1 << 20);
    let (layer, guard) = broker.start(builder);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), code);
    let report = guard.shutdown(super::road::LONG);
    assert!(report.is_complete(), "{report:?}");
    let lines: Vec<String> = broker
        .lines()
        .into_iter()
        .map(|line| blank(line.value))
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

/// Takes the time out of a JSON line after checking that it is one, and the thread's name.
fn blank(line: String) -> String {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(&line) else {
        return line;
    };
    let time = json["@timestamp"].as_str().unwrap();
    let parsed: jiff::Timestamp = time.parse().unwrap();
    assert!(parsed.as_second() > 1_700_000_000);
    let thread = json["thread_name"].as_str().unwrap();
    assert_eq!(thread, std::thread::current().name().unwrap());
    line.replace(time, "TIME").replace(thread, "THREAD")
}

fn json() -> Builder {
    crate::layer("unused:1")
}

#[derive(Debug)]
struct Outer(fmt::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer failed")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn events_with_their_fields() {
    check(
        json().service("user-service").custom_field("build", 7),
        || {
            info!("plain");
            info!(
                user = "ada",
                id = 7_u64,
                share = 0.25,
                admin = true,
                "signed in"
            );
            debug!(who = ?Some("x"), shown = %"y", "debug and display");
            warn!(target: "elsewhere", "{} of {}", 1, 2);
            info!(only = "fields");
            let huge = u128::MAX;
            info!(huge, nan = f64::NAN, "numbers");
        },
        expect![[r#"
            {"@timestamp":"TIME","@version":"1","message":"plain","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"build":7,"service":"user-service"}
            {"@timestamp":"TIME","@version":"1","message":"signed in","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"user":"ada","id":7,"share":0.25,"admin":true,"build":7,"service":"user-service"}
            {"@timestamp":"TIME","@version":"1","message":"debug and display","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"DEBUG","level_value":10000,"who":"Some(\"x\")","shown":"y","build":7,"service":"user-service"}
            {"@timestamp":"TIME","@version":"1","message":"1 of 2","logger_name":"elsewhere","thread_name":"THREAD","level":"WARN","level_value":30000,"build":7,"service":"user-service"}
            {"@timestamp":"TIME","@version":"1","message":"","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"only":"fields","build":7,"service":"user-service"}
            {"@timestamp":"TIME","@version":"1","message":"numbers","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"huge":"340282366920938463463374607431768211455","nan":"NaN","build":7,"service":"user-service"}"#]],
    );
}

#[test]
fn errors_with_their_sources() {
    check(
        json(),
        || {
            let failure = Outer(fmt::Error);
            error!(error = &failure as &(dyn Error + 'static), "no");
        },
        expect![[
            r#"{"@timestamp":"TIME","@version":"1","message":"no","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"ERROR","level_value":40000,"stack_trace":"outer failed\nCaused by: an error occurred when formatting an argument","error":"outer failed"}"#
        ]],
    );
}

#[test]
fn spans_flattened_and_last_value_wins() {
    check(
        json(),
        || {
            let outer = info_span!("request", id = "r-1", user = field::Empty, depth = 1);
            let _outer = outer.enter();
            outer.record("user", "nobody");
            info!("in one");
            let inner = span!(Level::DEBUG, "query", depth = 2, rows = field::Empty);
            outer.record("user", "ada");
            inner.in_scope(|| {
                inner.record("rows", 10);
                inner.record("rows", 20);
                info!(id = "of the event", "in two");
            });
            info!("in one again");
            info!(parent: None, "in none");
            info!(parent: &inner, "in the closed one");
        },
        expect![[r#"
            {"@timestamp":"TIME","@version":"1","message":"in one","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"id":"r-1","depth":1,"user":"nobody"}
            {"@timestamp":"TIME","@version":"1","message":"in two","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"id":"of the event","depth":2,"rows":20,"user":"ada"}
            {"@timestamp":"TIME","@version":"1","message":"in one again","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"id":"r-1","depth":1,"user":"ada"}
            {"@timestamp":"TIME","@version":"1","message":"in none","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000}
            {"@timestamp":"TIME","@version":"1","message":"in the closed one","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"depth":2,"rows":20,"id":"r-1","user":"ada"}"#]],
    );
}

#[test]
fn pattern_lines() {
    check(
        json()
            .service("user-service")
            .pattern("%-5level %logger{20} %X{id:--} - %msg%n"),
        || {
            let span = info_span!("request", id = "r-1");
            info!(user = "ada", "before");
            span.in_scope(|| warn!("within\ntwo lines"));
        },
        expect![[r#"
            INFO  l::tests::fields - - before user=ada
            WARN  l::tests::fields r-1 - within
            two lines"#]],
    );
}

#[test]
fn a_debug_that_logs_is_taken_in_too() {
    struct Chatty;
    impl fmt::Debug for Chatty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let span = info_span!("inside", deep = ?"yes");
            span.in_scope(|| info!("while formatting"));
            f.write_str("chatty")
        }
    }
    // tracing itself keeps an event out that is logged inside another one when the subscriber is a
    // scoped one, so here it is the span that formats.
    check(
        json(),
        || {
            let span = info_span!("outer", value = ?Chatty);
            span.in_scope(|| info!("after"));
            span.record("value", field::debug(Chatty));
        },
        expect![[
            r#"{"@timestamp":"TIME","@version":"1","message":"after","logger_name":"logway_appenders::tests::fields","thread_name":"THREAD","level":"INFO","level_value":20000,"value":"chatty"}"#
        ]],
    );
}
