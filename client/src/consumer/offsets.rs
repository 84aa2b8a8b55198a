//! Questions about offsets that move nothing: the ends of logs, and offsets by time.
//!
//! Invariant: an answer for every partition asked about, in the order asked, or an error. Step 10
//! of the hallway.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::Consumer;
use super::lookup::{self, EARLIEST, LATEST, Listed};
use super::state::topics_of;
use crate::backoff::Backoff;
use crate::error::{OffsetsError, RequestError};
use crate::topic::TopicPartition;

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970.
    pub timestamp: i64,
}

impl Consumer {
    /// The first record of each partition with this time (milliseconds since 1970) or a later
    /// one; nothing where no record is that late. The partitions need not be assigned.
    ///
    /// # Errors
    /// They cannot be read within `default.api.timeout.ms`, see [`OffsetsError`].
    pub async fn offsets_for_times(
        &self,
        times: &[(TopicPartition, i64)],
    ) -> Result<Vec<(TopicPartition, Option<OffsetAndTimestamp>)>, OffsetsError> {
        let listed = self.listed(times).await?;
        let found = |listed: Listed| OffsetAndTimestamp {
            offset: listed.offset,
            timestamp: listed.timestamp,
        };
        Ok(listed
            .into_iter()
            .map(|(partition, listed)| (partition, (listed.offset >= 0).then(|| found(listed))))
            .collect())
    }

    /// Offset of the first record there is in each partition. They need not be assigned.
    ///
    /// # Errors
    /// As [`offsets_for_times`](Self::offsets_for_times).
    pub async fn beginning_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, i64)>, OffsetsError> {
        self.ends(partitions, EARLIEST).await
    }

    /// Offset after the last record of each partition that this consumer may see: with
    /// `isolation.level=read_committed` that of the first open transaction. They need not be
    /// assigned.
    ///
    /// # Errors
    /// As [`offsets_for_times`](Self::offsets_for_times).
    pub async fn end_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, i64)>, OffsetsError> {
        self.ends(partitions, LATEST).await
    }

    async fn ends(
        &self,
        partitions: &[TopicPartition],
        which: i64,
    ) -> Result<Vec<(TopicPartition, i64)>, OffsetsError> {
        let asked: Vec<_> = partitions.iter().map(|p| (p.clone(), which)).collect();
        let listed = self.listed(&asked).await?;
        Ok(listed
            .into_iter()
            .map(|(p, listed)| (p, listed.offset))
            .collect())
    }

    /// Asks every leader until all have answered.
    async fn listed(
        &self,
        asked: &[(TopicPartition, i64)],
    ) -> Result<Vec<(TopicPartition, Listed)>, OffsetsError> {
        let (cluster, client) = (&self.shared.cluster, &self.shared.config.client);
        let topics = topics_of(asked.iter().map(|(partition, _)| partition));
        let after = client.default_api_timeout;
        let deadline = Instant::now() + after;
        let mut backoff = Backoff::new(client.retry_backoff, client.retry_backoff_max);
        let mut updates = cluster.updates();
        let mut found: HashMap<(TopicPartition, i64), Listed> = HashMap::new();
        loop {
            updates.mark_unchanged();
            // A change of what is read would end the interest.
            for topic in &topics {
                cluster.ask_about(topic);
            }
            let before = found.len();
            let round = tokio::time::timeout_at(deadline, self.list_missing(asked, &mut found));
            match round.await {
                Ok(done) => done?,
                Err(_) => return Err(OffsetsError::TimedOut { after }),
            }
            let all: Option<Vec<_>> = asked
                .iter()
                .map(|wanted| Some((wanted.0.clone(), *found.get(wanted)?)))
                .collect();
            if let Some(all) = all {
                return Ok(all);
            }
            if found.len() > before {
                continue;
            }
            cluster.request_refresh();
            let until = (Instant::now() + backoff.next()).min(deadline);
            // New metadata or a pause, whichever comes first.
            let _changed = tokio::time::timeout_at(until, updates.changed()).await;
            if Instant::now() >= deadline {
                return Err(OffsetsError::TimedOut { after });
            }
        }
    }

    /// One attempt for what is missing.
    async fn list_missing(
        &self,
        asked: &[(TopicPartition, i64)],
        found: &mut HashMap<(TopicPartition, i64), Listed>,
    ) -> Result<(), OffsetsError> {
        let cluster = &self.shared.cluster;
        let metadata = cluster.metadata();
        let mut by_leader: HashMap<i32, Vec<(TopicPartition, i64)>> = HashMap::new();
        // A broker takes a partition once in a request.
        let mut once = HashSet::new();
        for wanted in asked.iter().filter(|wanted| !found.contains_key(*wanted)) {
            let (partition, time) = wanted;
            if !once.insert(partition) {
                continue;
            }
            if let Some(leader) = metadata.leader(&partition.topic, partition.partition) {
                let wanted = (partition.clone(), *time);
                by_leader.entry(leader).or_default().push(wanted);
            } else if let Some(code) = metadata.topic_error(&partition.topic)
                && !code.is_retriable()
            {
                let partition = partition.clone();
                return Err(OffsetsError::Partition { partition, code });
            }
        }
        let isolation = self.shared.config.isolation_level;
        for (leader, wanted) in by_leader {
            match lookup::list_offsets(cluster, leader, &wanted, isolation).await {
                Ok(answers) => {
                    for ((partition, answer), (_, time)) in answers.into_iter().zip(&wanted) {
                        match answer {
                            Ok(listed) => {
                                found.insert((partition, *time), listed);
                            }
                            Err(code) if code.is_retriable() => {}
                            Err(code) => return Err(OffsetsError::Partition { partition, code }),
                        }
                    }
                }
                Err(error) if error.is_retriable() && !matches!(error, RequestError::Closed) => {}
                Err(error) => return Err(OffsetsError::Request(error)),
            }
        }
        Ok(())
    }
}
