//! `logway consume`: prints records as they come, or up to the end.

use std::time::Duration;

use logway_client::{
    Admin, AutoOffsetReset, Consumer, ConsumerConfig, ConsumerRecord, OffsetSpec, Polled, Start,
    TopicPartition, next_offsets,
};

use crate::args::{Consume, Output};
use crate::failure::Failure;
use crate::moment;
use crate::offsets;
use crate::progress::{Progress, Unit};
use crate::record_format;
use crate::stop::StopSignal;
use crate::table::print;

const POLL: Duration = Duration::from_millis(500);

/// Prints until a signal, the count, or (with `--exit`) the end of the topic.
pub(crate) async fn run(args: Consume) -> Result<(), Failure> {
    let doing = format!("consume `{}`", args.topic);
    let mut stop = StopSignal::listen()?;
    let start = start(&args)?;
    let ends = match args.exit {
        true => Some(ends(&args).await?),
        false => None,
    };
    let consumer = Consumer::new(ConsumerConfig {
        client: args.cluster.client()?,
        group_id: args.group.clone(),
        auto_offset_reset: match start {
            Start::End => AutoOffsetReset::Latest,
            _ => AutoOffsetReset::Earliest,
        },
        ..ConsumerConfig::default()
    })
    .map_err(|error| Failure::usage(error.to_string()))?;
    begin(&consumer, &args, start).await?;
    let format = format(&args);
    // How far it is to a count or to the end; who reads on has none.
    let progress = match (args.count, &ends) {
        (None, None) => Progress::hidden(),
        (count, _) => Progress::without_results(count, Unit::Records),
    };
    let mut stopped = None;
    let (mut done, mut left) = (0, args.count.unwrap_or(u64::MAX));
    while left > 0 {
        let polled = tokio::select! {
            by = stop.wait() => {
                stopped = Some(by);
                break;
            }
            polled = consumer.poll(POLL) => polled.map_err(|e| Failure::failed(e, &doing))?,
        };
        if let (Polled::Assigned(assigned), Start::Offset(_) | Start::Timestamp(_)) =
            (&polled, start)
        {
            begin_first(&consumer, assigned, start).await?;
        }
        if let Polled::Records(records) = polled {
            let take = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(records.len());
            print(&text(&records[..take], &args, &format))?;
            left -= take as u64;
            done += take as u64;
            if args.count.is_some() {
                progress.at(done, left);
            }
            if args.group.is_some() {
                let next = next_offsets(&records[..take]);
                consumer
                    .commit(&next)
                    .await
                    .map_err(|e| Failure::failed(e, "commit"))?;
            }
        }
        if let Some(ends) = &ends {
            match still(&consumer, ends) {
                Some(0) => break,
                Some(still) if args.count.is_none() => progress.at(done, still),
                _ => {}
            }
        }
    }
    stop.unless_again(consumer.close()).await;
    stopped.map_or(Ok(()), |by| Err(Failure::stopped(by)))
}

/// Records as they are printed.
fn text(records: &[ConsumerRecord], args: &Consume, format: &str) -> Vec<u8> {
    let mut text = Vec::new();
    for record in records {
        match args.output {
            Output::Json => record_format::write_json(&mut text, record),
            Output::Table => record_format::write(&mut text, format, record),
        }
    }
    text
}

async fn begin(consumer: &Consumer, args: &Consume, start: Start) -> Result<(), Failure> {
    let doing = format!("consume `{}`", args.topic);
    let begun = if args.group.is_some() {
        consumer.subscribe([args.topic.as_str()]).await
    } else {
        let partitions = partitions(&args.cluster.admin()?, args).await?;
        let assignment = partitions.into_iter().map(|at| (at, start)).collect();
        consumer.assign(assignment).await
    };
    begun.map_err(|e| Failure::failed(e, &doing))
}

/// Where to begin.
fn start(args: &Consume) -> Result<Start, Failure> {
    Ok(match args.from.as_str() {
        "beginning" => Start::Beginning,
        "end" => Start::End,
        text => match text.parse() {
            Ok(offset @ 0..) => Start::Offset(offset),
            _ => Start::Timestamp(moment::required("--from", text)?),
        },
    })
}

/// A group that never committed a partition begins where the command line says.
async fn begin_first(
    consumer: &Consumer,
    assigned: &[TopicPartition],
    start: Start,
) -> Result<(), Failure> {
    let doing = "find where the group left off";
    let committed = consumer.committed(assigned).await;
    for (at, committed) in committed.map_err(|e| Failure::failed(e, doing))? {
        if committed.is_none() {
            let sought = consumer.seek_to(&at, start);
            sought.map_err(|e| Failure::failed(e, doing))?;
        }
    }
    Ok(())
}

async fn partitions(admin: &Admin, args: &Consume) -> Result<Vec<TopicPartition>, Failure> {
    let failed = |e| Failure::failed(e, &format!("find topic `{}`", args.topic));
    let topics = admin
        .describe_topics(&[args.topic.as_str()])
        .await
        .map_err(failed)?;
    let mut found = Vec::new();
    for (_, topic) in topics {
        for p in topic.map_err(failed)?.partitions {
            if args.partition.is_none_or(|wanted| wanted == p.partition) {
                found.push(TopicPartition::new(args.topic.as_str(), p.partition));
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::usage(format!(
            "topic `{}` has no such partition",
            args.topic
        )));
    }
    Ok(found)
}

/// Where each partition ends now; empty partitions are left out.
async fn ends(args: &Consume) -> Result<Vec<(TopicPartition, i64)>, Failure> {
    let admin = args.cluster.admin()?;
    let failed = |e| Failure::failed(e, &format!("find the end of `{}`", args.topic));
    let partitions = partitions(&admin, args).await?;
    let first = offsets::list(&admin, &partitions, OffsetSpec::Earliest)
        .await
        .map_err(failed)?;
    let next = offsets::list(&admin, &partitions, OffsetSpec::Latest)
        .await
        .map_err(failed)?;
    let mut ends = Vec::new();
    for (at, next) in next {
        let next = next.map_err(failed)?.offset.unwrap_or(0);
        let begins = offsets::of(&first, &at).unwrap_or(0);
        if next > begins {
            ends.push((at, next));
        }
    }
    Ok(ends)
}

/// How many offsets are left of what was there at the start; nothing before all positions are
/// known.
fn still(consumer: &Consumer, ends: &[(TopicPartition, i64)]) -> Option<u64> {
    let left = |(at, end): &(TopicPartition, i64)| {
        let left = (end - consumer.position(at)?).max(0);
        u64::try_from(left).ok()
    };
    ends.iter().map(left).sum()
}

/// The format that the options stand for.
fn format(args: &Consume) -> String {
    if let Some(format) = &args.format {
        return format.clone();
    }
    let mut format = String::new();
    if args.print_headers {
        format.push_str("%h\\t");
    }
    if args.print_key {
        format.push_str("%k\\t");
    }
    format.push_str("%s\\n");
    format
}
