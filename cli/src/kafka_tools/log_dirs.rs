//! `kafka-log-dirs`: what the data folders of brokers hold, as JSON.
//!
//! Invariant: one line of JSON, its fields in a fixed order.

use std::collections::BTreeMap;

use logway_client::{Destination, ErrorCode};
use logway_protocol::message::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResult};
use serde_json::Value;

use super::connect::{self, CLUSTER};
use super::exception::Exception;
use super::hash_order;
use super::options::{Opt, Parsed, flag, value};
use super::output::{End, err, out};
use super::{Misread, Tool, ended, required};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-log-dirs",
    options: &[&CLUSTER, &OPTIONS],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Class,
};

const OPTIONS: [Opt; 3] = [
    flag("describe", "Describe the data folders."),
    value("topic-list", "Only these topics, with commas between."),
    value(
        "broker-list",
        "Only these brokers' ids, with commas between.",
    ),
];

async fn run(parsed: &Parsed) -> Result<u8, End> {
    if !parsed.has("describe") {
        required(parsed, "describe")?;
    }
    let bootstrap = connect::bootstrap(parsed)
        .ok_or_else(|| End::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    let admin = connect::admin(&bootstrap, parsed)?;
    let cluster = admin
        .describe_cluster()
        .await
        .map_err(|error| Exception::of_call(&error, "describeCluster"))?;
    let existing: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
    let brokers = match parsed.get("broker-list").filter(|list| !list.is_empty()) {
        Some(list) => wanted_brokers(list)?,
        None => existing.clone(),
    };
    let missing: Vec<i32> = brokers
        .iter()
        .copied()
        .filter(|id| !existing.contains(id))
        .collect();
    if !missing.is_empty() {
        err(format!(
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
            list(&missing),
            list(&existing)
        ));
        return Ok(1);
    }
    let topics: Vec<&str> = parsed
        .get("topic-list")
        .map(|list| list.split(',').filter(|topic| !topic.is_empty()).collect())
        .unwrap_or_default();
    out("Querying brokers for log directories information");
    let mut described = Vec::new();
    for broker in &brokers {
        let response = admin
            .request(
                Destination::Broker(*broker),
                |_| DescribeLogDirsRequest { topics: None },
                |_| 0,
            )
            .await
            .map_err(|error| Exception::of_call(&error, "describeLogDirs"))?;
        Exception::check(response.error_code, None)?;
        let folders: Vec<String> = response
            .results
            .iter()
            .map(|folder| folder_json(folder, &topics))
            .collect();
        described.push(format!(
            "{{\"broker\":{broker},\"logDirs\":[{}]}}",
            folders.join(",")
        ));
    }
    out(format!(
        "Received log directory information from brokers {}",
        list(&brokers)
    ));
    out(format!(
        "{{\"brokers\":[{}],\"version\":1}}",
        described.join(",")
    ));
    Ok(0)
}

fn wanted_brokers(list: &str) -> Result<Vec<i32>, Exception> {
    list.split(',')
        .map(|id| {
            id.trim().parse().map_err(|_| {
                let class = "java.lang.NumberFormatException";
                Exception::new(class, format!("For input string: \"{id}\""))
            })
        })
        .collect()
}

fn list(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(",")
}

fn folder_json(folder: &DescribeLogDirsResult, topics: &[&str]) -> String {
    let mut partitions: Vec<(&str, i32, String)> = Vec::new();
    let mut sorted: BTreeMap<&str, _> = BTreeMap::new();
    for topic in &folder.topics {
        if topics.is_empty() || topics.contains(&topic.name.as_str()) {
            sorted.insert(topic.name.as_str(), &topic.partitions);
        }
    }
    for (topic, of_topic) in sorted {
        for p in of_topic {
            let name = Value::from(format!("{topic}-{}", p.partition_index));
            let json = format!(
                "{{\"partition\":{name},\"size\":{},\"offsetLag\":{},\"isFuture\":{}}}",
                p.partition_size, p.offset_lag, p.is_future_key
            );
            partitions.push((topic, p.partition_index, json));
        }
    }
    partitions.sort_by_key(|(topic, partition, _)| (*topic, *partition));
    hash_order::grown_partitions(&mut partitions, |(topic, partition, _)| (topic, *partition));
    let partitions: Vec<String> = partitions.into_iter().map(|(_, _, json)| json).collect();
    let error = match ErrorCode::check(folder.error_code) {
        Ok(()) => Value::Null,
        Err(code) => Value::from(Exception::of_code(code, None).class),
    };
    let path = Value::from(folder.log_dir.as_str());
    format!(
        "{{\"partitions\":[{}],\"error\":{error},\"logDir\":{path}}}",
        partitions.join(",")
    )
}

#[cfg(test)]
mod tests {
    //! The JSON of a folder, field by field.

    use logway_protocol::message::describe_log_dirs::{
        DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
    };

    #[test]
    fn fields_are_in_order_and_topics_can_be_left_out() {
        let topic = |name: &str| DescribeLogDirsTopic {
            name: name.into(),
            partitions: vec![DescribeLogDirsPartition {
                partition_size: 7,
                ..Default::default()
            }],
        };
        let folder = DescribeLogDirsResult {
            log_dir: "/data".into(),
            topics: vec![topic("a"), topic("b")],
            ..Default::default()
        };
        assert_eq!(
            super::folder_json(&folder, &["a"]),
            r#"{"partitions":[{"partition":"a-0","size":7,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/data"}"#
        );
    }
}
