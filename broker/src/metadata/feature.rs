//! Features whose level the whole cluster agrees on (KIP-584, KIP-1022): what this broker supports,
//! what is finalized, and which changes are allowed. Invariant: a finalized level is one that this
//! broker supports, and its APIs are served. Pure; beside the hallway.

use std::collections::{BTreeMap, HashSet};

use logway_protocol::Text;
use logway_protocol::message::record::cluster::FeatureLevelRecord;
use thiserror::Error;

use super::image::Image;
use super::record::MetadataRecord;

/// The level of the metadata log's own format.
const METADATA_VERSION: &str = "metadata.version";
/// Whether members may use the consumer protocol (KIP-848).
const GROUP_VERSION: &str = "group.version";
/// Which protocol transactions use (KIP-890).
pub(crate) const TRANSACTION_VERSION: &str = "transaction.version";
/// Eligible leader replicas (KIP-966): of one replica there are none beside the leader.
pub(crate) const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";
/// Who may vote in the quorum (KIP-853); its level is not kept in this log.
const KRAFT_VERSION: &str = "kraft.version";

/// Kafka's numbers of metadata versions 3.3-IV3 and 4.3-IV0.
const METADATA_LEVELS: (i16, i16) = (7, 30);

/// A feature with the levels that this broker supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

/// What this broker supports.
#[derive(Clone, Debug)]
pub(crate) struct Features(Vec<Feature>);

impl Features {
    /// The features of a broker that serves these APIs.
    pub(crate) fn new(consumer_groups: bool, transactions: bool) -> Features {
        let feature = |name, min, max| Feature { name, min, max };
        let mut all = vec![
            feature(ELIGIBLE_LEADER_REPLICAS, 0, 1),
            feature(KRAFT_VERSION, 0, 1),
            feature(METADATA_VERSION, METADATA_LEVELS.0, METADATA_LEVELS.1),
        ];
        if consumer_groups {
            all.push(feature(GROUP_VERSION, 0, 1));
        }
        if transactions {
            all.push(feature(TRANSACTION_VERSION, 0, 2));
        }
        Features(all)
    }

    /// All features with their levels.
    pub(crate) fn all(&self) -> &[Feature] {
        &self.0
    }

    fn find(&self, name: &str) -> Option<&Feature> {
        self.0.iter().find(|feature| feature.name == name)
    }

    /// What a new cluster begins with: the highest level of everything.
    pub(super) fn first_levels(&self) -> Vec<MetadataRecord> {
        let finalized = self.0.iter().filter(|one| one.name != KRAFT_VERSION);
        finalized.map(|one| level(one.name, one.max)).collect()
    }
}

fn level(name: &str, feature_level: i16) -> MetadataRecord {
    MetadataRecord::FeatureLevel(FeatureLevelRecord {
        name: Text::from(name),
        feature_level,
    })
}

/// How far an update may go (Kafka's `UpgradeType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpgradeType {
    Unknown,
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

impl UpgradeType {
    /// Kafka's number.
    pub(crate) fn of_code(code: i8) -> UpgradeType {
        match code {
            1 => UpgradeType::Upgrade,
            2 => UpgradeType::SafeDowngrade,
            3 => UpgradeType::UnsafeDowngrade,
            _ => UpgradeType::Unknown,
        }
    }
}

/// A level that a client wants.
#[derive(Clone, Debug)]
pub(crate) struct FeatureUpdate {
    pub(crate) name: String,
    pub(crate) level: i16,
    pub(crate) kind: UpgradeType,
}

/// Why a level is not finalized; the texts are Kafka's, without the feature's name.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum FeatureError {
    #[error("Invalid update version {level} for feature {name}. {reason}")]
    Update {
        name: String,
        level: i16,
        reason: String,
    },
    #[error("Invalid metadata.version {level}. {reason}")]
    Metadata { level: i16, reason: &'static str },
    #[error("Duplicate feature {0}")]
    Repeated(String),
}

/// Plans updates: all of them or, if one is refused, none (the first that is wrong is named).
pub(crate) fn update(
    image: &Image,
    (supported, node): (&Features, i32),
    updates: &[FeatureUpdate],
) -> Result<Vec<MetadataRecord>, (String, FeatureError)> {
    let mut seen = HashSet::new();
    let mut records = Vec::new();
    for update in updates {
        let name = || update.name.clone();
        if !seen.insert(&update.name) {
            return Err((name(), FeatureError::Repeated(name())));
        }
        let planned = update_one(image.features(), (supported, node), update);
        records.push(planned.map_err(|error| (name(), error))?);
    }
    Ok(records)
}

fn update_one(
    finalized: &BTreeMap<String, i16>,
    (supported, node): (&Features, i32),
    update: &FeatureUpdate,
) -> Result<MetadataRecord, FeatureError> {
    let refuse = |reason: String| {
        Err(FeatureError::Update {
            name: update.name.clone(),
            level: update.level,
            reason,
        })
    };
    if update.kind == UpgradeType::Unknown {
        return refuse("The controller does not support the given upgrade type.".into());
    }
    if update.level < 0 {
        return refuse("A feature version cannot be less than 0.".into());
    }
    let known = supported.find(&update.name);
    let Some(feature) = known.filter(|feature| feature.name != KRAFT_VERSION) else {
        return refuse(match known {
            Some(_) => {
                format!("{KRAFT_VERSION} is not finalized through the metadata log of this broker.")
            }
            None => format!("Local controller {node} does not support this feature."),
        });
    };
    if !(feature.min..=feature.max).contains(&update.level) {
        let (min, max) = (feature.min, feature.max);
        return refuse(format!(
            "Local controller {node} only supports versions {min}-{max}"
        ));
    }
    let now = finalized.get(&update.name).copied().unwrap_or(0);
    if update.level < now && update.kind == UpgradeType::Upgrade {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.".into(),
        );
    }
    if update.level > now && update.kind != UpgradeType::Upgrade {
        return refuse("Can't downgrade to a newer version.".into());
    }
    if feature.name == METADATA_VERSION && update.level < now {
        let reason = match update.kind {
            UpgradeType::UnsafeDowngrade => {
                "Unsafe metadata downgrade is not supported in this version."
            }
            _ => {
                "Refusing to perform the requested downgrade because it might delete metadata information."
            }
        };
        let level = update.level;
        return Err(FeatureError::Metadata { level, reason });
    }
    Ok(level(&update.name, update.level))
}
