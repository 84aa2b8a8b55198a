//! Rules about one source file: size, header, name, and words that must not stand in it.

use crate::Offence;

/// Longest file, in lines. Tests and tables (`TABLES`) are excepted.
const LINES_MAX: usize = 500;
/// Files that are data: one line an entry.
const TABLES: &[&str] = &["protocol/src/error_code.rs", "protocol/src/api_key.rs"];
/// Module names that say nothing about what is inside.
const BANNED_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "types", "manager", "v2",
];

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Words that must not stand in code, and what to do instead.
fn banned_words() -> [(String, &'static str); 5] {
    [
        (["to", "do!("].concat(), "finish it"),
        (["unimple", "mented!("].concat(), "finish it"),
        (
            ["#[ig", "nore"].concat(),
            "a test that does not run is no test",
        ),
        (
            ["FIX", "ME"].concat(),
            "fix it or write it down as an issue",
        ),
        (["db", "g!("].concat(), "take it out"),
    ]
}

/// Everything wrong with one file.
pub(crate) fn offences(path: &str, text: &str) -> Vec<Offence> {
    let mut found = Vec::new();
    let mut report = |what: String| {
        found.push(Offence {
            path: path.to_owned(),
            what,
        });
    };
    let lines = text.lines().count();
    if lines > LINES_MAX && !is_test(path) && !TABLES.contains(&path) {
        report(format!("{lines} lines, {LINES_MAX} are allowed: split it"));
    }
    if !text.starts_with("//!") {
        report("begins without a `//!` header: its job, its invariant, its step".to_owned());
    }
    for part in path.trim_end_matches(".rs").split('/') {
        if BANNED_NAMES.contains(&part) {
            report(format!("`{part}` names no job: call it after what it does"));
        }
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.trim();
        if code.starts_with("//") {
            continue;
        }
        for (word, remedy) in banned_words() {
            if code.contains(&word) {
                report(format!("line {}: `{word}`: {remedy}", number + 1));
            }
        }
        if code.starts_with("matches!(") && code.ends_with(");") {
            report(format!(
                "line {}: a bare `matches!` checks nothing: assert it",
                number + 1
            ));
        }
    }
    found
}

fn what(path: &str, text: &str) -> String {
    offences(path, text)
        .into_iter()
        .map(|offence| offence.what)
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn a_planted_long_file_is_found() {
    let long = format!("//! x\n{}", "fn f() {}\n".repeat(LINES_MAX));
    assert!(what("agent/src/long.rs", &long).contains("501 lines"));
    assert_eq!(what("agent/tests/long.rs", &long), "");
    assert_eq!(what("agent/src/input/tests.rs", &long), "");
}

#[test]
fn a_planted_file_without_a_header_is_found() {
    assert!(what("agent/src/a.rs", "use std::fs;\n").contains("header"));
}

#[test]
fn a_planted_banned_name_is_found() {
    assert!(what("agent/src/utils.rs", "//! x\n").contains("`utils`"));
    assert!(what("agent/src/common/mod.rs", "//! x\n").contains("`common`"));
}

#[test]
fn planted_banned_words_are_found() {
    for (word, _) in banned_words() {
        let text = format!("//! x\nfn f() {{ {word} }}\n");
        assert!(what("agent/src/a.rs", &text).contains(&word), "{word}");
        let comment = format!("//! x\n// {word}\n");
        assert_eq!(what("agent/src/a.rs", &comment), "");
    }
}

#[test]
fn a_planted_bare_matches_is_found() {
    let bare = ["matches", "!(x, Some(_));"].concat();
    assert!(what("agent/src/a.rs", &format!("//! x\n    {bare}\n")).contains("bare"));
    assert_eq!(
        what("agent/src/a.rs", &format!("//! x\nassert!({bare}\n")),
        ""
    );
}
