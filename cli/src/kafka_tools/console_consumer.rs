//! `kafka-console-consumer`: prints records as they come.
//!
//! Invariant: a group's offsets never pass a record that was not printed.

mod commits;
mod format;
mod offsets_topic;

use std::time::Duration;

use logway_client::{
    AutoOffsetReset, ConfigError, ConsumeError, Consumer, ConsumerConfig, GroupProtocol, Polled,
    Start, TopicPartition,
};
use tokio::time::Instant;

use super::connect;
use super::exception::Exception;
use super::options::{Opt, Parsed, flag, value};
use super::output::{End, err, log, out, write_out};
use super::properties::{self, Properties};
use super::{Misread, Tool, consumer_config, ended, exclude, regex_pattern};
use crate::stop::{Stop, StopSignal};
use commits::Commits;
use format::Formatter;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-console-consumer",
    options: &[&OPTIONS],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Table,
};

const OPTIONS: [Opt; 26] = [
    value("topic", "Topic to read."),
    value("include", "A regular expression of topics to read."),
    value("whitelist", "The old name of --include."),
    value(
        "bootstrap-server",
        "Brokers to ask first: host:port, several with commas.",
    ),
    value("broker-list", "The old name of --bootstrap-server."),
    value(
        "zookeeper",
        "The option of old: its hosts are taken as --bootstrap-server.",
    ),
    value("partition", "One partition only."),
    value(
        "offset",
        "Where to begin: a number, earliest or latest (with --partition).",
    ),
    value("group", "Read as a member of this group."),
    flag(
        "from-beginning",
        "Begin with the first record where the group has no offset.",
    ),
    value("max-messages", "End after this many records."),
    value("timeout-ms", "End if no record comes for so long."),
    flag(
        "skip-message-on-error",
        "Go on after a record that cannot be printed.",
    ),
    value(
        "formatter",
        "Class that prints: the default, no-op or logging formatter, or that of offsets.",
    ),
    value(
        "formatter-property",
        "How records are printed: print.key=true and so on.",
    ),
    value("property", "The old name of --formatter-property."),
    value("formatter-config", "File of formatter properties."),
    value("command-property", "A client setting, name=value."),
    value("consumer-property", "The old name of --command-property."),
    value("command-config", "File of client settings."),
    value("consumer.config", "The old name of --command-config."),
    value(
        "key-deserializer",
        "Class that the keys' bytes are read with.",
    ),
    value(
        "value-deserializer",
        "Class that the values' bytes are read with.",
    ),
    value("isolation-level", "read_uncommitted or read_committed."),
    flag("enable-systest-events", "Without effect."),
    flag("new-consumer", "Without effect."),
];

const CLASS: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const POLL: Duration = Duration::from_millis(500);

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let start = check(parsed)?;
    let bootstrap = connect::bootstrap(parsed)
        .or_else(|| parsed.get("broker-list").map(str::to_owned))
        .ok_or_else(|| End::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    for (old, new) in [
        ("property", "formatter-property"),
        ("consumer-property", "command-property"),
        ("consumer.config", "command-config"),
    ] {
        if parsed.has(old) {
            out(format!(
                "Option --{old} is deprecated and will be removed in a future version. Use --{new} instead."
            ));
        }
    }
    let formatter = formatter(parsed)?;
    let settings = settings(parsed)?;
    let max: Option<i64> = parsed.number("max-messages").map_err(End::Usage)?;
    let timeout: Option<i64> = parsed.number("timeout-ms").map_err(End::Usage)?;
    let limits = Limits {
        records: max.and_then(|max| u64::try_from(max).ok()),
        silence: timeout
            .and_then(|ms| u64::try_from(ms).ok())
            .map(Duration::from_millis),
    };
    let mut stop = super::signals()?;
    let reader = async {
        let config = config(&bootstrap, parsed, &settings)?;
        let is_member = properties::get(&settings, "group.id").is_some() || parsed.has("group");
        let is_classic = config.group_protocol == GroupProtocol::Classic;
        let consumer = Consumer::new(config).map_err(unusable)?;
        begin(&consumer, parsed, &bootstrap, (start, is_classic)).await?;
        Ok::<_, Exception>((consumer, is_member && start.is_none()))
    };
    let (consumer, commits) = match reader.await {
        Ok(reader) => reader,
        Err(exception) => {
            log("ERROR", "Unknown error when running consumer: ", CLASS);
            err(exception.to_string());
            return Ok(1);
        }
    };
    let (printed, stopped) = print_all(&consumer, formatter, limits, commits, &mut stop).await;
    stop.unless_again(consumer.close()).await;
    err(format!("Processed a total of {printed} messages"));
    Ok(stopped.map_or(0, Stop::exit_code))
}

/// When to end.
#[derive(Debug, Clone, Copy)]
struct Limits {
    records: Option<u64>,
    silence: Option<Duration>,
}

/// The order of these checks is the order of the messages.
fn check(parsed: &Parsed) -> Result<Option<(i32, Start)>, End> {
    let named = ["topic", "include", "whitelist"];
    if named.iter().filter(|name| parsed.has(name)).count() != 1 {
        return Err(End::Usage(
            "Exactly one of the following arguments is required: [topic], [include]".to_owned(),
        ));
    }
    if parsed.has("partition") && !parsed.has("topic") {
        return Err(End::Usage(
            "The topic is required when partition is specified.".to_owned(),
        ));
    }
    if parsed.has("offset") && !parsed.has("partition") {
        return Err(End::Usage(
            "The partition is required when offset is specified.".to_owned(),
        ));
    }
    if parsed.has("from-beginning") && parsed.has("offset") {
        return Err(End::Usage(
            "Options from-beginning and offset cannot be specified together.".to_owned(),
        ));
    }
    if parsed.has("group") && parsed.has("partition") {
        return Err(End::Usage(
            "Options group and partition cannot be specified together.".to_owned(),
        ));
    }
    exclude(parsed, "topic", &["include"])?;
    let Some(partition) = parsed.number("partition").map_err(End::Usage)? else {
        return Ok(None);
    };
    let otherwise = if parsed.has("from-beginning") {
        "earliest"
    } else {
        "latest"
    };
    let start = match parsed.get("offset").unwrap_or(otherwise) {
        "earliest" => Start::Beginning,
        "latest" => Start::End,
        text => match text.parse() {
            Ok(offset @ 0..) => Start::Offset(offset),
            _ => {
                return Err(End::Usage(format!(
                    "The provided offset value '{text}' is incorrect. Valid values are 'earliest', \
                     'latest', or a non-negative long."
                )));
            }
        },
    };
    Ok(Some((partition, start)))
}

fn formatter(parsed: &Parsed) -> Result<Formatter, End> {
    let mut properties = match parsed.get("formatter-config") {
        Some(path) => properties::read(path)?,
        None => Properties::new(),
    };
    for name in ["property", "formatter-property"] {
        properties.extend(parsed.all(name).map(properties::pair));
    }
    for (option, name) in [
        ("key-deserializer", "key.deserializer"),
        ("value-deserializer", "value.deserializer"),
    ] {
        if let Some(class) = parsed.get(option) {
            properties.push((name.to_owned(), class.to_owned()));
        }
    }
    let class = parsed.get("formatter").unwrap_or("DefaultMessageFormatter");
    Formatter::of(class, &properties).map_err(End::Usage)
}

fn settings(parsed: &Parsed) -> Result<Properties, Exception> {
    let mut properties = Properties::new();
    for file in ["consumer.config", "command-config"] {
        if let Some(path) = parsed.get(file) {
            properties.extend(properties::read(path)?);
        }
    }
    for name in ["consumer-property", "command-property"] {
        properties.extend(parsed.all(name).map(properties::pair));
    }
    Ok(properties)
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn unusable(error: ConfigError) -> Exception {
    Exception::new(
        "org.apache.kafka.common.config.ConfigException",
        error.to_string(),
    )
}

fn config(
    bootstrap: &str,
    parsed: &Parsed,
    settings: &Properties,
) -> Result<ConsumerConfig, Exception> {
    let mut config = consumer_config::of(bootstrap, settings, "console-consumer")?;
    if let Some(level) = parsed.get("isolation-level") {
        config.isolation_level = consumer_config::isolation_level(Some(level))?;
    }
    let group = parsed.get("group").map(str::to_owned).or(config.group_id);
    config.group_id = Some(group.unwrap_or_else(|| format!("console-consumer-{}", some_number())));
    if parsed.has("from-beginning") {
        config.auto_offset_reset = AutoOffsetReset::Earliest;
    }
    Ok(config)
}

/// A number for a group that nobody else has; as with Kafka one of a hundred thousand.
fn some_number() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |now| now.subsec_nanos());
    ((nanos / 1000) ^ std::process::id()) % 100_000
}

async fn begin(
    consumer: &Consumer,
    parsed: &Parsed,
    bootstrap: &str,
    (start, is_classic): (Option<(i32, Start)>, bool),
) -> Result<(), Exception> {
    let failed = |error: ConsumeError| exception(&error);
    if let (Some((partition, start)), Some(topic)) = (start, parsed.get("topic")) {
        let at = TopicPartition::new(topic, partition);
        return consumer.assign(vec![(at, start)]).await.map_err(failed);
    }
    let topics = match parsed.get("include").or_else(|| parsed.get("whitelist")) {
        None => vec![parsed.get("topic").unwrap_or_default().to_owned()],
        Some(pattern) => {
            let pattern = regex_pattern::topics(pattern)?;
            if is_classic {
                // Topics that come later are read, too.
                let subscribed = consumer.subscribe_pattern(pattern.as_str()).await;
                return subscribed.map_err(failed);
            }
            // The coordinator would match the brokers' own topics as well.
            let admin = connect::admin(bootstrap, parsed)?;
            let topics = admin
                .list_topics()
                .await
                .map_err(|error| Exception::of_call(&error, "listTopics"))?;
            let names = topics.into_iter().filter(|topic| !topic.internal);
            let names = names.map(|topic| topic.name.to_string());
            names.filter(|name| pattern.is_match(name)).collect()
        }
    };
    consumer.subscribe(topics).await.map_err(failed)
}

fn exception(error: &ConsumeError) -> Exception {
    match error {
        ConsumeError::Topic { code, .. }
        | ConsumeError::Partition { code, .. }
        | ConsumeError::Group { code, .. } => Exception::of_code(*code, None),
        error => Exception::new("org.apache.kafka.common.KafkaException", error.to_string()),
    }
}

/// Prints until a limit or a signal; the number of records printed.
async fn print_all(
    consumer: &Consumer,
    mut formatter: Formatter,
    limits: Limits,
    commits: bool,
    stop: &mut StopSignal,
) -> (u64, Option<Stop>) {
    let (mut printed, mut stopped) = (0_u64, None);
    let mut heard = Instant::now();
    let mut commits = Commits::of(commits.then_some(consumer));
    while limits.records.is_none_or(|max| printed < max) {
        let wait = match limits.silence {
            Some(silence) => POLL.min((heard + silence).saturating_duration_since(Instant::now())),
            None => POLL,
        };
        let polled = tokio::select! {
            by = stop.wait() => {
                stopped = Some(by);
                break;
            }
            polled = consumer.poll(wait) => polled,
        };
        match polled {
            Ok(Polled::Records(records)) => {
                let left = limits.records.map_or(u64::MAX, |max| max - printed);
                let take = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(records.len());
                let mut text = Vec::new();
                for record in &records[..take] {
                    formatter.write(&mut text, record);
                }
                write_out(&text);
                commits.note(&records[..take]);
                printed += take as u64;
                heard = Instant::now();
            }
            Ok(_) => {}
            Err(error) => {
                log(
                    "ERROR",
                    "Error processing message, terminating consumer process: ",
                    CLASS,
                );
                err(exception(&error).to_string());
                break;
            }
        }
        if limits
            .silence
            .is_some_and(|silence| heard.elapsed() >= silence)
        {
            log(
                "ERROR",
                "Error processing message, terminating consumer process: ",
                CLASS,
            );
            err("org.apache.kafka.common.errors.TimeoutException: null");
            break;
        }
        stopped = commits.in_time(stop).await;
        if stopped.is_some() {
            break;
        }
    }
    stop.unless_again(commits.last()).await;
    (printed, stopped)
}
