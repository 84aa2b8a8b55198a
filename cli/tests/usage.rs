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
        "up", "broker", "agent", "pipeline", "topics", "produce", "consume", "groups",
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
