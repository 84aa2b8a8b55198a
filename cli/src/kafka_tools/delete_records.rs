//! `kafka-delete-records`: move the start of logs forward, as a JSON file says.
//!
//! Invariant: the file is read as a whole before anything is deleted.

use std::time::Duration;

use logway_client::{Admin, Destination, ErrorCode};
use logway_protocol::message::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use serde_json::Value;
use tokio::time::Instant;

use super::connect::{self, CLUSTER};
use super::exception::Exception;
use super::hash_order;
use super::options::{Opt, Parsed, value};
use super::output::{End, log, out};
use super::{Misread, Tool, ended, required};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-delete-records",
    options: &[&CLUSTER, &OPTIONS],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Class,
};

const OPTIONS: [Opt; 1] = [value(
    "offset-json-file",
    "File that says for each partition before which offset records go; -1 is the end.",
)];

/// What a broker may take to do it.
const TIMEOUT_MS: i32 = 30_000;
/// How long a partition without a leader is waited for.
const WAIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

struct Wanted {
    topic: String,
    partition: i32,
    offset: i64,
}

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let path = required(parsed, "offset-json-file")?;
    let bootstrap = connect::bootstrap(parsed)
        .ok_or_else(|| End::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    let text = std::fs::read_to_string(path)
        .map_err(|_| Exception::new("java.nio.file.NoSuchFileException", path))?;
    let mut wanted = read(&text)?;
    let admin = connect::admin(&bootstrap, parsed)?;
    out("Executing records delete operation");
    hash_order::grown_partitions(&mut wanted, |wanted| (&wanted.topic, wanted.partition));
    let mut lines = Vec::new();
    for wanted in &wanted {
        let result = match delete(&admin, wanted).await {
            Ok(low_watermark) => format!("low_watermark: {low_watermark}"),
            Err(exception) => format!("error: {exception}"),
        };
        lines.push(format!(
            "partition: {}-{}\t{result}",
            wanted.topic, wanted.partition
        ));
    }
    out("Records delete operation completed:");
    lines.iter().for_each(out);
    Ok(0)
}

fn read(text: &str) -> Result<Vec<Wanted>, Exception> {
    let mapping = |message: String| {
        Exception::new(
            "com.fasterxml.jackson.databind.JsonMappingException",
            message,
        )
    };
    let json: Value = serde_json::from_str(text).map_err(|error| {
        let class = "org.apache.kafka.server.common.AdminOperationException";
        Exception::new(
            class,
            format!("The input string is not a valid JSON: {error}"),
        )
    })?;
    if let Some(version) = json.get("version")
        && version.as_i64() != Some(1)
    {
        let class = "org.apache.kafka.server.common.AdminOperationException";
        return Err(Exception::new(
            class,
            format!("Not supported version field value {version}"),
        ));
    }
    let field = |of: &Value, name: &str| {
        of.get(name)
            .cloned()
            .ok_or_else(|| mapping(format!("No such field exists: `{name}`")))
    };
    let no_number = |name: &str| mapping(format!("field `{name}` is no whole number"));
    let partitions = json.get("partitions").and_then(Value::as_array).cloned();
    let partitions = partitions.ok_or_else(|| {
        let class = "org.apache.kafka.server.common.AdminOperationException";
        Exception::new(class, "Missing partitions field")
    })?;
    let mut wanted: Vec<Wanted> = Vec::new();
    for entry in &partitions {
        let topic = field(entry, "topic")?
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let partition = field(entry, "partition")?.as_i64();
        let partition = partition.and_then(|number| i32::try_from(number).ok());
        let partition = partition.ok_or_else(|| no_number("partition"))?;
        let offset = field(entry, "offset")?.as_i64();
        let offset = offset.ok_or_else(|| no_number("offset"))?;
        if wanted
            .iter()
            .any(|w| w.topic == topic && w.partition == partition)
        {
            let class = "org.apache.kafka.server.common.AdminCommandFailedException";
            let message = format!(
                "Offset json file contains duplicate topic partitions: {topic}-{partition}"
            );
            return Err(Exception::new(class, message));
        }
        wanted.push(Wanted {
            topic,
            partition,
            offset,
        });
    }
    Ok(wanted)
}

async fn delete(admin: &Admin, wanted: &Wanted) -> Result<i64, Exception> {
    let leader = leader(admin, wanted).await?;
    let failed = |error| Exception::of_call(&error, "deleteRecords");
    let response = admin
        .request(
            Destination::Broker(leader),
            |_| DeleteRecordsRequest {
                topics: vec![DeleteRecordsTopic {
                    name: wanted.topic.as_str().into(),
                    partitions: vec![DeleteRecordsPartition {
                        partition_index: wanted.partition,
                        offset: wanted.offset,
                    }],
                }],
                timeout_ms: TIMEOUT_MS,
            },
            |_| 0,
        )
        .await
        .map_err(failed)?;
    let answer = response
        .topics
        .first()
        .and_then(|topic| topic.partitions.first());
    let Some(answer) = answer else {
        return Err(Exception::of_code(ErrorCode::UnknownServerError, None));
    };
    Exception::check(answer.error_code, None).inspect_err(|_| {
        log(
            "ERROR",
            format!(
                "[AdminClient clientId=adminclient-1] DeleteRecords request for topic partition \
                 {}-{} failed due to an unexpected error {}",
                wanted.topic,
                wanted.partition,
                ErrorCode::from_code(answer.error_code).name()
            ),
            "org.apache.kafka.clients.admin.internals.DeleteRecordsHandler",
        );
    })?;
    Ok(answer.low_watermark)
}

/// The partition's leader; a topic may have been made just now, so it is waited for.
async fn leader(admin: &Admin, wanted: &Wanted) -> Result<i32, Exception> {
    let deadline = Instant::now() + WAIT;
    loop {
        let topics = admin
            .describe_topics(&[wanted.topic.as_str()])
            .await
            .map_err(|error| Exception::of_call(&error, "deleteRecords"))?;
        let partitions = topics.into_iter().find_map(|(_, topic)| topic.ok());
        let partition = partitions.and_then(|topic| {
            let mut partitions = topic.partitions.into_iter();
            partitions.find(|partition| partition.partition == wanted.partition)
        });
        if let Some(leader) = partition.and_then(|partition| partition.leader) {
            return Ok(leader);
        }
        if Instant::now() + PAUSE > deadline {
            return Err(Exception::no_node("deleteRecords(api=METADATA)"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
