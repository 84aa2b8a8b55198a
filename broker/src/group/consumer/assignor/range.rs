//! `range`: the partitions of each topic in order, cut into as many runs as it has members.
//! Static members come first, in the order of their instance ids, so that they keep their run
//! through restarts. Invariant: runs of one topic differ by one partition at most.
//! Hallway: beside step 7.

use std::collections::{BTreeMap, BTreeSet};

use logway_protocol::Uuid;

use super::super::Partitions;
use super::Candidate;

/// A share for each candidate, in their order.
pub(super) fn assign(
    candidates: &[Candidate<'_>],
    topics: &BTreeMap<Uuid, i32>,
) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|at| {
        let candidate = &candidates[*at];
        (
            candidate.instance_id.is_none(),
            candidate.instance_id,
            candidate.id,
        )
    });
    let mut shares = vec![Partitions::new(); candidates.len()];
    for (topic, count) in topics {
        let takers: Vec<usize> = order
            .iter()
            .copied()
            .filter(|at| candidates[*at].topics.contains(topic))
            .collect();
        let Ok(members) = i32::try_from(takers.len()) else {
            continue;
        };
        let mut next = 0;
        for (turn, taker) in (0i32..).zip(takers) {
            let size = count / members + i32::from(turn < count % members);
            let run: BTreeSet<i32> = (next..next + size).collect();
            next += size;
            if !run.is_empty() {
                shares[taker].insert(*topic, run);
            }
        }
    }
    shares
}
