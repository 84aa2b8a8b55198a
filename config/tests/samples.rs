//! The samples are the reference documents: they parse, hold the code's defaults and document every key.
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests fail by panicking"
)]

use std::{collections::BTreeMap, fs, path::Path};

use logway_config::{
    ConfigError,
    agent::{Agent, FileInput, HostMetrics},
    broker::Broker,
    pipeline::Pipeline,
};

fn sample(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn broker_sample_is_the_default() {
    assert_eq!(
        Broker::load(&sample("broker.toml")).unwrap(),
        Broker::default()
    );
}

#[test]
fn agent_sample_is_the_default_with_one_input_and_metrics() {
    let input = FileInput {
        paths: vec!["/var/log/*.log".to_owned()],
        ..FileInput::default()
    };
    let expected = Agent {
        inputs: vec![input],
        metrics: Some(HostMetrics::default()),
        ..Agent::default()
    };
    assert_eq!(Agent::load(&sample("agent.toml")).unwrap(), expected);
}

#[test]
fn pipeline_sample_is_the_default() {
    assert_eq!(
        Pipeline::load(&sample("pipeline.toml")).unwrap(),
        Pipeline::default()
    );
}

#[test]
fn defaults_are_in_their_own_ranges() {
    Broker::default().check().unwrap();
    Pipeline::default().check().unwrap();
    let agent = Agent {
        metrics: Some(HostMetrics::default()),
        ..Agent::default()
    };
    agent.check().unwrap();
}

/// The keys of a section, learned from the error that an unknown one gives.
fn known_keys(section: &str, load: impl Fn(&Path) -> Option<ConfigError>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.toml");
    fs::write(&file, format!("{section}\nno_such_key_at_all = 1\n")).unwrap();
    match load(&file) {
        Some(ConfigError::UnknownKey { known, .. }) => known,
        other => panic!("expected an unknown key, got {other:?}"),
    }
}

/// Section header -> its keys, those commented out included. Panics at a key that no comment explains.
fn documented(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    let mut explained = false;
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split_once(" = ").map(|(key, _)| key).filter(|key| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        if line.starts_with('[') {
            assert!(explained, "section {line} has no comment");
            section = line.to_owned();
            sections.entry(section.clone()).or_default();
        } else if let Some(key) = key {
            assert!(explained, "{key} has no comment");
            sections
                .entry(section.clone())
                .or_default()
                .push(key.to_owned());
        } else if line.starts_with('#') {
            explained = true;
        } else if line.is_empty() {
            explained = false;
        }
    }
    sections
}

fn check_documented(name: &str, load: impl Fn(&Path) -> Option<ConfigError>) {
    let text = fs::read_to_string(sample(name)).unwrap();
    let sections = documented(&text);
    for (section, keys) in &sections {
        let mut known = known_keys(section, &load);
        let inside = section.trim_matches(['[', ']']);
        known.retain(|key| {
            !sections.contains_key(&format!("[{key}]"))
                && !sections.contains_key(&format!("[{inside}.{key}]"))
                && !sections.contains_key(&format!("[[{key}]]"))
        });
        let mut keys = keys.clone();
        keys.sort();
        known.sort();
        assert_eq!(keys, known, "{name}, section {section:?}");
    }
}

#[test]
fn every_key_is_documented() {
    check_documented("broker.toml", |path| Broker::load(path).err());
    check_documented("agent.toml", |path| Agent::load(path).err());
    check_documented("pipeline.toml", |path| Pipeline::load(path).err());
}
