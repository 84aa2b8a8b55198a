//! The quotas that the metadata log has set for users, clients and addresses (KIP-13, KIP-546,
//! KIP-612). Invariant: a value; which quota holds for whom is decided in `quota/`, what may be set is
//! decided here. Pure; beside the hallway.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Display};

use logway_protocol::Text;
use logway_protocol::message::record::cluster::{ClientQuotaRecord, EntityData};
use thiserror::Error;

use super::image::Image;
use super::record::MetadataRecord;

/// Bytes per second that producers may send.
pub(crate) const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";
/// Bytes per second that consumers may fetch.
pub(crate) const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";
/// Percent of a thread's time that requests may take.
pub(crate) const REQUEST_PERCENTAGE: &str = "request_percentage";
/// Partitions created and deleted per second.
pub(crate) const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";
/// Connections per second from one address.
pub(crate) const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// A kind of entity that quotas are set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum EntityKind {
    User,
    ClientId,
    Ip,
}

impl EntityKind {
    const ALL: [EntityKind; 3] = [EntityKind::User, EntityKind::ClientId, EntityKind::Ip];

    /// As Kafka names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            EntityKind::User => "user",
            EntityKind::ClientId => "client-id",
            EntityKind::Ip => "ip",
        }
    }

    /// The kind of that name.
    pub(crate) fn of_name(name: &str) -> Option<EntityKind> {
        EntityKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Whom a quota is set for: kinds with their names, where none stands for the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QuotaEntity(pub(crate) BTreeMap<EntityKind, Option<String>>);

impl Display for QuotaEntity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(kind, name)| {
            let name = name.as_deref().unwrap_or("null");
            format!("{}={name}", kind.name())
        });
        let parts: Vec<String> = parts.collect();
        write!(out, "ClientQuotaEntity(entries={{{}}})", parts.join(", "))
    }
}

impl QuotaEntity {
    fn of_record(entity: &[EntityData]) -> Option<QuotaEntity> {
        let parts = entity.iter().map(|part| {
            let kind = EntityKind::of_name(&part.entity_type)?;
            Some((kind, part.entity_name.as_ref().map(Text::to_string)))
        });
        parts.collect::<Option<_>>().map(QuotaEntity)
    }

    fn record(&self, key: &str, value: Option<f64>) -> MetadataRecord {
        let entity = self.0.iter().map(|(kind, name)| EntityData {
            entity_type: Text::from(kind.name()),
            entity_name: name.as_deref().map(Text::from),
        });
        MetadataRecord::ClientQuota(ClientQuotaRecord {
            entity: entity.collect(),
            key: Text::from(key),
            value: value.unwrap_or(0.0),
            remove: value.is_none(),
        })
    }
}

/// All quotas that are set.
pub(crate) type ClientQuotas = BTreeMap<QuotaEntity, BTreeMap<String, f64>>;

/// Applies one record. A record about a kind of entity that this version does not know is left out.
pub(super) fn apply(quotas: &mut ClientQuotas, record: &ClientQuotaRecord) {
    let Some(entity) = QuotaEntity::of_record(&record.entity) else {
        return;
    };
    if !record.remove {
        let values = quotas.entry(entity).or_default();
        values.insert(record.key.to_string(), record.value);
        return;
    }
    if let Some(values) = quotas.get_mut(&entity) {
        values.remove(record.key.as_str());
        if values.is_empty() {
            quotas.remove(&entity);
        }
    }
}

/// What one entity's quotas are to become.
#[derive(Clone, Debug)]
pub(crate) struct QuotaChange {
    /// Kinds and names as the client sent them.
    pub(crate) entity: Vec<(String, Option<String>)>,
    /// Keys with their values; none removes.
    pub(crate) operations: Vec<(String, Option<f64>)>,
}

/// Why quotas are not changed; the texts are Kafka's.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum QuotaError {
    #[error("Invalid empty client quota entity")]
    NoEntity,
    #[error("Unhandled client quota entity type: {0}")]
    UnknownKind(String),
    #[error("Invalid client quota entity, duplicate entity entry {0}")]
    RepeatedKind(String),
    #[error("Empty {0} not supported")]
    EmptyName(&'static str),
    #[error(
        "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
    )]
    Combination,
    #[error("{0} is not a valid IP or resolvable host.")]
    Address(String),
    /// An entity, or one of its keys, is named twice: Kafka says the same of both.
    #[error("Ignoring duplicate entity {0}")]
    RepeatedEntity(QuotaEntity),
    #[error("Invalid configuration key {0}")]
    UnknownKey(String),
    #[error("Quota {0} must be greater than 0")]
    NotPositive(String),
    #[error("Proposed value for {key} is too large for {width}.")]
    TooLarge { key: String, width: &'static str },
    #[error("{0} cannot be a fractional value.")]
    Fraction(String),
}

/// Plans changes of quotas; a verdict for each.
pub(crate) fn alter(
    image: &Image,
    changes: &[QuotaChange],
) -> (Vec<MetadataRecord>, Vec<Result<(), QuotaError>>) {
    let (mut records, mut verdicts) = (Vec::new(), Vec::with_capacity(changes.len()));
    let mut seen = HashSet::new();
    for change in changes {
        let planned = check_entity(&change.entity).and_then(|entity| {
            let first = seen.insert(entity.clone());
            alter_entity(image, entity, first, &change.operations)
        });
        verdicts.push(planned.map(|planned| records.extend(planned)));
    }
    (records, verdicts)
}

fn alter_entity(
    image: &Image,
    entity: QuotaEntity,
    first: bool,
    operations: &[(String, Option<f64>)],
) -> Result<Vec<MetadataRecord>, QuotaError> {
    if !first {
        return Err(QuotaError::RepeatedEntity(entity));
    }
    let mut wanted = HashMap::new();
    for (key, value) in operations {
        if wanted.insert(key, value).is_some() {
            return Err(QuotaError::RepeatedEntity(entity));
        }
    }
    if let Some(Some(address)) = entity.0.get(&EntityKind::Ip)
        && address.parse::<std::net::IpAddr>().is_err()
    {
        return Err(QuotaError::Address(address.clone()));
    }
    let of_address = entity.0.contains_key(&EntityKind::Ip);
    let present = image.quotas().get(&entity);
    let mut records = Vec::new();
    for (key, value) in operations {
        let before = present.and_then(|values| values.get(key));
        match value {
            None if before.is_some() => records.push(entity.record(key, None)),
            None => {}
            Some(value) => {
                check_value(key, *value, of_address)?;
                if before != Some(value) {
                    records.push(entity.record(key, Some(*value)));
                }
            }
        }
    }
    Ok(records)
}

/// The entity that is meant.
fn check_entity(parts: &[(String, Option<String>)]) -> Result<QuotaEntity, QuotaError> {
    let mut entity = BTreeMap::new();
    for (kind_name, name) in parts {
        let kind = EntityKind::of_name(kind_name)
            .ok_or_else(|| QuotaError::UnknownKind(kind_name.clone()))?;
        if name.as_deref() == Some("") {
            return Err(QuotaError::EmptyName(kind.name()));
        }
        if entity.insert(kind, name.clone()).is_some() {
            return Err(QuotaError::RepeatedKind(kind_name.clone()));
        }
    }
    match entity.len() {
        0 => Err(QuotaError::NoEntity),
        2.. if entity.contains_key(&EntityKind::Ip) => Err(QuotaError::Combination),
        _ => Ok(QuotaEntity(entity)),
    }
}

fn check_value(key: &str, value: f64, of_address: bool) -> Result<(), QuotaError> {
    let whole = match (key, of_address) {
        (CONNECTION_CREATION_RATE, true) => Some((f64::from(i32::MAX), "an INT")),
        (PRODUCER_BYTE_RATE | CONSUMER_BYTE_RATE, false) => Some((i64::MAX as f64, "a LONG")),
        (REQUEST_PERCENTAGE | CONTROLLER_MUTATION_RATE, false) => None,
        _ => return Err(QuotaError::UnknownKey(key.to_owned())),
    };
    // Not a number is not above 0 either.
    if value.is_nan() || value <= 0.0 {
        return Err(QuotaError::NotPositive(key.to_owned()));
    }
    let Some((max, width)) = whole else {
        return Ok(());
    };
    if value > max {
        let key = key.to_owned();
        return Err(QuotaError::TooLarge { key, width });
    }
    if (value % 1.0).abs() > 1e-6 {
        return Err(QuotaError::Fraction(key.to_owned()));
    }
    Ok(())
}
