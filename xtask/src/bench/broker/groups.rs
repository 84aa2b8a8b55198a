//! What groups cost: heartbeats of many that are at rest, and how long a large one takes to share its
//! partitions once its last member is there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use logway_protocol::message::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use logway_protocol::message::heartbeat::HeartbeatRequest;
use logway_protocol::message::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use logway_protocol::message::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use logway_protocol::{ErrorCode, Text};
use serde_json::json;

use super::coordinators::is_coordinated;
use super::stage::{Stage, TOPIC};
use super::{Case, Figures};
use crate::bench::load::{connection::Connection, topics};
use crate::bench::process;
use crate::bench::server::System;

/// The case of groups at rest.
pub(super) const HEARTBEATS: &str =
    "heartbeats of 1,000 groups of 5 members, every 3 s, consumer protocol";
/// The case of a large group.
pub(super) const REBALANCE: &str =
    "rebalance of 200 members with 1,000 partitions, classic protocol";

const GROUPS: usize = 1000;
const MEMBERS: usize = 5;
const INTERVAL: Duration = Duration::from_secs(3);
/// Connections of the heartbeats; each has the members of a share of the groups.
const CONNECTIONS: usize = 10;
const LARGE: usize = 200;
const LARGE_PARTITIONS: usize = 1000;
/// Pause between two heartbeats of a large group's members.
const PAUSE: Duration = Duration::from_millis(100);
const SESSION_MS: i32 = 30_000;

/// Both cases.
pub(super) fn cases() -> Vec<Case> {
    let parameters = json!({ "groups": GROUPS, "members": MEMBERS, "interval_ms": 3000 });
    let rest = Case::new(HEARTBEATS, parameters, heartbeats);
    let parameters = json!({ "members": LARGE, "partitions": LARGE_PARTITIONS });
    vec![rest, Case::new(REBALANCE, parameters, rebalance)]
}

/// A member of the consumer protocol that does what it is told.
struct Member {
    group: Text,
    id: Text,
    epoch: i32,
    holds: Vec<TopicPartitions>,
}

impl Member {
    fn new(run: u32, number: usize) -> Member {
        Member {
            group: Text::from(format!("rest-{run}-{}", number / MEMBERS)),
            id: Text::from(format!("member-{number}")),
            epoch: 0,
            holds: Vec::new(),
        }
    }

    fn beat(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let joins = self.epoch == 0;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if joins { 60_000 } else { -1 },
            subscribed_topic_names: joins.then(|| vec![TOPIC.into()]),
            topic_partitions: Some(self.holds.clone()),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let answer = connection.call(1, &request)?;
        ErrorCode::check(answer.error_code)?;
        self.epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            let topics = assignment.topic_partitions.into_iter();
            let topics = topics.map(|of| TopicPartitions {
                topic_id: of.topic_id,
                partitions: of.partitions,
            });
            self.holds = topics.collect();
        }
        Ok(())
    }
}

fn heartbeats(stage: &mut Stage, system: System, figures: &mut Figures) -> anyhow::Result<()> {
    let target = stage.warm(system, false)?;
    topics::retry("coordinate groups", || is_coordinated(&target.address))?;
    let time = stage.time.max(INTERVAL * 5);
    let run = std::process::id();
    let measured = target.on_topic(i32::try_from(MEMBERS)?, &[], || {
        std::thread::scope(|threads| {
            let begun = Instant::now();
            let handles: Vec<_> = (0..CONNECTIONS)
                .map(|at| {
                    let address = target.address.clone();
                    threads
                        .spawn(move || beat_all(&address, (run, at), begun + INTERVAL * 5 + time))
                })
                .collect();
            // Everyone joins and gets its share in the first rounds.
            std::thread::sleep(INTERVAL * 5);
            let (before, since) = (process::cpu(target.pid)?, Instant::now());
            std::thread::sleep(time);
            let used = (process::cpu(target.pid)? - before).total();
            let share = used / since.elapsed().as_secs_f64() * 100.0;
            let mut held = 0;
            for handle in handles {
                held += handle
                    .join()
                    .map_err(|_| anyhow::anyhow!("a thread died"))??;
            }
            ensure!(held == GROUPS * MEMBERS, "{held} partitions are held");
            Ok(share)
        })
    })?;
    figures.push(("server CPU, % of a core", measured));
    Ok(())
}

/// Beats for the members of one connection, evenly spread; how many partitions they have at the end.
fn beat_all(address: &str, (run, at): (u32, usize), until: Instant) -> anyhow::Result<usize> {
    let share = GROUPS * MEMBERS / CONNECTIONS;
    let numbers = at * share..(at + 1) * share;
    let mut members: Vec<Member> = numbers.map(|number| Member::new(run, number)).collect();
    let mut connection = Connection::open(address)?;
    let pause = INTERVAL / u32::try_from(share)?;
    let (mut due, mut next) = (Instant::now(), 0);
    while Instant::now() < until {
        let member = &mut members[next % share];
        topics::retry("beat", || member.beat(&mut connection))?;
        next += 1;
        due += pause;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let held = members.iter().flat_map(|member| &member.holds);
    let held = held.map(|of| of.partitions.len()).sum();
    for member in &mut members {
        // Leaves: the next round finds no old members.
        (member.epoch, member.holds) = (-1, Vec::new());
        member.beat(&mut connection)?;
    }
    Ok(held)
}

fn rebalance(stage: &mut Stage, system: System, figures: &mut Figures) -> anyhow::Result<()> {
    let target = stage.warm(system, false)?;
    topics::retry("coordinate groups", || is_coordinated(&target.address))?;
    // Another group each time: the members of the last one may not have left.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let group = Text::from(format!("large-{}", now.as_micros()));
    let joined = AtomicUsize::new(0);
    let settled = AtomicUsize::new(0);
    let last = std::sync::Mutex::new(None);
    let seconds = std::thread::scope(|threads| {
        let handles: Vec<_> = (0..LARGE)
            .map(|_| {
                threads.spawn(|| {
                    let mut connection = Connection::open(&target.address)?;
                    // The last to come sees all others.
                    if joined.fetch_add(1, Ordering::SeqCst) + 1 == LARGE {
                        *last.lock().map_err(|_| anyhow::anyhow!("a thread died"))? =
                            Some(Instant::now());
                    }
                    take_part(&mut connection, &group, &settled)
                })
            })
            .collect();
        let mut end = Instant::now();
        for handle in handles {
            let at = handle
                .join()
                .map_err(|_| anyhow::anyhow!("a thread died"))??;
            end = end.max(at);
        }
        let last = last.lock().map_err(|_| anyhow::anyhow!("a thread died"))?;
        let last = last.context("nobody was the last")?;
        anyhow::Ok(end.saturating_duration_since(last).as_secs_f64())
    })?;
    figures.push(("last join to all assigned, s", seconds));
    Ok(())
}

/// Joins as often as it is called until a generation has all members; when it had its share then.
fn take_part(
    connection: &mut Connection,
    group: &Text,
    settled: &AtomicUsize,
) -> anyhow::Result<Instant> {
    let mut id = Text::default();
    loop {
        let joined = join(connection, group, &id)?;
        id = joined.member_id.clone();
        if joined.error_code != 0 {
            retriable(joined.error_code)?;
            std::thread::sleep(PAUSE);
            continue;
        }
        let size = sync(connection, group, &joined)?;
        if size == LARGE {
            let at = Instant::now();
            settled.fetch_add(1, Ordering::SeqCst);
            // Whoever stops beating would bring the others out of their generation.
            while settled.load(Ordering::SeqCst) < LARGE {
                beat(connection, group, &joined)?;
                std::thread::sleep(PAUSE);
            }
            return Ok(at);
        }
        while beat(connection, group, &joined)? == ErrorCode::None {
            std::thread::sleep(PAUSE);
        }
    }
}

fn join(connection: &mut Connection, group: &Text, id: &Text) -> anyhow::Result<JoinGroupResponse> {
    let request = JoinGroupRequest {
        group_id: group.clone(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: 60_000,
        member_id: id.clone(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: vec![0; 40].into(),
        }],
        ..JoinGroupRequest::default()
    };
    connection.call(3, &request)
}

/// Gets its share, of which the first byte pair says how many members there are; 0 if it is called.
fn sync(
    connection: &mut Connection,
    group: &Text,
    joined: &JoinGroupResponse,
) -> anyhow::Result<usize> {
    let count = u16::try_from(joined.members.len())?;
    let mut share = count.to_be_bytes().to_vec();
    // As many bytes as the numbers of a member's partitions take.
    share.resize(2 + LARGE_PARTITIONS / LARGE * 4, 0);
    let each = joined.members.iter();
    let request = SyncGroupRequest {
        group_id: group.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: each
            .map(|member| SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: share.clone().into(),
            })
            .collect(),
        ..SyncGroupRequest::default()
    };
    let answer = connection.call(2, &request)?;
    match ErrorCode::from_code(answer.error_code) {
        ErrorCode::None => match answer.assignment.get(..2) {
            Some(&[high, low]) => Ok(usize::from(u16::from_be_bytes([high, low]))),
            _ => bail!("a share without its count"),
        },
        _ => retriable(answer.error_code).map(|()| 0),
    }
}

fn beat(
    connection: &mut Connection,
    group: &Text,
    joined: &JoinGroupResponse,
) -> anyhow::Result<ErrorCode> {
    let request = HeartbeatRequest {
        group_id: group.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..HeartbeatRequest::default()
    };
    let answer = connection.call(2, &request)?;
    retriable(answer.error_code)?;
    Ok(ErrorCode::from_code(answer.error_code))
}

fn retriable(code: i16) -> anyhow::Result<()> {
    match ErrorCode::from_code(code) {
        ErrorCode::None
        | ErrorCode::RebalanceInProgress
        | ErrorCode::IllegalGeneration
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::NotCoordinator => Ok(()),
        _ => Ok(ErrorCode::check(code)?),
    }
}
