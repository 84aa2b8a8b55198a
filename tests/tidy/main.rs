//! The house rules that a compiler does not check (STYLE.md), over every file of the repository.
//!
//! Each rule is a function from a file to its offences, and is seen to fail on a planted case.

mod edges;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// What is wrong in one file, in words that say what to do.
#[derive(Debug)]
struct Offence {
    path: String,
    what: String,
}

impl std::fmt::Display for Offence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root")
}

/// Files below `folder` with this ending, build output left out; paths relative to the root.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() {
            if !matches!(name, "target" | "artifacts" | "corpus") && !name.starts_with('.') {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(
                path.strip_prefix(root())
                    .expect("below the root")
                    .to_owned(),
            );
        }
    }
}

fn check_all(ending: &str, rule: impl Fn(&str, &str) -> Vec<Offence>) {
    let mut found = Vec::new();
    files(root(), ending, &mut found);
    assert!(
        found.len() > 5,
        "only {} {ending} files found: is the root right?",
        found.len()
    );
    let offences: Vec<String> = found
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(root().join(path)).expect("the file can be read");
            rule(&path.to_string_lossy(), &text)
        })
        .map(|offence| offence.to_string())
        .collect();
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn every_source_file_follows_the_house_rules() {
    check_all(".rs", source::offences);
}

#[test]
fn every_room_uses_only_the_rooms_it_may_use() {
    check_all("Cargo.toml", edges::manifest_offences);
    check_all(".rs", edges::source_offences);
}
