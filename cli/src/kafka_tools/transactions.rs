//! `kafka-transactions`: look at transactions, end those that hang (KIP-664).
//!
//! Invariant: only `abort` and `forceTerminateTransaction` change anything.

mod ending;

use logway_client::{Admin, Destination, ErrorCode};
use logway_protocol::message::describe_producers::{
    DescribeProducersRequest, ProducerState, TopicRequest,
};
use logway_protocol::message::describe_transactions::TransactionState;
use logway_protocol::message::list_transactions::ListTransactionsRequest;

use super::connect::{self, CLUSTER};
use super::exception::Exception;
use super::options::{Opt, Parsed, value};
use super::output::{End, err, out};
use super::{Misread, Tool};
use crate::cluster::ask_of_transaction;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-transactions",
    options: &[&CLUSTER, &OPTIONS],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Table,
};

const OPTIONS: [Opt; 13] = [
    value("transactional-id", "The transactional id (describe)."),
    value(
        "transactionalId",
        "The transactional id (forceTerminateTransaction).",
    ),
    value(
        "topic",
        "A topic (describe-producers, find-hanging, abort).",
    ),
    value(
        "partition",
        "A partition (describe-producers, find-hanging, abort).",
    ),
    value("broker-id", "A broker (describe-producers, find-hanging)."),
    value("start-offset", "Where the transaction begins (abort)."),
    value("producer-id", "The producer's id (abort)."),
    value("producer-epoch", "The producer's epoch (abort)."),
    value("coordinator-epoch", "The coordinator's epoch (abort)."),
    value(
        "max-transaction-timeout",
        "Minutes after which a transaction hangs (find-hanging).",
    ),
    value(
        "duration-filter",
        "Only transactions open for so many milliseconds (list).",
    ),
    value(
        "transactional-id-pattern",
        "Only ids that match this pattern (list).",
    ),
    value("config", "The old name of --command-config."),
];

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let usage = |problem: &str| {
        err(
            "usage: kafka-transactions.sh [-h] [-v] [--command-config FILE] --bootstrap-server HOST:PORT",
        );
        err(
            "       list | describe | describe-producers | find-hanging | abort | forceTerminateTransaction",
        );
        err(format!("kafka-transactions.sh: error: {problem}"));
        Err(End::Code(1))
    };
    let Some(command) = parsed.rest.first() else {
        return usage("too few arguments");
    };
    let Some(bootstrap) = connect::bootstrap(parsed) else {
        return usage("argument --bootstrap-server is required");
    };
    let admin = connect::admin(&bootstrap, parsed)?;
    match command.as_str() {
        "list" => list(&admin, parsed).await?,
        "describe" => match parsed.get("transactional-id") {
            Some(id) => describe(&admin, id).await?,
            None => return usage("argument --transactional-id is required"),
        },
        "describe-producers" => match (parsed.get("topic"), number(parsed, "partition")?) {
            (Some(topic), Some(partition)) => {
                let broker = number(parsed, "broker-id")?;
                describe_producers(&admin, (topic, partition), broker).await?;
            }
            _ => return usage("arguments --topic and --partition are required"),
        },
        "find-hanging" => ending::find_hanging(&admin, parsed).await?,
        "abort" => match (parsed.get("topic"), number(parsed, "partition")?) {
            (Some(topic), Some(partition)) => {
                ending::abort(&admin, parsed, (topic, partition)).await?;
            }
            _ => return usage("arguments --topic and --partition are required"),
        },
        "forceTerminateTransaction" => match parsed.get("transactionalId") {
            Some(id) => ending::force(&admin, id).await?,
            None => return usage("argument --transactionalId is required"),
        },
        other => return usage(&format!("invalid choice: '{other}'")),
    }
    Ok(0)
}

fn ended(end: End, table: &str) -> u8 {
    match end {
        End::Failed(exception) => {
            err(&exception.message);
            1
        }
        end => super::ended(end, table),
    }
}

fn number<T: std::str::FromStr>(parsed: &Parsed, name: &str) -> Result<Option<T>, End> {
    parsed.number(name).map_err(End::Refused)
}

/// Titles and rows, each cell as wide as its column and followed by a tab.
fn print(titles: &[&str], rows: &[Vec<String>]) {
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let width = |i: usize| {
        let cells = std::iter::once(&titles)
            .chain(rows)
            .filter_map(|row| row.get(i));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    for row in std::iter::once(&titles).chain(rows) {
        let cells = row.iter().enumerate();
        // The widths of the titles alone are theirs as they are.
        let line: String = cells
            .map(|(i, cell)| format!("{cell:<0$}\t", width(i)))
            .collect();
        out(line);
    }
}

/// The number, or `None` where there is none.
fn or_none(value: i64) -> String {
    if value < 0 {
        "None".to_owned()
    } else {
        value.to_string()
    }
}

/// Every transaction with the broker that coordinates it.
async fn all(
    admin: &Admin,
    filters: (i64, Option<&str>, &[i64]),
) -> Result<Vec<(i32, String, i64, String)>, Exception> {
    let failed = |error| Exception::of_call(&error, "listTransactions");
    let cluster = admin.describe_cluster().await.map_err(failed)?;
    let mut found = Vec::new();
    for broker in cluster.brokers {
        let response = admin
            .request(
                Destination::Broker(broker.id),
                |version| ListTransactionsRequest {
                    producer_id_filters: filters.2.to_vec(),
                    duration_filter: if version >= 1 { filters.0 } else { -1 },
                    transactional_id_pattern: filters.1.filter(|_| version >= 2).map(Into::into),
                    ..Default::default()
                },
                |response| response.error_code,
            )
            .await
            .map_err(failed)?;
        Exception::check(response.error_code, None)?;
        found.extend(response.transaction_states.into_iter().map(|state| {
            let id = state.transactional_id.to_string();
            (
                broker.id,
                id,
                state.producer_id,
                state.transaction_state.to_string(),
            )
        }));
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

async fn list(admin: &Admin, parsed: &Parsed) -> Result<(), End> {
    let duration = number(parsed, "duration-filter")?.unwrap_or(-1);
    let found = all(
        admin,
        (duration, parsed.get("transactional-id-pattern"), &[]),
    )
    .await?;
    let rows: Vec<Vec<String>> = found
        .into_iter()
        .map(|(broker, id, producer, state)| {
            vec![id, broker.to_string(), producer.to_string(), state]
        })
        .collect();
    print(
        &[
            "TransactionalId",
            "Coordinator",
            "ProducerId",
            "TransactionState",
        ],
        &rows,
    );
    Ok(())
}

/// The state of a transactional id, if there is one.
async fn state_of(admin: &Admin, id: &str) -> Result<Option<TransactionState>, Exception> {
    let response = ask_of_transaction(admin, id)
        .await
        .map_err(|error| Exception::of_call(&error, "describeTransactions"))?;
    let state = response.transaction_states.into_iter().next();
    let Some(state) = state else {
        return Ok(None);
    };
    if state.error_code == ErrorCode::TransactionalIdNotFound.code() {
        return Ok(None);
    }
    Exception::check(state.error_code, None)?;
    Ok(Some(state))
}

async fn describe(admin: &Admin, id: &str) -> Result<(), End> {
    let Some(state) = state_of(admin, id).await? else {
        return Err(End::Refused(format!(
            "Failed to describe transaction state of transactional-id `{id}`: DescribeTransactions \
             request for transactionalId `{id}` failed because the ID could not be found. Enable \
             debug logging for additional detail."
        )));
    };
    let (coordinator, _) = admin
        .transaction_coordinator(id)
        .await
        .map_err(|error| Exception::of_call(&error, "findCoordinator"))?;
    let start = state.transaction_start_time_ms;
    let now = jiff::Timestamp::now().as_millisecond();
    let partitions: Vec<String> = state
        .topics
        .iter()
        .flat_map(|topic| {
            let name = |partition: &i32| format!("{}-{partition}", topic.topic);
            topic.partitions.iter().map(name)
        })
        .collect();
    let row = vec![
        coordinator.to_string(),
        id.to_owned(),
        state.producer_id.to_string(),
        state.producer_epoch.to_string(),
        state.transaction_state.to_string(),
        state.transaction_timeout_ms.to_string(),
        or_none(start),
        or_none(if start < 0 { -1 } else { (now - start).max(0) }),
        partitions.join(","),
    ];
    let titles = [
        "CoordinatorId",
        "TransactionalId",
        "ProducerId",
        "ProducerEpoch",
        "TransactionState",
        "TransactionTimeoutMs",
        "CurrentTransactionStartTimeMs",
        "TransactionDurationMs",
        "TopicPartitions",
    ];
    print(&titles, &[row]);
    Ok(())
}

/// The broker that leads a partition.
async fn leader(admin: &Admin, (topic, partition): (&str, i32)) -> Result<i32, Exception> {
    let failed = |error| Exception::of_call(&error, "describeTopics");
    let topics = admin.describe_topics(&[topic]).await.map_err(failed)?;
    for (_, described) in topics {
        let described = described.map_err(failed)?;
        let found = described
            .partitions
            .iter()
            .find(|p| p.partition == partition);
        if let Some(leader) = found.and_then(|found| found.leader) {
            return Ok(leader);
        }
    }
    Err(Exception::of_code(ErrorCode::UnknownTopicOrPartition, None))
}

/// The producers that write to a partition, as its leader or the named broker knows them.
async fn producers(
    admin: &Admin,
    at: (&str, i32),
    broker: Option<i32>,
) -> Result<Vec<ProducerState>, Exception> {
    let node = match broker {
        Some(broker) => broker,
        None => leader(admin, at).await?,
    };
    let response = admin
        .request(
            Destination::Broker(node),
            |_| DescribeProducersRequest {
                topics: vec![TopicRequest {
                    name: at.0.into(),
                    partition_indexes: vec![at.1],
                }],
            },
            |_| 0,
        )
        .await
        .map_err(|error| Exception::of_call(&error, "describeProducers"))?;
    let mut found = Vec::new();
    for partition in response
        .topics
        .into_iter()
        .flat_map(|topic| topic.partitions)
    {
        Exception::check(partition.error_code, partition.error_message.as_deref())?;
        found.extend(partition.active_producers);
    }
    found.sort_by_key(|producer| producer.producer_id);
    Ok(found)
}

async fn describe_producers(
    admin: &Admin,
    at: (&str, i32),
    broker: Option<i32>,
) -> Result<(), End> {
    let producers = producers(admin, at, broker).await?;
    let rows: Vec<Vec<String>> = producers
        .iter()
        .map(|producer| {
            vec![
                producer.producer_id.to_string(),
                producer.producer_epoch.to_string(),
                producer.coordinator_epoch.to_string(),
                producer.last_sequence.to_string(),
                producer.last_timestamp.to_string(),
                or_none(producer.current_txn_start_offset),
            ]
        })
        .collect();
    let titles = [
        "ProducerId",
        "ProducerEpoch",
        "LatestCoordinatorEpoch",
        "LastSequence",
        "LastTimestamp",
        "CurrentTransactionStartOffset",
    ];
    print(&titles, &rows);
    Ok(())
}
