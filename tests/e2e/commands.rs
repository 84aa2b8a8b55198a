//! `logway broker`, `topics`, `produce`, `consume`, `groups`, and `logway agent --once`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use harness::binary;

use crate::broker;

/// Runs one command to its end with `input` on standard input.
fn logway(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary("logway"))
        .args(args)
        .env("LOGWAY_LOG", "warn")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("logway starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    child.wait_with_output().expect("logway ends")
}

fn ok(args: &[&str], input: &str) -> String {
    let output = logway(args, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "logway {args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_topic_is_made_filled_read_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    ok(&["topics", "create", "GameLog", "-p", "4", "-b", &at], "");
    let listed = ok(&["topics", "list", "-b", &at], "");
    assert!(listed.contains("GameLog"), "{listed}");
    let lines: String = (0..100)
        .map(|i| format!("key{}:value {i}\n", i % 7))
        .collect();
    ok(&["produce", "GameLog", "-b", &at, "-K", ":"], &lines);
    let read = ok(
        &[
            "consume", "GameLog", "-b", &at, "-e", "--format", "%k:%s\\n",
        ],
        "",
    );
    let mut expected: Vec<&str> = lines.lines().collect();
    let mut read: Vec<&str> = read.lines().collect();
    expected.sort_unstable();
    read.sort_unstable();
    assert_eq!(read, expected);
    let described = ok(
        &["topics", "describe", "GameLog", "-b", &at, "-o", "json"],
        "",
    );
    let described: serde_json::Value = serde_json::from_str(&described).expect("JSON");
    let total: i64 = described
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|p| p["next"].as_i64())
        .sum();
    assert_eq!(total, 100);
    ok(&["topics", "delete", "GameLog", "-b", &at], "");
    assert!(!ok(&["topics", "list", "-b", &at], "").contains("GameLog"));
    assert!(broker.stop().success());
}

#[test]
fn a_group_has_a_lag_and_can_be_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    ok(&["topics", "create", "t", "-p", "1", "-b", &at], "");
    ok(&["produce", "t", "-b", &at], "a\nb\nc\n");
    assert_eq!(
        ok(
            &["consume", "t", "-b", &at, "-g", "testgroup", "-n", "3"],
            ""
        ),
        "a\nb\nc\n"
    );
    ok(&["produce", "t", "-b", &at], "d\ne\n");
    let described = ok(
        &["groups", "describe", "testgroup", "-b", &at, "-o", "json"],
        "",
    );
    let described: serde_json::Value = serde_json::from_str(&described).expect("JSON");
    assert_eq!(described[0]["lag"], 2, "{described}");
    ok(
        &[
            "groups",
            "reset",
            "testgroup",
            "-t",
            "t",
            "--to",
            "earliest",
            "-b",
            &at,
        ],
        "",
    );
    let described = ok(
        &["groups", "describe", "testgroup", "-b", &at, "-o", "json"],
        "",
    );
    assert!(described.contains("\"lag\":5"), "{described}");
    assert!(ok(&["groups", "list", "-b", &at], "").contains("testgroup"));
    assert!(broker.stop().success());
}

#[test]
fn once_ships_what_is_there_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    let file = folder.path().join("app.log");
    std::fs::write(&file, "first\nsecond\nlast without newline").expect("a file");
    let state = folder.path().join("agent");
    for program in ["logway", "logway-agent"] {
        let state = state.join(program);
        let mut command = Command::new(binary(program));
        if program == "logway" {
            command.arg("agent");
        }
        let output = command
            .args(["--tail", file.to_str().expect("UTF-8"), "--bootstrap", &at])
            .args([
                "--topic",
                program,
                "--state-dir",
                state.to_str().expect("UTF-8"),
            ])
            .args(["--compression", "zstd", "--once"])
            .output()
            .expect("the agent runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {stderr}");
        let read = ok(&["consume", program, "-b", &at, "-e"], "");
        assert_eq!(read, "first\nsecond\nlast without newline\n", "{program}");
    }
    assert!(broker.stop().success());
}
