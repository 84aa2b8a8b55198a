//! The tools' options against those of the originals.

use std::collections::BTreeSet;
use std::path::Path;

use super::options::{self, EVERYWHERE, Opt};
use super::{TOOLS, Tool};

/// What the help texts of Kafka 4.3.1 list, beside --help and --version.
const ORIGINALS: [(&str, &str); 12] = [
    (
        "kafka-topics",
        "alter at-min-isr-partitions bootstrap-server command-config config create delete \
         delete-config describe exclude-internal if-exists if-not-exists list \
         partition-size-limit-per-response partitions replica-assignment replication-factor topic \
         topic-id topics-with-overrides unavailable-partitions under-min-isr-partitions \
         under-replicated-partitions",
    ),
    (
        "kafka-console-producer",
        "batch-size bootstrap-server command-config command-property compression-codec \
         line-reader max-block-ms max-memory-bytes max-partition-memory-bytes \
         message-send-max-retries metadata-expiry-ms producer-property producer.config property \
         reader-config reader-property request-required-acks request-timeout-ms retry-backoff-ms \
         socket-buffer-size sync timeout topic",
    ),
    (
        "kafka-console-consumer",
        "bootstrap-server command-config command-property consumer-property consumer.config \
         enable-systest-events formatter formatter-config formatter-property from-beginning group \
         include isolation-level key-deserializer max-messages offset partition property \
         skip-message-on-error timeout-ms topic value-deserializer",
    ),
    (
        "kafka-consumer-groups",
        "all-groups all-topics bootstrap-server by-duration command-config delete delete-offsets \
         describe dry-run execute export from-file group list members offsets reset-offsets \
         shift-by state timeout to-current to-datetime to-earliest to-latest to-offset topic type \
         validate-regex verbose",
    ),
    (
        "kafka-configs",
        "add-config add-config-file all alter bootstrap-controller bootstrap-server broker \
         broker-defaults broker-logger client client-defaults client-metrics command-config \
         delete-config describe entity-default entity-name entity-type group ip ip-defaults topic \
         user user-defaults",
    ),
    (
        "kafka-get-offsets",
        "bootstrap-server command-config exclude-internal-topics partitions time topic \
         topic-partitions",
    ),
    (
        "kafka-delete-records",
        "bootstrap-server command-config offset-json-file",
    ),
    (
        "kafka-producer-perf-test",
        "bootstrap-server command-config command-property num-records payload-delimiter \
         payload-file payload-monotonic print-metrics producer-props producer.config record-size \
         reporting-interval throughput topic transaction-duration-ms transactional-id \
         warmup-records",
    ),
    (
        "kafka-consumer-perf-test",
        "bootstrap-server command-config command-property consumer.config date-format fetch-size \
         from-latest group hide-header include messages num-records print-metrics \
         reporting-interval show-detailed-stats socket-buffer-size timeout topic",
    ),
    (
        "kafka-broker-api-versions",
        "bootstrap-server command-config",
    ),
    ("kafka-transactions", "bootstrap-server command-config"),
    (
        "kafka-log-dirs",
        "bootstrap-server broker-list command-config describe topic-list",
    ),
];

fn options_of(tool: &Tool) -> Vec<Opt> {
    let own = tool
        .options
        .iter()
        .flat_map(|options| options.iter().copied());
    own.chain(EVERYWHERE).collect()
}

/// Options that the tool does not have by their whole names.
fn unknown<'a>(tool: &Tool, wanted: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let options = options_of(tool);
    let is_known = |name: &&str| {
        let args = [format!("--{name}"), "1".to_owned()];
        options.iter().any(|option| option.name == *name)
            && options::parse(&options, &args).is_ok_and(|parsed| parsed.has(name))
    };
    wanted.into_iter().filter(|name| !is_known(name)).collect()
}

#[test]
fn every_option_of_the_originals_is_known() {
    assert_eq!(ORIGINALS.len(), TOOLS.len());
    for (name, wanted) in ORIGINALS {
        let tool = TOOLS.iter().find(|tool| tool.name == name).unwrap();
        assert_eq!(unknown(tool, wanted.split(' ')), [""; 0], "{name}");
    }
}

#[test]
fn options_have_one_name_each() {
    for tool in TOOLS {
        let options = options_of(tool);
        let names: BTreeSet<&str> = options.iter().map(|option| option.name).collect();
        assert_eq!(names.len(), options.len(), "{}", tool.name);
    }
}

#[test]
fn the_recorded_help_texts_list_nothing_else() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/kafka-cli/15-help.txt");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let told = format!(
            "NOT RUN: no help texts of Kafka's tools at {}\n",
            path.display()
        );
        std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
        assert!(std::env::var_os("LOGWAY_REQUIRE_PEERS").is_none(), "{told}");
        return;
    };
    let mut checked = 0;
    for section in text.split("\n$ ").skip(1) {
        let name = section.split(' ').next().unwrap_or_default();
        let Some(tool) = TOOLS.iter().find(|tool| tool.name == name) else {
            continue;
        };
        let listed = section.lines().filter_map(|line| {
            // What is indented further belongs to a description; a short name may come first.
            let option = line.strip_prefix("  ").unwrap_or(line);
            let option = match option.split_once(", ") {
                Some((short, long)) if short.len() == 2 => long,
                _ => option,
            };
            let name = option.strip_prefix("--")?;
            let is_letter = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
            let name = &name[..name.find(|c| !is_letter(c)).unwrap_or(name.len())];
            name.starts_with(|c: char| c.is_ascii_lowercase())
                .then_some(name)
        });
        let listed: Vec<&str> = listed.collect();
        assert!(listed.len() > 2, "{name}: {listed:?}");
        assert_eq!(unknown(tool, listed), [""; 0], "{name}");
        checked += 1;
    }
    assert_eq!(checked, TOOLS.len());
}
