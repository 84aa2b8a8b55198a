//! Who may use whom: the table of ARCHITECTURE.md, checked in manifests and in sources.

use crate::Offence;

/// A room and the rooms it may use. `tests` may use all; a room that is not listed may use none.
const MAY_USE: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("journal", &["protocol"]),
    ("config", &[]),
    ("client", &["protocol"]),
    ("broker", &["protocol", "journal", "config"]),
    ("agent", &["protocol", "client", "config", "journal"]),
    ("appenders", &["protocol", "client"]),
    ("pipeline", &["protocol", "client", "config"]),
    (
        "cli",
        &[
            "protocol",
            "journal",
            "config",
            "client",
            "broker",
            "agent",
            "appenders",
            "pipeline",
        ],
    ),
    ("xtask", &["protocol", "client", "appenders"]),
];

/// Parts that decide without I/O: they name no runtime, no socket, no file and no clock.
const PURE: &[&str] = &[
    "protocol/src/",
    "broker/src/group/engine",
    "broker/src/transaction/engine",
];
const IMPURE: &[&str] = &[
    "tokio::",
    "std::net",
    "std::fs",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
];

fn offence(path: &str, what: String) -> Offence {
    Offence {
        path: path.to_owned(),
        what,
    }
}

fn forbidden(room: &str, used: &str) -> bool {
    if room == "tests" || room == used {
        return false;
    }
    let allowed = MAY_USE
        .iter()
        .find(|(name, _)| *name == room)
        .map_or(&[][..], |(_, uses)| uses);
    !allowed.contains(&used)
}

/// Rooms named in a manifest's dependencies that this room must not know.
pub(crate) fn manifest_offences(path: &str, text: &str) -> Vec<Offence> {
    let room = path.split('/').next().unwrap_or_default();
    if room == "Cargo.toml" {
        return Vec::new();
    }
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("logway-"))
        .filter(|rest| rest.contains(['.', '=']))
        .filter_map(|rest| rest.split(['.', ' ', '=']).next())
        .filter(|used| forbidden(room, used))
        .map(|used| {
            offence(
                path,
                format!("`{room}` must not depend on `{used}` (ARCHITECTURE.md)"),
            )
        })
        .collect()
}

/// Rooms named in a source file that its room must not know, and I/O in pure parts.
pub(crate) fn source_offences(path: &str, text: &str) -> Vec<Offence> {
    let room = path.split('/').next().unwrap_or_default();
    let test = path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/benches/");
    let mut offences = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        for (at, _) in code.match_indices("logway_") {
            let rest = &code[at + "logway_".len()..];
            let used: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
            let is_room = MAY_USE.iter().any(|(name, _)| *name == used);
            if is_room && rest[used.len()..].starts_with("::") && forbidden(room, &used) {
                offences.push(offence(
                    path,
                    format!("line {}: `{room}` must not use `{used}`", number + 1),
                ));
            }
        }
        if !test && PURE.iter().any(|part| path.starts_with(part)) {
            offences.extend(
                IMPURE
                    .iter()
                    .filter(|name| code.contains(**name))
                    .map(|name| {
                        offence(
                            path,
                            format!(
                                "line {}: `{name}` in a part that decides without I/O",
                                number + 1
                            ),
                        )
                    }),
            );
        }
    }
    offences
}

#[test]
fn a_planted_edge_is_found() {
    let manifest =
        "[dependencies]\nlogway-agent.workspace = true\nlogway-protocol.workspace = true\n";
    let found = manifest_offences("broker/Cargo.toml", manifest);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0]
            .what
            .contains("`broker` must not depend on `agent`")
    );
    assert!(manifest_offences("tests/Cargo.toml", manifest).is_empty());

    let source =
        "//! x\nuse logway_agent::Agent;\nuse logway_protocol::Text;\n// logway_pipeline::x\n";
    let found = source_offences("broker/src/lib.rs", source);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(source_offences("cli/src/main.rs", source).is_empty());
}

#[test]
fn planted_io_in_a_pure_part_is_found() {
    let source = "//! x\nuse tokio::time;\nlet now = std::time::Instant::now();\n";
    assert_eq!(
        source_offences("broker/src/group/engine/mod.rs", source).len(),
        2
    );
    assert_eq!(
        source_offences("broker/src/net/listener.rs", source).len(),
        0
    );
}
