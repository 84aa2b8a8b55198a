//! Where a newly assigned partition goes on.
//!
//! Invariant: the store's offset decides. Only when the log does not hold it any more, another is
//! chosen, stored and reported: the start of the log, so that nothing that is there is left out.
//! Step 11.

use super::feed::{Bounds, Feed, Partition};
use super::lag::PartitionLag;
use super::{Ended, Owned, Source};
use crate::store::{Claim, Placement, WriteError};

/// What to do with a claimed partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Go on where the store is.
    Resume(i64),
    /// Set the store to this offset and go on there.
    Place(i64, Placement),
}

/// Decides by what the store and the cluster say.
pub(super) fn decide(claim: &Claim, bounds: &Bounds) -> Decision {
    let Some(stored) = claim.next_offset else {
        return Decision::Place(bounds.log_start, Placement::First);
    };
    let both_known = !claim.topic_id.is_empty() && !bounds.topic_id.is_empty();
    let other_topic = both_known && claim.topic_id != bounds.topic_id;
    if other_topic || stored > bounds.log_end {
        return Decision::Place(bounds.log_start, Placement::Recreated);
    }
    if stored < bounds.log_start {
        let missing = (bounds.log_start - stored).unsigned_abs();
        return Decision::Place(bounds.log_start, Placement::Skipped(missing));
    }
    Decision::Resume(stored)
}

impl<F: Feed> Source<F> {
    /// Claims partitions in the store and seeks to where they go on.
    pub(super) async fn take_over(&mut self, partitions: Vec<Partition>) -> Result<(), Ended> {
        if partitions.is_empty() {
            return Ok(());
        }
        let Some(bounds) = self.ask_bounds(&partitions).await else {
            return Ok(());
        };
        for bounds in bounds {
            self.take_over_one(bounds).await?;
        }
        Ok(())
    }

    /// Asks until there is an answer; `None` when cancelled.
    async fn ask_bounds(&mut self, partitions: &[Partition]) -> Option<Vec<Bounds>> {
        loop {
            let cancel = self.cancel.clone();
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => return None,
                answer = self.feed.bounds(partitions) => answer,
            };
            match answer {
                Ok(bounds) => return Some(bounds),
                Err(error) => {
                    self.telemetry.consume_failed();
                    let text = super::describe(&error);
                    tracing::warn!(error = %text, "cannot learn the bounds of new partitions");
                    self.state.lock().trouble = Some(text);
                    self.pause().await;
                }
            }
        }
    }

    async fn take_over_one(&mut self, bounds: Bounds) -> Result<(), Ended> {
        let Partition { topic, index } = &bounds.partition;
        let claim = self.writer.claim(&self.group, topic, *index).await?;
        let decision = decide(&claim, &bounds);
        let mut claim = claim;
        let stored = claim.next_offset.unwrap_or(-1);
        if !bounds.topic_id.is_empty() {
            claim.topic_id.clone_from(&bounds.topic_id);
        }
        let offset = match decision {
            Decision::Resume(offset) => offset,
            Decision::Place(offset, placement) => {
                report(&bounds, stored, placement);
                match self.writer.place(&claim, offset, placement).await {
                    Ok(()) => offset,
                    // Someone else was quicker; the group will say whose the partition is.
                    Err(WriteError::Fenced { .. }) => {
                        self.unplaced.push(bounds.partition);
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        if let Err(error) = self.feed.seek(&bounds.partition, offset) {
            // Revoked meanwhile: the next poll says so.
            tracing::warn!(error = %super::describe(&error), "cannot seek, trying again");
            self.unplaced.push(bounds.partition);
            return Ok(());
        }
        let lag = PartitionLag {
            partition: bounds.partition.clone(),
            stored: offset,
            end: Some(bounds.log_end),
            last_timestamp: None,
        };
        self.telemetry
            .set_lag(topic, *index, lag.lag().unwrap_or(0), 0.0);
        tracing::info!(%topic, partition = index, offset, end = bounds.log_end, "reading partition");
        self.state
            .lock()
            .partitions
            .insert(bounds.partition.clone(), lag);
        self.owned.insert(
            bounds.partition,
            Owned {
                claim,
                stored: offset,
            },
        );
        Ok(())
    }

    /// After being fenced: claims what is still assigned and reads again from the store's offsets.
    pub(super) async fn place_again(&mut self) -> Result<(), Ended> {
        self.filling = super::Filling::default();
        let partitions: Vec<Partition> = self.owned.keys().cloned().collect();
        self.owned.clear();
        self.take_over(partitions).await
    }

    /// Forgets partitions that belong to others now.
    pub(super) fn give_up(&mut self, partitions: &[Partition]) {
        self.filling.forget(partitions);
        self.unplaced
            .retain(|partition| !partitions.contains(partition));
        let mut state = self.state.lock();
        for partition in partitions {
            self.owned.remove(partition);
            self.uncommitted.remove(partition);
            state.partitions.remove(partition);
            self.telemetry.drop_lag(&partition.topic, partition.index);
        }
    }
}

fn report(bounds: &Bounds, stored: i64, placement: Placement) {
    let Partition { topic, index } = &bounds.partition;
    let (start, end) = (bounds.log_start, bounds.log_end);
    match placement {
        Placement::First => {}
        Placement::Recreated => tracing::warn!(
            %topic, partition = index, stored, start, end,
            "the topic was made anew since the store last read it, reading it from its start"
        ),
        Placement::Skipped(records) => tracing::error!(
            %topic, partition = index, stored, start, records,
            "the broker removed records before they were read; they are lost to the store"
        ),
    }
}
