//! `logway topics`: list, describe, create and delete.

use logway_client::{NewTopic, OffsetSpec, TopicPartition};
use serde_json::Value;

use crate::args::{Cluster, Output, TopicAction, Topics};
use crate::failure::Failure;
use crate::offsets::{self, Listed};
use crate::table::{Table, print};

/// Runs one topic command.
pub(crate) async fn run(args: Topics) -> Result<(), Failure> {
    let Some(action) = args.action else {
        return names(&args.cluster).await;
    };
    match action {
        TopicAction::List { cluster, output } => list(&cluster, output).await,
        TopicAction::Describe {
            names,
            cluster,
            output,
        } => describe(names, &cluster, output).await,
        TopicAction::Create {
            name,
            partitions,
            replication_factor,
            config,
            cluster,
        } => {
            let topic = NewTopic {
                partitions: partitions.unwrap_or(-1),
                replication_factor: replication_factor.unwrap_or(-1),
                configs: config
                    .iter()
                    .map(|pair| setting(pair))
                    .collect::<Result<_, _>>()?,
                ..NewTopic::new(name.as_str())
            };
            let doing = format!("create topic `{name}`");
            cluster
                .admin()?
                .create_topic(topic)
                .await
                .map_err(|e| Failure::failed(e, &doing))
        }
        TopicAction::Delete { names, cluster } => delete(&names, &cluster).await,
    }
}

fn setting(pair: &str) -> Result<(String, String), Failure> {
    pair.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| Failure::usage(format!("setting `{pair}` is not NAME=VALUE")))
}

/// `--list`: one question to one broker.
async fn names(cluster: &Cluster) -> Result<(), Failure> {
    let topics = cluster.admin()?.list_topics().await;
    let topics = topics.map_err(|e| Failure::failed(e, "list topics"))?;
    let text: String = topics
        .iter()
        .map(|topic| format!("{}\n", topic.name))
        .collect();
    print(text.as_bytes())
}

async fn list(cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let mut topics = cluster
        .admin()?
        .list_topics()
        .await
        .map_err(|e| Failure::failed(e, "list topics"))?;
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let mut table = Table::new(&["TOPIC", "PARTITIONS", "INTERNAL"]);
    for topic in topics {
        table.row([
            topic.name.as_ref().into(),
            topic.partitions.into(),
            topic.internal.into(),
        ]);
    }
    table.print(output)
}

async fn describe(names: Vec<String>, cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let admin = cluster.admin()?;
    let failed = |e| Failure::failed(e, "describe topics");
    let names = if names.is_empty() {
        let topics = admin.list_topics().await.map_err(failed)?;
        topics
            .into_iter()
            .map(|topic| topic.name.to_string())
            .collect()
    } else {
        names
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut table = Table::new(&[
        "TOPIC",
        "PARTITION",
        "LEADER",
        "REPLICAS",
        "ISR",
        "FIRST",
        "NEXT",
    ]);
    for (name, topic) in admin.describe_topics(&names).await.map_err(failed)? {
        let topic = topic.map_err(|e| Failure::failed(e, &format!("describe topic `{name}`")))?;
        let place = |p: i32| TopicPartition::new(name.as_ref(), p);
        let places: Vec<_> = topic
            .partitions
            .iter()
            .map(|p| place(p.partition))
            .collect();
        let first = offsets::list(&admin, &places, OffsetSpec::Earliest)
            .await
            .map_err(failed)?;
        let next = offsets::list(&admin, &places, OffsetSpec::Latest)
            .await
            .map_err(failed)?;
        let offset = |listed: &Listed, p: i32| {
            offsets::of(listed, &place(p)).map_or(Value::Null, Into::into)
        };
        for p in &topic.partitions {
            table.row([
                name.as_ref().into(),
                p.partition.into(),
                p.leader.into(),
                p.replicas.clone().into(),
                p.isr.clone().into(),
                offset(&first, p.partition),
                offset(&next, p.partition),
            ]);
        }
    }
    table.print(output)
}

async fn delete(names: &[String], cluster: &Cluster) -> Result<(), Failure> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = cluster
        .admin()?
        .delete_topics(&names)
        .await
        .map_err(|e| Failure::failed(e, "delete topics"))?;
    for (name, result) in results {
        result.map_err(|e| Failure::failed(e, &format!("delete topic `{name}`")))?;
    }
    Ok(())
}
