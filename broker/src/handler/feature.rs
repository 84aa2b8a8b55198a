//! The features that ApiVersions tells of (KIP-584): by them clients choose between old and new
//! protocols. Invariant: what stands here works; a feature that does not is not named.
//! Step 7 of the hallway.

use logway_protocol::Text;
use logway_protocol::message::api_versions::{FinalizedFeatureKey, SupportedFeatureKey};

/// Changes when the list changes; a node alone never changes it while it runs.
pub(super) const EPOCH: i64 = 0;

/// Name and highest level; each is in force at that level.
const FEATURES: &[(&str, i16)] = &[
    // 1: the consumer protocol (KIP-848).
    ("group.version", 1),
    // 2: an epoch for each transaction, partitions join it with their first batch (KIP-890).
    ("transaction.version", 2),
];
/// Version of ApiVersions from which clients can read that a feature may be off (level 0).
const LEVEL_ZERO_FROM: i16 = 4;

/// What this broker can do, told in `version` of ApiVersions. Older clients fail on a least level of
/// 0, so they are not told.
pub(super) fn supported(version: i16) -> Vec<SupportedFeatureKey> {
    let told = FEATURES.iter().filter(|_| version >= LEVEL_ZERO_FROM);
    let each = told.map(|(name, level)| SupportedFeatureKey {
        name: Text::from_static(name),
        min_version: 0,
        max_version: *level,
    });
    each.collect()
}

/// What is in force.
pub(super) fn finalized() -> Vec<FinalizedFeatureKey> {
    let each = FEATURES.iter().map(|(name, level)| FinalizedFeatureKey {
        name: Text::from_static(name),
        max_version_level: *level,
        min_version_level: *level,
    });
    each.collect()
}
