//! `kafka-consumer-groups`: list, describe and delete groups, move and delete their offsets.
//!
//! Invariant: what the cluster refuses is printed and ends with 0, as scripts know it; only a
//! wrong command line ends with 1.

mod delete;
mod describe;
mod instant;
mod list;
mod reset;
mod table;
mod targets;

use std::time::Duration;

use logway_client::Admin;

use super::connect::{self, CLUSTER};
use super::exception::Exception;
use super::options::{Opt, Parsed, flag, maybe, value};
use super::output::{End, err, out};
use super::{Misread, Tool, exclude, properties};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-consumer-groups",
    options: &[&CLUSTER, &OPTIONS, &RESET],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Uncaught,
};

const OPTIONS: [Opt; 16] = [
    flag("list", "Names of all groups."),
    flag("describe", "Offsets, members or state of groups."),
    flag("delete", "Delete groups that have no members."),
    flag(
        "reset-offsets",
        "Move the offsets of groups that have no members.",
    ),
    flag("delete-offsets", "Delete a group's offsets of topics."),
    value(
        "validate-regex",
        "Say whether this is a regular expression for subscriptions.",
    ),
    value("group", "A group; may be repeated."),
    flag("all-groups", "All groups."),
    value(
        "topic",
        "A topic, or topic:0,1 for some partitions; may be repeated.",
    ),
    flag("all-topics", "All topics that the group has offsets of."),
    flag("members", "Describe the members."),
    flag(
        "offsets",
        "Describe the offsets; so it is without any of these.",
    ),
    maybe(
        "state",
        "Describe or list the state; with --list only groups in these states.",
    ),
    maybe("type", "List the type, or only groups of these types."),
    flag("verbose", "More columns."),
    value("timeout", "Milliseconds that a call may take."),
];
const RESET: [Opt; 12] = [
    flag("to-earliest", "To the first record there is."),
    flag("to-latest", "After the last record there is."),
    flag("to-current", "To where the group is."),
    value("to-offset", "To this offset."),
    value(
        "to-datetime",
        "To the first record of this time: YYYY-MM-DDTHH:mm:SS.sss.",
    ),
    value(
        "by-duration",
        "To the first record of so long ago: PnDTnHnMnS.",
    ),
    value(
        "shift-by",
        "By so many records forward, or back if negative.",
    ),
    value("from-file", "To the offsets in a CSV file."),
    flag("execute", "Do it."),
    flag("dry-run", "Only show what would be."),
    flag("export", "Show as CSV."),
    flag("delete-all", "Without effect."),
];

const ACTIONS: [&str; 6] = [
    "list",
    "describe",
    "delete",
    "reset-offsets",
    "delete-offsets",
    "validate-regex",
];
const SCENARIOS: [&str; 8] = [
    "to-current",
    "to-earliest",
    "to-offset",
    "shift-by",
    "from-file",
    "to-datetime",
    "by-duration",
    "to-latest",
];

async fn run(parsed: &Parsed) -> Result<u8, End> {
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        let actions: Vec<String> = ACTIONS.iter().map(|action| format!("--{action}")).collect();
        return Err(End::Usage(format!(
            "Command must include exactly one action: {}",
            actions.join(", ")
        )));
    }
    let bootstrap = connect::bootstrap(parsed)
        .ok_or_else(|| End::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    check(parsed)?;
    if let Some(pattern) = parsed.get("validate-regex") {
        validate(pattern);
        return Ok(0);
    }
    let admin = admin(&bootstrap, parsed)?;
    if parsed.has("list") {
        list::run(&admin, parsed).await?;
    } else if parsed.has("describe") {
        describe::run(&admin, parsed).await?;
    } else if parsed.has("delete") {
        delete::groups(&admin, parsed).await?;
    } else if parsed.has("delete-offsets") {
        delete::offsets(&admin, parsed).await?;
    } else {
        reset::run(&admin, parsed).await?;
    }
    Ok(0)
}

fn admin(bootstrap: &str, parsed: &Parsed) -> Result<Admin, Exception> {
    let mut config = properties::client(bootstrap, &connect::settings(parsed)?, "adminclient-1")?;
    let timeout: Option<u64> = parsed.number("timeout").map_err(Exception::conversion)?;
    if let Some(timeout) = timeout {
        config.default_api_timeout = Duration::from_millis(timeout);
    }
    Admin::new(config)
        .map_err(|e| Exception::new("org.apache.kafka.common.KafkaException", e.to_string()))
}

/// The order of these checks is the order of the messages.
fn check(parsed: &Parsed) -> Result<(), End> {
    let names_groups = parsed.has("group") || parsed.has("all-groups");
    let usage = |message: &str| Err(End::Usage(message.to_owned()));
    if parsed.has("describe") {
        if !names_groups {
            return usage("Option [describe] takes one of these options: [group], [all-groups]");
        }
        let parts = ["members", "offsets", "state"];
        if parts.iter().filter(|part| parsed.has(part)).count() > 1 {
            return usage(
                "Option [describe] takes at most one of these options: [members], [offsets], [state]",
            );
        }
        if parsed.get("state").is_some() {
            return usage("Option [describe] does not take a value for [state]");
        }
    }
    if parsed.has("delete") {
        if !names_groups {
            return usage("Option [delete] takes one of these options: [group], [all-groups]");
        }
        if parsed.has("topic") {
            return usage(
                "The consumer does not support topic-specific offset deletion from a consumer group.",
            );
        }
    }
    if parsed.has("delete-offsets") && !(parsed.has("group") && parsed.has("topic")) {
        return usage("Option [delete-offsets] takes the following options: [topic], [group]");
    }
    if parsed.has("reset-offsets") {
        check_reset(parsed, names_groups)?;
    }
    exclude(parsed, "all-groups", &["group"])?;
    exclude(parsed, "list", &["group", "topic"])?;
    exclude(parsed, "describe", &["topic"])
}

fn check_reset(parsed: &Parsed, names_groups: bool) -> Result<(), End> {
    let usage = |message: &str| Err(End::Usage(message.to_owned()));
    if parsed.has("dry-run") && parsed.has("execute") {
        return usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
    }
    if !parsed.has("dry-run") && !parsed.has("execute") {
        err(
            "WARN: No action will be performed as the --execute option is missing. In version 5.0, \
             this command will require either --dry-run or --execute to be specified. You should \
             add the --dry-run option explicitly if you are scripting this command and want to \
             keep the current default behavior without prompting.",
        );
    }
    if !names_groups {
        return usage("Option [reset-offsets] takes one of these options: [all-groups], [group]");
    }
    let given: Vec<&str> = SCENARIOS
        .into_iter()
        .filter(|name| parsed.has(name))
        .collect();
    match given[..] {
        [] => {
            let all: Vec<String> = SCENARIOS.iter().map(|name| format!("[{name}]")).collect();
            return Err(End::Usage(format!(
                "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
                all.join(", ")
            )));
        }
        [_] => {}
        [first, second, ..] => {
            return Err(End::Usage(format!(
                "Option \"[{first}]\" can't be used with option \"[{second}]\""
            )));
        }
    }
    let has_scope = ["all-topics", "topic", "from-file"]
        .iter()
        .any(|name| parsed.has(name));
    if !has_scope {
        return usage("One of the reset scopes should be defined: --all-topics, --topic.");
    }
    Ok(())
}

fn ended(end: End, table: &str) -> u8 {
    let End::Failed(exception) = end else {
        return super::ended(end, table);
    };
    out(format!(
        "\nError: Executing consumer group command failed due to {}",
        exception.message
    ));
    err(exception.to_string());
    0
}

/// A refusal that came while something was waited for.
fn while_waiting(exception: &Exception) -> Exception {
    Exception::new(
        "java.util.concurrent.ExecutionException",
        exception.to_string(),
    )
}

fn validate(pattern: &str) {
    match regex::Regex::new(pattern) {
        Ok(_) => out(format!("The regular expression `{pattern}` is valid.")),
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            let reason = match reason {
                "unclosed character class" => "missing closing ]",
                "unclosed group" => "missing closing )",
                "unopened group" => "unexpected )",
                "repetition operator missing expression" => {
                    "missing argument to repetition operator"
                }
                other => other,
            };
            out(format!(
                "The regular expression `{pattern}` is invalid: {reason}."
            ));
        }
    }
}
