//! The task that keeps the metadata fresh.
//!
//! Invariant: at most one request at a time, and never two without a pause; it asks when asked to,
//! when the snapshot is old, and while a topic it follows has an error that may pass.

use std::time::Duration;

use logway_protocol::message::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::Cluster;
use crate::backoff::Backoff;
use crate::error::RequestError;
use crate::metadata::Metadata;

/// How long a topic that is not used any more is still asked for (`metadata.max.idle.ms`).
const IDLE_MAX: Duration = Duration::from_secs(300);

pub(super) async fn run(cluster: Cluster) {
    let config = cluster.config().clone();
    let mut failures = Backoff::new(config.retry_backoff, config.retry_backoff_max);
    let mut passing = failures.clone();
    let mut is_away = false;
    let mut next: Option<Instant> = None;
    loop {
        match next {
            None => cluster.shared.wanted.notified().await,
            Some(at) => {
                tokio::select! {
                    () = cluster.shared.wanted.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                }
            }
        }
        let pause = match refresh(&cluster).await {
            Ok(metadata) => {
                if is_away {
                    debug!(target: "logway_client", "cluster answers again");
                }
                is_away = false;
                failures.reset();
                let pause = if is_complete(&metadata) {
                    passing.reset();
                    config.metadata_max_age
                } else {
                    passing.next()
                };
                cluster.publish(metadata);
                pause
            }
            Err(error) => {
                if !is_away {
                    warn!(
                        target: "logway_client",
                        error = &error as &dyn std::error::Error,
                        bootstrap = ?config.bootstrap_servers,
                        "no broker answers, trying on"
                    );
                }
                is_away = true;
                failures.next()
            }
        };
        next = Some(Instant::now() + pause);
        tokio::time::sleep(pause.min(config.retry_backoff)).await;
    }
}

async fn refresh(cluster: &Cluster) -> Result<Metadata, RequestError> {
    let topics: Vec<_> = {
        let mut interest = cluster.shared.interest.lock();
        interest.retain(|_, used| used.is_none_or(|used| used.elapsed() < IDLE_MAX));
        interest.keys().cloned().collect()
    };
    let request = MetadataRequest {
        topics: Some(
            topics
                .iter()
                .map(|topic| MetadataRequestTopic {
                    name: Some((**topic).into()),
                    ..Default::default()
                })
                .collect(),
        ),
        allow_auto_topic_creation: cluster.shared.allow_auto_create_topics,
        ..Default::default()
    };
    let asked_at = Instant::now();
    let response: MetadataResponse = cluster.call_any(&request).await?;
    let metadata = cluster.metadata().next(&response, asked_at);
    cluster.adopt_bootstrap(&metadata);
    Ok(metadata)
}

/// Whether nothing is missing that may come by itself.
fn is_complete(metadata: &Metadata) -> bool {
    !metadata.nodes.is_empty()
        && metadata.topics.values().all(|topic| match topic {
            Ok(topic) => topic
                .partitions
                .iter()
                .all(|partition| metadata.nodes.contains_key(&partition.leader)),
            Err(code) => !code.is_retriable(),
        })
}
