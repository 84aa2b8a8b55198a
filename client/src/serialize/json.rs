//! JSON, for every type that serde knows.
//!
//! Invariant: one JSON document a value, in UTF-8. Steps 5 and 10 of the hallway.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DeserializeError, Deserializer, SerializeError, Serializer};

/// Values as JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonSerializer;

/// Values from JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonDeserializer;

impl<T: Serialize + ?Sized> Serializer<T> for JsonSerializer {
    fn serialize(&self, _: &str, data: &T) -> Result<Option<Bytes>, SerializeError> {
        let json = serde_json::to_vec(data).map_err(SerializeError::new)?;
        Ok(Some(json.into()))
    }
}

impl<T: DeserializeOwned> Deserializer<T> for JsonDeserializer {
    fn deserialize(&self, _: &str, data: &Bytes) -> Result<T, DeserializeError> {
        serde_json::from_slice(data).map_err(DeserializeError::new)
    }
}
