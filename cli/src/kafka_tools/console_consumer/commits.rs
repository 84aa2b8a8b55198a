//! What was printed, committed every few seconds and at the end.
//!
//! Invariant: only what was printed is committed; partitions that others have by now are theirs to
//! commit.

use std::time::Duration;

use logway_client::{Consumer, ConsumerRecord, OffsetAndMetadata, TopicPartition, next_offsets};
use tokio::time::Instant;

use super::CLASS;
use crate::kafka_tools::output::log;
use crate::stop::{Stop, StopSignal};

const EVERY: Duration = Duration::from_secs(5);
/// What the last commit may take.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);

/// Offsets that are to be committed.
pub(super) struct Commits<'a> {
    /// Nothing where nothing is committed.
    consumer: Option<&'a Consumer>,
    done: Vec<(TopicPartition, OffsetAndMetadata)>,
    committed: Instant,
}

impl<'a> Commits<'a> {
    pub(super) fn of(consumer: Option<&'a Consumer>) -> Self {
        Self {
            consumer,
            done: Vec::new(),
            committed: Instant::now(),
        }
    }

    /// These records were printed.
    pub(super) fn note(&mut self, records: &[ConsumerRecord]) {
        for (at, next) in next_offsets(records) {
            match self.done.iter_mut().find(|(known, _)| *known == at) {
                Some((_, known)) => *known = next,
                None => self.done.push((at, next)),
            }
        }
    }

    /// Commits if it is time; a signal that comes meanwhile.
    pub(super) async fn in_time(&mut self, stop: &mut StopSignal) -> Option<Stop> {
        if self.committed.elapsed() < EVERY {
            return None;
        }
        self.committed = Instant::now();
        tokio::select! {
            by = stop.wait() => Some(by),
            () = self.commit() => None,
        }
    }

    /// The last commit.
    pub(super) async fn last(&mut self) {
        if tokio::time::timeout(LAST_TIMEOUT, self.commit())
            .await
            .is_err()
        {
            warn(format_args!("no answer in {LAST_TIMEOUT:?}"));
        }
    }

    async fn commit(&mut self) {
        let Some(consumer) = self.consumer.filter(|_| !self.done.is_empty()) else {
            return;
        };
        if let Err(error) = consumer.commit(&self.done).await {
            warn(&error);
        }
        self.done.clear();
    }
}

fn warn(reason: impl std::fmt::Display) {
    log(
        "WARN",
        format!("Offsets were not committed: {reason}"),
        CLASS,
    );
}
