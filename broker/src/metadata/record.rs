//! Records of the metadata log in Kafka's framing: frame version, record type and record version
//! as unsigned varints, then the message (KIP-631). Invariant: what is written here is read by
//! Kafka's `kafka-dump-log --cluster-metadata-decoder`. Pure; beside the hallway.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use logway_protocol::message::record::cluster::{
    ClientQuotaRecord, ConfigRecord, FeatureLevelRecord, PartitionRecord, ProducerIdsRecord,
    RemoveTopicRecord, TopicRecord,
};
use logway_protocol::{DecodeError, EncodeError, Message};
use thiserror::Error;

const FRAME_VERSION: u32 = 1;

/// A change of the cluster's metadata.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MetadataRecord {
    Topic(TopicRecord),
    Partition(PartitionRecord),
    Config(ConfigRecord),
    RemoveTopic(RemoveTopicRecord),
    FeatureLevel(FeatureLevelRecord),
    ClientQuota(ClientQuotaRecord),
    ProducerIds(ProducerIdsRecord),
}

/// Why bytes of the metadata log are not a record.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    #[error("record ends inside its frame header")]
    Truncated,
    #[error("frame version {0} is not known")]
    Frame(u32),
    #[error("record type {0} is not known to this version of logway")]
    Type(u32),
    #[error("record type {kind}: {source}")]
    Message {
        kind: u32,
        #[source]
        source: DecodeError,
    },
}

impl MetadataRecord {
    /// The record as the value of a log record.
    pub(crate) fn encode(&self) -> Result<Bytes, EncodeError> {
        match self {
            MetadataRecord::Topic(record) => framed(2, 0, record),
            MetadataRecord::Partition(record) => framed(3, 0, record),
            MetadataRecord::Config(record) => framed(4, 0, record),
            MetadataRecord::RemoveTopic(record) => framed(9, 0, record),
            MetadataRecord::FeatureLevel(record) => framed(12, 0, record),
            MetadataRecord::ClientQuota(record) => framed(14, 0, record),
            MetadataRecord::ProducerIds(record) => framed(15, 0, record),
        }
    }

    /// Reads the value of a log record.
    pub(crate) fn decode(mut value: Bytes) -> Result<MetadataRecord, RecordError> {
        let frame = get_uvarint(&mut value)?;
        if frame != FRAME_VERSION {
            return Err(RecordError::Frame(frame));
        }
        let kind = get_uvarint(&mut value)?;
        let version = i16::try_from(get_uvarint(&mut value)?).unwrap_or(i16::MAX);
        let record =
            match kind {
                2 => TopicRecord::decode_version(value, version).map(MetadataRecord::Topic),
                3 => PartitionRecord::decode_version(value, version).map(MetadataRecord::Partition),
                4 => ConfigRecord::decode_version(value, version).map(MetadataRecord::Config),
                9 => RemoveTopicRecord::decode_version(value, version)
                    .map(MetadataRecord::RemoveTopic),
                12 => FeatureLevelRecord::decode_version(value, version)
                    .map(MetadataRecord::FeatureLevel),
                14 => ClientQuotaRecord::decode_version(value, version)
                    .map(MetadataRecord::ClientQuota),
                15 => ProducerIdsRecord::decode_version(value, version)
                    .map(MetadataRecord::ProducerIds),
                other => return Err(RecordError::Type(other)),
            };
        record.map_err(|source| RecordError::Message { kind, source })
    }
}

fn framed<M: Message>(kind: u32, version: i16, record: &M) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(64);
    put_uvarint(&mut out, FRAME_VERSION);
    put_uvarint(&mut out, kind);
    put_uvarint(&mut out, u32::from(version.unsigned_abs()));
    record.write(&mut out, version)?;
    Ok(out.freeze())
}

fn put_uvarint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn get_uvarint(input: &mut Bytes) -> Result<u32, RecordError> {
    let mut value = 0u32;
    for shift in (0..32).step_by(7) {
        if !input.has_remaining() {
            return Err(RecordError::Truncated);
        }
        let byte = input.get_u8();
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(RecordError::Truncated)
}
