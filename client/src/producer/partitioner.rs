//! Which partition a record goes to: by its key as Java's producer decides, or the sticky one.
//!
//! Invariant: equal keys and an equal number of partitions give the partition that every other
//! Kafka client gives. Step 5 of the hallway.

use crate::backoff::random;

/// Kafka's murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`).
pub(crate) fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (byte, shift) in rest.iter().zip([0, 8, 16]) {
            hash ^= u32::from(*byte) << shift;
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among `count` partitions.
pub(crate) fn partition_of_key(key: &[u8], count: usize) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff) as usize;
    i32::try_from(positive % count.max(1)).unwrap_or(0)
}

/// Keeps records without a key together: one partition until a batch's worth of bytes went there
/// (KIP-794).
#[derive(Debug, Default)]
pub(crate) struct Sticky {
    partition: Option<i32>,
    bytes: usize,
}

impl Sticky {
    /// The partition for a batch of `bytes`; `available` are those whose leader is known, with
    /// what waits for them already. After `switch_at` bytes it moves to the one with the least.
    pub(crate) fn choose(
        &mut self,
        available: &[(i32, usize)],
        bytes: usize,
        switch_at: usize,
    ) -> Option<i32> {
        let current = self.partition.filter(|current| {
            self.bytes < switch_at && available.iter().any(|(p, _)| p == current)
        });
        let chosen = match current {
            Some(current) => current,
            None => {
                self.bytes = 0;
                let least = available.iter().map(|(_, waiting)| *waiting).min()?;
                let mut best: Vec<i32> = available
                    .iter()
                    .filter(|(_, w)| *w == least)
                    .map(|(p, _)| *p)
                    .collect();
                if best.len() > 1 {
                    best.retain(|partition| Some(*partition) != self.partition);
                }
                let at = random() % best.len().max(1) as u64;
                *best.get(usize::try_from(at).ok()?)?
            }
        };
        self.partition = Some(chosen);
        self.bytes += bytes;
        Some(chosen)
    }
}

#[cfg(test)]
mod tests;
