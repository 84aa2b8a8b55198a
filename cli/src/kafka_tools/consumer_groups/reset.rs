//! `--reset-offsets`: where a group shall go on reading.
//!
//! Invariant: a new offset lies within the log; nothing is written without `--execute`, and
//! nothing while the group has members.

use logway_client::{Admin, ErrorCode, OffsetSpec, TopicPartition};

use super::describe::describe;
use super::table::{column, text};
use super::{instant, list, targets};
use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::hash_order;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::{log, out};

type Offsets = Vec<(TopicPartition, i64)>;

const CLASS: &str = "org.apache.kafka.tools.OffsetsUtils";

/// Works out the offsets, sets them if that is asked for, and prints them.
pub(super) async fn run(admin: &Admin, parsed: &Parsed) -> Result<(), Exception> {
    let mut names = list::named(admin, parsed).await?;
    names.sort();
    hash_order::grown(&mut names, |name| name);
    let mut plans: Vec<(&str, Offsets)> = Vec::new();
    for name in &names {
        let state = match describe(admin, name).await {
            Ok(group) => group.state,
            Err(exception) if exception.class.ends_with("GroupIdNotFoundException") => {
                "Dead".to_owned()
            }
            Err(exception) => return Err(exception),
        };
        if !matches!(state.as_str(), "Empty" | "Dead") {
            out(format!(
                "\nError: Assignments can only be reset if the group '{name}' is inactive, but the \
                 current state is {state}."
            ));
            plans.push((name, Vec::new()));
            continue;
        }
        let plan = plan(admin, parsed, name).await?;
        if parsed.has("execute") {
            execute(admin, name, &plan).await?;
        }
        plans.push((name, plan));
    }
    if parsed.has("export") {
        out(csv(&plans));
    } else {
        print(&plans);
    }
    Ok(())
}

async fn execute(admin: &Admin, group: &str, plan: &Offsets) -> Result<(), Exception> {
    let results = admin
        .alter_group_offsets(group, plan)
        .await
        .map_err(|error| Exception::of_call(&error, "alterConsumerGroupOffsets"))?;
    for (_, result) in results {
        result.map_err(|error| Exception::of_call(&error, "alterConsumerGroupOffsets"))?;
    }
    Ok(())
}

fn csv(plans: &[(&str, Offsets)]) -> String {
    let is_one = plans.len() == 1;
    let mut text = String::new();
    for (group, offsets) in plans {
        for (at, offset) in offsets {
            if !is_one {
                text.push_str(&format!("{group},"));
            }
            text.push_str(&format!("{},{},{offset}\n", at.topic, at.partition));
        }
    }
    text
}

fn print(plans: &[(&str, Offsets)]) {
    let rows: Vec<Vec<String>> = plans
        .iter()
        .flat_map(|(group, offsets)| {
            offsets.iter().map(|(at, offset)| {
                vec![
                    (*group).to_owned(),
                    at.topic.to_string(),
                    at.partition.to_string(),
                    offset.to_string(),
                ]
            })
        })
        .collect();
    let columns = [
        column("GROUP", 15),
        column("TOPIC", 15),
        column("PARTITION", 10),
        column("NEW-OFFSET", 0),
    ];
    out(text(&columns, &rows));
}

async fn committed(admin: &Admin, group: &str) -> Result<Offsets, Exception> {
    let committed = admin.group_offsets(group).await;
    let committed =
        committed.map_err(|error| Exception::of_call(&error, "listConsumerGroupOffsets"))?;
    Ok(committed
        .into_iter()
        .map(|(at, c)| (at, c.offset))
        .collect())
}

/// The new offset of every partition that the command line means.
async fn plan(admin: &Admin, parsed: &Parsed, group: &str) -> Result<Offsets, Exception> {
    if let Some(path) = parsed.get("from-file") {
        let wanted = from_file(path, group)?;
        return within(admin, wanted).await;
    }
    let places = if parsed.has("all-topics") {
        committed(admin, group)
            .await?
            .into_iter()
            .map(|(at, _)| at)
            .collect()
    } else {
        targets::strict(admin, parsed).await?
    };
    if parsed.has("to-earliest") {
        return listed(admin, &places, OffsetSpec::Earliest).await;
    }
    if parsed.has("to-latest") {
        return listed(admin, &places, OffsetSpec::Latest).await;
    }
    let to_offset: Option<i64> = parsed.number("to-offset").map_err(Exception::conversion)?;
    if let Some(offset) = to_offset {
        return within(admin, places.into_iter().map(|at| (at, offset)).collect()).await;
    }
    if let Some(text) = parsed.get("to-datetime") {
        return at_time(admin, &places, instant::datetime(text)?).await;
    }
    if let Some(text) = parsed.get("by-duration") {
        let now = jiff::Timestamp::now().as_millisecond();
        return at_time(admin, &places, now - instant::duration(text)?).await;
    }
    let shift: Option<i64> = parsed.number("shift-by").map_err(Exception::conversion)?;
    let current = committed(admin, group).await?;
    let current_of = |at: &TopicPartition| {
        let found = current.iter().find(|(known, _)| known == at);
        found.map(|(_, offset)| *offset)
    };
    match shift {
        Some(shift) => {
            let mut wanted = Vec::new();
            for at in places {
                let from = current_of(&at).ok_or_else(|| {
                    Exception::illegal_argument(format!(
                        "Cannot shift offset for partition {}-{} since there is no current committed offset",
                        at.topic, at.partition
                    ))
                })?;
                wanted.push((at, from.saturating_add(shift)));
            }
            within(admin, wanted).await
        }
        None => {
            let ends = listed(admin, &places, OffsetSpec::Latest).await?;
            Ok(ends
                .into_iter()
                .map(|(at, end)| (at.clone(), current_of(&at).unwrap_or(end)))
                .collect())
        }
    }
}

async fn listed(
    admin: &Admin,
    places: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<Offsets, Exception> {
    let wanted: Vec<_> = places.iter().map(|at| (at.clone(), spec)).collect();
    let failed = |error| Exception::of_call(&error, "listOffsets");
    let listed = admin.list_offsets(&wanted).await.map_err(failed)?;
    let mut offsets = Vec::new();
    for (at, listed) in listed {
        offsets.push((at, listed.map_err(failed)?.offset.unwrap_or(-1)));
    }
    Ok(offsets)
}

async fn at_time(
    admin: &Admin,
    places: &[TopicPartition],
    time: i64,
) -> Result<Offsets, Exception> {
    let found = listed(admin, places, OffsetSpec::Timestamp(time)).await?;
    let ends = listed(admin, places, OffsetSpec::Latest).await?;
    let offsets = found.into_iter().zip(ends).map(|((at, offset), (_, end))| {
        if offset >= 0 {
            return (at, offset);
        }
        out(format!(
            "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
            at.partition, at.topic
        ));
        (at, end)
    });
    Ok(offsets.collect())
}

/// The offsets, moved to the nearest end of the log where they lie outside.
async fn within(admin: &Admin, wanted: Offsets) -> Result<Offsets, Exception> {
    let places: Vec<_> = wanted.iter().map(|(at, _)| at.clone()).collect();
    let begins = listed(admin, &places, OffsetSpec::Earliest).await?;
    let ends = listed(admin, &places, OffsetSpec::Latest).await?;
    let bounds = begins.into_iter().zip(ends);
    let moved = wanted.into_iter().zip(bounds).map(|((at, offset), ((_, begin), (_, end)))| {
        let place = format!("{}-{}", at.topic, at.partition);
        let (bound, words) = if offset > end {
            (end, "higher than latest")
        } else if offset < begin {
            (begin, "lower than earliest")
        } else {
            return (at, offset);
        };
        log(
            "WARN",
            format!(
                "New offset ({offset}) is {words} offset for topic partition {place}. Value will be set to {bound}"
            ),
            CLASS,
        );
        (at, bound)
    });
    Ok(moved.collect())
}

/// Lines `topic,partition,offset`, with the group before where there are several.
fn from_file(path: &str, group: &str) -> Result<Offsets, Exception> {
    let text = std::fs::read_to_string(path).map_err(|_| {
        let inner = format!("java.nio.file.NoSuchFileException: {path}");
        Exception::new("java.lang.RuntimeException", inner)
    })?;
    let mut offsets = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let (topic, partition, offset) = match fields[..] {
            [topic, partition, offset] => (topic, partition, offset),
            [named, topic, partition, offset] => {
                if named != group {
                    continue;
                }
                (topic, partition, offset)
            }
            _ => return Err(unreadable(line)),
        };
        match (partition.parse(), offset.parse()) {
            (Ok(partition), Ok(offset)) => {
                offsets.push((TopicPartition::new(topic, partition), offset));
            }
            _ => return Err(unreadable(line)),
        }
    }
    Ok(offsets)
}

fn unreadable(line: &str) -> Exception {
    let code = ErrorCode::InvalidRequest;
    Exception::of_code(
        code,
        Some(&format!(
            "line `{line}` is not topic,partition,offset with an optional group before"
        )),
    )
}
