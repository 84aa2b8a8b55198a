//! Which partition a keyed batch goes to, by the rule of Kafka's own producers.
//!
//! A batch is encoded once and goes to one partition, so its key has to decide here, where the number
//! of partitions is known; a task asks for it now and then.
//!
//! **Invariant:** no batch waits for a topic that does not exist: without partitions to choose from,
//! the client chooses, and the broker makes the topic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use logway_client::{Admin, AdminError, ErrorCode};
use tokio::task::JoinSet;

/// Pause while the number is not known.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(1);
/// Age at which the number is asked for again, as `metadata.max.age.ms`.
const KNOWN_PAUSE: Duration = Duration::from_secs(300);
/// No broker has answered yet.
const UNKNOWN: i32 = -1;
/// The topic does not exist.
const NO_TOPIC: i32 = 0;

/// The number of partitions of a topic, kept up to date by a task.
#[derive(Debug)]
pub(crate) struct Partitions {
    count: Arc<AtomicI32>,
    /// Ends its task when dropped.
    _task: JoinSet<()>,
}

/// Where a keyed batch may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// To this partition.
    Partition(i32),
    /// Wherever the client likes.
    Any,
    /// Nowhere yet.
    NotYet,
}

impl Partitions {
    /// Starts asking; needs a tokio runtime around it.
    pub(crate) fn follow(admin: Admin, topic: Arc<str>) -> Partitions {
        let count = Arc::new(AtomicI32::new(UNKNOWN));
        let mut task = JoinSet::new();
        task.spawn(ask(admin, topic, count.clone()));
        Partitions { count, _task: task }
    }

    pub(crate) fn choose(&self, key: &[u8]) -> Choice {
        match self.count.load(Ordering::Relaxed) {
            UNKNOWN => Choice::NotYet,
            NO_TOPIC => Choice::Any,
            count => Choice::Partition(partition_of(key, count)),
        }
    }
}

async fn ask(admin: Admin, topic: Arc<str>, count: Arc<AtomicI32>) {
    loop {
        let answer = admin.describe_topics(&[&*topic]).await;
        let found = answer.and_then(|topics| {
            topics
                .into_iter()
                .next()
                .map(|(_, found)| found)
                .transpose()
        });
        match found {
            Ok(Some(description)) => {
                let partitions = i32::try_from(description.partitions.len()).unwrap_or(i32::MAX);
                count.store(partitions, Ordering::Relaxed);
            }
            Ok(None) => count.store(NO_TOPIC, Ordering::Relaxed),
            Err(error) if is_missing(&error) => count.store(NO_TOPIC, Ordering::Relaxed),
            // Whatever was known stays true for all we know.
            Err(_) => {}
        }
        let known = count.load(Ordering::Relaxed) > NO_TOPIC;
        tokio::time::sleep(if known { KNOWN_PAUSE } else { UNKNOWN_PAUSE }).await;
    }
}

fn is_missing(error: &AdminError) -> bool {
    error.code() == Some(ErrorCode::UnknownTopicOrPartition)
}

/// The partition that Kafka's default partitioner gives a key: murmur2, made positive, modulo.
fn partition_of(key: &[u8], count: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff).cast_signed() % count
}

/// MurmurHash2 with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let words = data.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        let mut mixed = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MIX);
        mixed = (mixed ^ (mixed >> 24)).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ mixed;
    }
    if !rest.is_empty() {
        let tail = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests;
