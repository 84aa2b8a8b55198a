//! The records of `__consumer_offsets` as JSON.
//!
//! Invariant: what is no committed offset prints nothing.

use bytes::{Buf, Bytes};
use logway_client::ConsumerRecord;
use logway_protocol::message::Message;
use logway_protocol::message::record::offset::{OffsetCommitKey, OffsetCommitValue};
use serde_json::{Value, json};

/// The last version of a key that is an offset's.
const OFFSET_KEY_MAX: i16 = 1;

/// One committed offset, or its removal.
pub(super) fn json(record: &ConsumerRecord) -> Option<String> {
    let mut key = record.key.clone()?;
    let version = version(&mut key)?;
    if version > OFFSET_KEY_MAX {
        return None;
    }
    let decoded = OffsetCommitKey::decode_version(key, version).ok()?;
    let key = format!(
        "{{\"type\":{version},\"data\":{{\"group\":{},\"topic\":{},\"partition\":{}}}}}",
        text(&decoded.group),
        text(&decoded.topic),
        decoded.partition
    );
    let value = record
        .value
        .clone()
        .map_or(Some("null".to_owned()), value)?;
    Some(format!("{{\"key\":{key},\"value\":{value}}}"))
}

fn version(bytes: &mut Bytes) -> Option<i16> {
    (bytes.len() >= 2).then(|| bytes.get_i16())
}

fn text(text: &str) -> Value {
    json!(text)
}

fn value(mut bytes: Bytes) -> Option<String> {
    let version = version(&mut bytes)?;
    let value = OffsetCommitValue::decode_version(bytes, version).ok()?;
    let mut fields = format!("\"offset\":{}", value.offset);
    if version >= 3 {
        fields.push_str(&format!(",\"leaderEpoch\":{}", value.leader_epoch));
    }
    fields.push_str(&format!(
        ",\"metadata\":{},\"commitTimestamp\":{}",
        text(&value.metadata),
        value.commit_timestamp
    ));
    if version == 1 {
        fields.push_str(&format!(",\"expireTimestamp\":{}", value.expire_timestamp));
    }
    if version >= 4 && !value.topic_id.is_zero() {
        fields.push_str(&format!(",\"topicId\":\"{}\"", value.topic_id));
    }
    Some(format!("{{\"version\":{version},\"data\":{{{fields}}}}}"))
}
