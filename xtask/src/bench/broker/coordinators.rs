//! What coordinators do: small transactions, one after the other for each of some producers, and committed
//! offsets that are read back at start.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use logway_client::{ClientConfig, Producer, ProducerConfig, ProducerRecord};
use logway_protocol::ErrorCode;
use logway_protocol::message::find_coordinator::FindCoordinatorRequest;
use logway_protocol::message::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use logway_protocol::message::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use rustix::process::Signal;
use serde_json::json;

use super::stage::{Stage, TOPIC};
use super::{Case, Figures};
use crate::bench::load::{connection::Connection, topics};
use crate::bench::server::{Setup, System};

/// The case that something must be reached in.
pub(super) const TRANSACTIONS: &str = "transactions of one 100 B record, 8 producers";
/// The case of offsets.
pub(super) const OFFSETS: &str = "start again with 200,000 committed offsets";

/// Producers, each with a transactional id.
const PRODUCERS: usize = 8;
const GROUPS: usize = 1000;
const PARTITIONS: i32 = 200;
/// Versions that all peers speak.
const FIND_COORDINATOR: i16 = 2;
const OFFSET_COMMIT: i16 = 5;
const OFFSET_FETCH: i16 = 5;

/// Without syncs on both sides, and with ours as they are by default; then the offsets.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for fsync in [false, true] {
        let name = match fsync {
            false => TRANSACTIONS.to_owned(),
            true => format!("{TRANSACTIONS}, ours with fsync"),
        };
        let parameters = json!({ "producers": PRODUCERS, "fsync": fsync });
        cases.push(Case::new(
            name,
            parameters,
            move |stage, system, figures| transactions(stage, system, fsync, figures),
        ));
    }
    let parameters = json!({ "groups": GROUPS, "partitions": PARTITIONS });
    let mut offsets = Case::new(OFFSETS, parameters, committed_offsets);
    offsets.long = true;
    cases.push(offsets);
    cases
}

fn transactions(
    stage: &mut Stage,
    system: System,
    fsync: bool,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let target = stage.warm(system, fsync)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let time = stage.time;
    let (committed, seconds, server) = target.on_topic(3, &[], || {
        runtime.block_on(async {
            let producers = producers(&target.address).await?;
            // The first of each makes what the others find.
            run(&producers, Duration::from_millis(200)).await?;
            let before = crate::bench::process::cpu(target.pid)?;
            let begun = Instant::now();
            let committed = run(&producers, time).await?;
            let seconds = begun.elapsed().as_secs_f64();
            let server = crate::bench::process::cpu(target.pid)? - before;
            for producer in producers {
                producer.close(Duration::from_secs(10)).await;
            }
            Ok((committed, seconds, server))
        })
    })?;
    figures.push(("transactions/s", committed as f64 / seconds));
    let cost = server.total() * 1e6 / committed as f64;
    figures.push(("server CPU per transaction, µs", cost));
    Ok(())
}

async fn producers(address: &str) -> anyhow::Result<Vec<Producer>> {
    let mut producers = Vec::new();
    for at in 0..PRODUCERS {
        let producer = Producer::new(ProducerConfig {
            client: ClientConfig::new([address]),
            transactional_id: Some(format!("bench-{at}")),
            linger: Duration::ZERO,
            ..ProducerConfig::default()
        })?;
        producer.init_transactions().await?;
        producers.push(producer);
    }
    Ok(producers)
}

/// Lets every producer commit one transaction after the other; returns how many there were.
async fn run(producers: &[Producer], time: Duration) -> anyhow::Result<u64> {
    let end = Instant::now() + time;
    let mut tasks = tokio::task::JoinSet::new();
    for producer in producers {
        let producer = producer.clone();
        tasks.spawn(async move {
            let mut committed = 0u64;
            while Instant::now() < end {
                let transaction = producer.begin_transaction().await?;
                let record = ProducerRecord::new(TOPIC, vec![b'x'; 100]);
                let delivery = transaction.send(record).await?;
                transaction.commit().await?;
                delivery.await?;
                committed += 1;
            }
            anyhow::Ok(committed)
        });
    }
    let mut committed = 0;
    while let Some(task) = tasks.join_next().await {
        committed += task??;
    }
    Ok(committed)
}

fn committed_offsets(
    stage: &mut Stage,
    system: System,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    stage.rest()?;
    let mut server = stage.fresh(system, Setup::PLAIN)?.start()?;
    let address = server.bootstrap.clone();
    topics::create(&address, TOPIC, PARTITIONS, &[])?;
    topics::retry("coordinate groups", || is_coordinated(&address))?;
    let begun = Instant::now();
    let mut connection = Connection::open(&address)?;
    for group in 0..GROUPS {
        topics::retry("commit offsets", || commit(&mut connection, group))?;
    }
    figures.push(("commit of all, s", begun.elapsed().as_secs_f64()));
    server.end(Signal::KILL)?;
    let begun = server.launch()?;
    let serves = || topics::serves(&address, TOPIC, PARTITIONS).map(|()| true);
    let topic_ready = server.wait_until(begun, serves)?;
    let ready = server.wait_until(begun, || are_known(&address).map(|()| true))?;
    figures.push(("topic ready after SIGKILL, s", topic_ready.as_secs_f64()));
    figures.push(("offsets ready after SIGKILL, s", ready.as_secs_f64()));
    Ok(())
}

fn group_name(group: usize) -> String {
    format!("group-{group}")
}

/// Asks for a coordinator, which makes the topic of offsets.
pub(super) fn is_coordinated(address: &str) -> anyhow::Result<()> {
    let request = FindCoordinatorRequest {
        key: group_name(0).as_str().into(),
        ..FindCoordinatorRequest::default()
    };
    let answer = Connection::open(address)?.call(FIND_COORDINATOR, &request)?;
    Ok(ErrorCode::check(answer.error_code)?)
}

/// Commits an offset in every partition.
fn commit(connection: &mut Connection, group: usize) -> anyhow::Result<()> {
    let partitions = (0..PARTITIONS).map(|at| OffsetCommitRequestPartition {
        partition_index: at,
        committed_offset: i64::from(at),
        ..OffsetCommitRequestPartition::default()
    });
    let topic = OffsetCommitRequestTopic {
        name: TOPIC.into(),
        partitions: partitions.collect(),
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: group_name(group).as_str().into(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let answer = connection.call(OFFSET_COMMIT, &request)?;
    let codes = answer.topics.iter().flat_map(|topic| &topic.partitions);
    for partition in codes {
        ErrorCode::check(partition.error_code)?;
    }
    Ok(())
}

/// Whether every group's last offset is there.
fn are_known(address: &str) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    let last = PARTITIONS - 1;
    for group in 0..GROUPS {
        let topic = OffsetFetchRequestTopic {
            name: TOPIC.into(),
            partition_indexes: vec![last],
        };
        let request = OffsetFetchRequest {
            group_id: group_name(group).as_str().into(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequest::default()
        };
        let answer = connection.call(OFFSET_FETCH, &request)?;
        ErrorCode::check(answer.error_code)?;
        let found = answer
            .topics
            .first()
            .and_then(|topic| topic.partitions.first());
        let found = found.context("an answer without the partition")?;
        ErrorCode::check(found.error_code)?;
        let offset = found.committed_offset;
        ensure!(
            offset == i64::from(last),
            "offset {offset} of {}",
            group_name(group)
        );
    }
    Ok(())
}
