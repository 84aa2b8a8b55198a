//! `kafka-configs`: settings of topics, brokers and groups, quotas of clients and users.
//!
//! Invariant: only what is named is changed (KIP-339); the other settings stay as they are.

mod alter;
mod describe;
mod entity;
mod quotas;

use super::connect;
use super::exception::Exception;
use super::options::{Opt, Parsed, flag, value};
use super::output::{End, err};
use super::{Misread, Tool};
use entity::Entity;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-configs",
    options: &[&connect::CLUSTER, &OPTIONS, &SHORT],
    run: |parsed| Box::pin(run(parsed)),
    ended: super::ended,
    misread: Misread::Class,
};

const OPTIONS: [Opt; 11] = [
    flag("describe", "Show settings."),
    flag("alter", "Change settings."),
    value(
        "entity-type",
        "topics, brokers, clients, users, ips, groups, client-metrics or broker-loggers.",
    ),
    value("entity-name", "Name of a topic, id of a broker and so on."),
    flag(
        "entity-default",
        "The default of all brokers, clients, users or addresses.",
    ),
    value(
        "add-config",
        "Settings name=value with commas between; a value with commas in [ ].",
    ),
    value("add-config-file", "File of settings to add."),
    value(
        "delete-config",
        "Names of settings to delete, with commas between.",
    ),
    flag("all", "Show also what nobody set."),
    flag("force", "Without effect."),
    value(
        "bootstrap-controller",
        "A controller to ask first, as --bootstrap-server.",
    ),
];
const SHORT: [Opt; 12] = [
    value("topic", "As --entity-type topics --entity-name."),
    value("client", "As --entity-type clients --entity-name."),
    flag(
        "client-defaults",
        "As --entity-type clients --entity-default.",
    ),
    value("user", "As --entity-type users --entity-name."),
    flag("user-defaults", "As --entity-type users --entity-default."),
    value("broker", "As --entity-type brokers --entity-name."),
    flag(
        "broker-defaults",
        "As --entity-type brokers --entity-default.",
    ),
    value(
        "broker-logger",
        "As --entity-type broker-loggers --entity-name.",
    ),
    value("ip", "As --entity-type ips --entity-name."),
    flag("ip-defaults", "As --entity-type ips --entity-default."),
    value("group", "As --entity-type groups --entity-name."),
    value(
        "client-metrics",
        "As --entity-type client-metrics --entity-name.",
    ),
];

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let actions = ["describe", "alter"]
        .iter()
        .filter(|action| parsed.has(action))
        .count();
    if actions != 1 {
        return Err(End::Usage(
            "Command must include exactly one action: --describe, --alter".to_owned(),
        ));
    }
    let entities = entity::of(parsed).map_err(End::Refused)?;
    check(parsed, &entities).map_err(End::Refused)?;
    let bootstrap = connect::bootstrap(parsed)
        .or_else(|| parsed.get("bootstrap-controller").map(str::to_owned))
        .ok_or_else(|| {
            End::Refused(
                "One of the required --bootstrap-server or --bootstrap-controller arguments must be specified"
                    .to_owned(),
            )
        })?;
    let admin = connect::admin(&bootstrap, parsed)?;
    let done = if parsed.has("describe") {
        describe::run(&admin, parsed, &entities).await
    } else {
        alter::run(&admin, parsed, &entities).await
    };
    match done {
        Ok(()) => Ok(0),
        Err(End::Failed(exception)) => {
            let words: Vec<String> = std::env::args().skip(1).collect();
            err(format!(
                "Error while executing config command with args '{}'",
                words.join(" ")
            ));
            let class = "java.util.concurrent.ExecutionException";
            err(Exception::new(class, exception.to_string()).to_string());
            Ok(1)
        }
        Err(end) => Err(end),
    }
}

fn check(parsed: &Parsed, entities: &[Entity]) -> Result<(), String> {
    if entities.is_empty() {
        return Err("At least one entity type must be specified".to_owned());
    }
    for entity in entities {
        if matches!(entity.kind, "brokers" | "broker-loggers")
            && let Some(name) = entity.name.as_deref().filter(|name| !name.is_empty())
            && name.parse::<i32>().is_err()
        {
            return Err(format!(
                "The entity name for {} must be a valid integer broker id, but it is: {name}",
                entity.kind
            ));
        }
    }
    if parsed.has("alter") {
        let changes = ["add-config", "add-config-file", "delete-config"];
        if !changes.iter().any(|change| parsed.has(change)) {
            return Err(
                "At least one of --add-config, --add-config-file, or --delete-config must be \
                 specified with --alter"
                    .to_owned(),
            );
        }
        if entities.iter().any(|entity| entity.name.is_none()) {
            return Err("An entity name must be specified for every entity type".to_owned());
        }
    }
    Ok(())
}
