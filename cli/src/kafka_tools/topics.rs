//! `kafka-topics`: create, list, describe, alter and delete topics.
//!
//! Invariant: what can be seen to be wrong without the cluster is refused without asking it.

mod change;
mod describe;

use logway_client::{Admin, ErrorCode};
use logway_protocol::message::metadata::{MetadataRequest, MetadataResponseTopic};

use super::connect::{self, CLUSTER};
use super::exception::Exception;
use super::options::{Opt, Parsed, flag, value};
use super::output::{End, err, log, out};
use super::{Misread, Tool, regex_pattern};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-topics",
    options: &[&CLUSTER, &OPTIONS, &MORE],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Class,
};

const OPTIONS: [Opt; 19] = [
    flag("list", "Names of all topics."),
    flag("create", "Make a topic."),
    flag("delete", "Delete topics."),
    flag("alter", "Give topics more partitions."),
    flag("describe", "Partitions, replicas and settings of topics."),
    value(
        "topic",
        "A topic; for all but --create a regular expression.",
    ),
    value("topic-id", "A topic by its id (--describe)."),
    value(
        "config",
        "A setting of the new topic, name=value; may be repeated.",
    ),
    value("delete-config", "Without effect, as since Kafka 4.0."),
    value("partitions", "Number of partitions."),
    value("replication-factor", "Copies of each partition."),
    value(
        "replica-assignment",
        "Brokers of each partition: 1:2,2:3 and so on.",
    ),
    flag(
        "under-replicated-partitions",
        "Only partitions with a copy that lags.",
    ),
    flag(
        "unavailable-partitions",
        "Only partitions without a leader.",
    ),
    flag(
        "under-min-isr-partitions",
        "Only partitions below min.insync.replicas.",
    ),
    flag(
        "at-min-isr-partitions",
        "Only partitions at min.insync.replicas.",
    ),
    flag(
        "topics-with-overrides",
        "Only topics with settings of their own.",
    ),
    flag("exclude-internal", "Leave out the cluster's own topics."),
    flag("if-exists", "A topic that is missing is no error."),
];
const MORE: [Opt; 3] = [
    flag("if-not-exists", "A topic that exists is no error."),
    value(
        "partition-size-limit-per-response",
        "Partitions asked for at once.",
    ),
    flag(
        "disable-rack-aware",
        "Without effect, as ever since brokers place replicas.",
    ),
];

const CLASS: &str = "org.apache.kafka.tools.TopicCommand";
const ACTIONS: [&str; 5] = ["list", "describe", "create", "alter", "delete"];

async fn run(parsed: &Parsed) -> Result<u8, End> {
    check(parsed)?;
    let Some(bootstrap) = connect::bootstrap(parsed) else {
        err("--bootstrap-server must be specified");
        err("java.lang.IllegalArgumentException: --bootstrap-server must be specified");
        return Ok(1);
    };
    let admin = match connect::admin(&bootstrap, parsed) {
        Ok(admin) => admin,
        Err(exception) => {
            err("Failed to create new KafkaAdminClient");
            err("org.apache.kafka.common.KafkaException: Failed to create new KafkaAdminClient");
            err(format!("Caused by: {exception}"));
            return Ok(1);
        }
    };
    if parsed.has("create") {
        change::create(&admin, parsed).await?;
    } else if parsed.has("alter") {
        change::alter(&admin, parsed).await?;
    } else if parsed.has("delete") {
        change::delete(&admin, parsed).await?;
    } else if parsed.has("describe") {
        describe::run(&admin, parsed).await?;
    } else {
        let topics = named(&admin, parsed).await?;
        let names: Vec<&str> = topics.iter().filter_map(|t| t.name.as_deref()).collect();
        out(names.join("\n"));
    }
    Ok(0)
}

/// The order of these checks is the order of the messages.
fn check(parsed: &Parsed) -> Result<(), End> {
    if ACTIONS.iter().filter(|action| parsed.has(action)).count() != 1 {
        return Err(End::Usage(
            "Command must include exactly one action: --list, --describe, --create, --alter or --delete"
                .to_owned(),
        ));
    }
    if parsed.has("delete-config") {
        err(
            "delete-config option is no longer supported and deprecated since version 4.0. The \
             config will be fully removed in future releases.",
        );
    }
    if parsed.get("bootstrap-server").is_none() && parsed.get("zookeeper").is_none() {
        return Ok(());
    }
    if parsed.has("describe") && parsed.has("topic") && parsed.has("topic-id") {
        return Err(End::Usage(
            "Only one of topic and topic-id options can be used with describe.".to_owned(),
        ));
    }
    let missing = |name: &str| End::Usage(format!("Missing required argument \"[{name}]\""));
    if !parsed.has("list") && !parsed.has("describe") && !parsed.has("topic") {
        return Err(missing("topic"));
    }
    if parsed.has("alter") && parsed.has("config") {
        return Err(End::Usage(
            "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \
             \"[alter]\" (To alter topic configurations, the kafka-configs tool can be used.)"
                .to_owned(),
        ));
    }
    if parsed.has("alter") && !parsed.has("partitions") {
        return Err(missing("partitions"));
    }
    let only = |option: &str, actions: &[&str]| {
        let action = ACTIONS.iter().find(|action| parsed.has(action));
        match action {
            Some(action) if parsed.has(option) && !actions.contains(action) => Err(End::Usage(
                format!("Option \"[{option}]\" can't be used with option \"[{action}]\""),
            )),
            _ => Ok(()),
        }
    };
    only("config", &["create", "alter"])?;
    only("partitions", &["alter", "create"])?;
    only("replication-factor", &["create"])?;
    only("replica-assignment", &["create", "alter"])?;
    if parsed.has("create") {
        super::exclude(parsed, "partitions", &["replica-assignment"])?;
        super::exclude(parsed, "replication-factor", &["replica-assignment"])?;
    }
    for option in [
        "under-replicated-partitions",
        "under-min-isr-partitions",
        "at-min-isr-partitions",
        "unavailable-partitions",
        "topics-with-overrides",
        "topic-id",
    ] {
        only(option, &["describe"])?;
    }
    only("if-exists", &["alter", "delete", "describe"])?;
    only("if-not-exists", &["create"])?;
    only("exclude-internal", &["list", "describe"])
}

fn ended(end: End, table: &str) -> u8 {
    let End::Failed(exception) = end else {
        return super::ended(end, table);
    };
    out(format!(
        "Error while executing topic command : {}",
        exception.message
    ));
    log("ERROR", format!("{exception}\n"), CLASS);
    1
}

/// All topics that the command line means, by name; one question to one broker.
async fn named(admin: &Admin, parsed: &Parsed) -> Result<Vec<MetadataResponseTopic>, Exception> {
    let filter = parsed.get("topic").map(regex_pattern::topics).transpose()?;
    let response = admin
        .request(
            logway_client::Destination::Any,
            |_| MetadataRequest {
                topics: None,
                allow_auto_topic_creation: false,
                ..Default::default()
            },
            |_| ErrorCode::None.code(),
        )
        .await
        .map_err(|error| Exception::of_call(&error, "listTopics"))?;
    let mut topics: Vec<_> = response
        .topics
        .into_iter()
        .filter(|topic| topic.error_code == ErrorCode::None.code())
        .filter(|topic| !(topic.is_internal && parsed.has("exclude-internal")))
        .filter(|topic| {
            let name = topic.name.as_deref().unwrap_or_default();
            filter.as_ref().is_none_or(|filter| filter.is_match(name))
        })
        .collect();
    topics.sort_by(|a, b| a.name.as_deref().cmp(&b.name.as_deref()));
    Ok(topics)
}

/// Fails if the command line names topics and there are none.
fn ensure_some(found: usize, parsed: &Parsed) -> Result<(), Exception> {
    match parsed.get("topic") {
        Some(topic) if found == 0 && !parsed.has("if-exists") => Err(Exception::illegal_argument(
            format!("Topic '{topic}' does not exist as expected"),
        )),
        _ => Ok(()),
    }
}
