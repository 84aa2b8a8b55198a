//! The command line says what it can do and ends with the right code.

use std::process::{Command, Output};

fn logway(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_logway"))
        .args(args)
        .output()
        .expect("logway starts")
}

#[test]
fn help_names_every_command() {
    let output = logway(&["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for command in [
        "up",
        "broker",
        "agent",
        "pipeline",
        "topics",
        "produce",
        "consume",
        "groups",
        "configs",
        "offsets",
        "transactions",
        "cluster",
        "bench",
        "completions",
        "install-kafka-tools",
    ] {
        assert!(
            text.contains(&format!("  {command} ")),
            "no `{command}` in:\n{text}"
        );
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &["nonsense"][..],
        &["up", "--no-such-flag"],
        &["topics", "create"],
    ] {
        let output = logway(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "results only on standard output");
    }
}

#[test]
fn a_missing_settings_file_is_named() {
    let output = logway(&["broker", "--config", "/no/such/file.toml"]);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("/no/such/file.toml"), "{text}");
    assert_eq!(text.lines().count(), 1, "one line: {text}");
}

#[test]
fn kafkas_names_are_links_that_behave_as_kafkas_tools() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    // A second time replaces the links of the first.
    for _ in 0..2 {
        assert!(logway(&["install-kafka-tools", path]).status.success());
    }
    let tool = |name: &str, args: &[&str]| {
        Command::new(folder.path().join(name))
            .args(args)
            .output()
            .expect("the tool starts")
    };
    for name in ["kafka-topics.sh", "kafka-configs", "kafka-transactions.sh"] {
        let output = tool(name, &["--version"]);
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert_eq!(output.stdout, b"4.3.1\n", "{name}");
    }
    let output = tool("kafka-topics.sh", &["--list", "--frobnicate"]);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.starts_with("frobnicate is not a recognized option\n"),
        "{text}"
    );
}

#[test]
fn a_profile_names_the_brokers_and_one_that_is_missing_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cli.toml");
    std::fs::write(&file, "[profiles.home]\nbootstrap = [\"no port\"]\n").expect("a file");
    let topics = |profile: &str| {
        Command::new(env!("CARGO_BIN_EXE_logway"))
            .args(["topics", "--list", "--profile", profile])
            .env("LOGWAY_CLI_CONFIG", &file)
            .env_remove("LOGWAY_BOOTSTRAP")
            .output()
            .expect("logway starts")
    };
    let output = topics("away");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("[profiles.away]"), "{text}");
    // The profile is used: its address is the one that is refused.
    let output = topics("home");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no port"), "{text}");
}
