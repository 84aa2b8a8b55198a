//! Patterns in a classic group, where members match names themselves.
//!
//! Invariant: it only rewrites the topics that the member's task wants; that task alone speaks
//! with the group. Topics that come or go are noticed within `metadata.max.age.ms`. Step 10 of the
//! hallway.

use std::sync::Arc;

use logway_protocol::message::metadata::{MetadataRequest, MetadataResponse};
use regex::Regex;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::Shared;
use super::subscribe::Wanted;
use crate::backoff::Backoff;
use crate::error::RequestError;

/// A pattern that has to match a whole name.
pub(super) fn whole_names(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

/// Keeps `wanted.topics` to what `wanted.pattern` matches, for as long as it is polled.
pub(super) async fn follow(shared: Arc<Shared>, wanted: Arc<watch::Sender<Wanted>>) {
    let client = &shared.config.client;
    let mut backoff = Backoff::new(client.retry_backoff, client.retry_backoff_max);
    let mut changes = wanted.subscribe();
    loop {
        let pause = match list_matching(&shared, &wanted).await {
            Ok(()) => {
                backoff.reset();
                client.metadata_max_age
            }
            Err(error) => {
                debug!(target: "logway_client", %error, "topics not listed");
                backoff.next()
            }
        };
        // Its own change is none for this task.
        changes.mark_unchanged();
        // The sender is at hand, so it is a change or the time.
        let _due = tokio::time::timeout(pause, changes.changed()).await;
    }
}

/// Lists the cluster's topics once and wants those that match.
pub(super) async fn list_matching(
    shared: &Shared,
    wanted: &watch::Sender<Wanted>,
) -> Result<(), RequestError> {
    let Some(pattern) = wanted.borrow().pattern.clone() else {
        return Ok(());
    };
    let matching = match whole_names(&pattern) {
        Ok(matching) => matching,
        // It was checked when it was given.
        Err(error) => {
            warn!(target: "logway_client", %error, "pattern cannot be used");
            return Ok(());
        }
    };
    let request = MetadataRequest {
        topics: None,
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let response: MetadataResponse = shared.cluster.call_any(&request).await?;
    let names = response
        .topics
        .iter()
        .filter(|topic| topic.error_code == 0 && !topic.is_internal);
    let mut topics: Vec<Arc<str>> = names
        .filter_map(|topic| topic.name.as_deref())
        .filter(|name| matching.is_match(name))
        .map(Arc::from)
        .collect();
    topics.sort_unstable();
    wanted.send_if_modified(|present| {
        // The caller may want something else by now.
        let is_new = present.pattern.as_ref() == Some(&pattern) && present.topics != topics;
        if is_new {
            present.topics = topics;
        }
        is_new
    });
    Ok(())
}
