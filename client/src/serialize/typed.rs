//! Sending and reading values instead of bytes.
//!
//! Invariant: a value that cannot be serialized is refused before anything of it is taken. Steps 5
//! and 10 of the hallway.

use std::sync::Arc;

use super::{DeserializeError, Deserializer, Serializer};
use crate::consumer::ConsumerRecord;
use crate::error::SendError;
use crate::producer::{Delivery, Producer, ProducerRecord};

/// A [`Producer`] with a serializer for keys and one for values (`key.serializer`,
/// `value.serializer`).
///
/// ```no_run
/// # async fn example(producer: logway_client::Producer) -> Result<(), Box<dyn std::error::Error>> {
/// use logway_client::{ShortSerializer, StringSerializer};
///
/// let scores = producer.with_serializers(StringSerializer, ShortSerializer);
/// scores.send("scores", Some("player 7"), Some(&120_i16)).await?.await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct TypedProducer<K, V> {
    producer: Producer,
    key: K,
    value: V,
}

impl Producer {
    /// This producer for values instead of bytes. Both send through the same buffers.
    pub fn with_serializers<K, V>(&self, key: K, value: V) -> TypedProducer<K, V> {
        TypedProducer {
            producer: self.clone(),
            key,
            value,
        }
    }
}

impl<KS, VS> TypedProducer<KS, VS> {
    /// Takes a record; waits while `buffer.memory` is used up. No value is a tombstone.
    ///
    /// # Errors
    /// As [`Producer::send`], and `Serialize`.
    pub async fn send<K, V>(
        &self,
        topic: impl Into<Arc<str>>,
        key: Option<&K>,
        value: Option<&V>,
    ) -> Result<Delivery, SendError>
    where
        KS: Serializer<K>,
        VS: Serializer<V>,
        K: ?Sized,
        V: ?Sized,
    {
        self.producer.send(self.record(topic, key, value)?).await
    }

    /// The record that [`send`](Self::send) would send, for headers, partition or timestamp to be
    /// set, or for a transaction.
    ///
    /// # Errors
    /// `Serialize`.
    pub fn record<K, V>(
        &self,
        topic: impl Into<Arc<str>>,
        key: Option<&K>,
        value: Option<&V>,
    ) -> Result<ProducerRecord, SendError>
    where
        KS: Serializer<K>,
        VS: Serializer<V>,
        K: ?Sized,
        V: ?Sized,
    {
        let topic = topic.into();
        let key = key.map(|key| self.key.serialize(&topic, key)).transpose()?;
        let value = value
            .map(|value| self.value.serialize(&topic, value))
            .transpose()?;
        Ok(ProducerRecord {
            key: key.flatten(),
            value: value.flatten(),
            topic,
            ..Default::default()
        })
    }
}

impl ConsumerRecord {
    /// The key as a value; `None` where there is none.
    ///
    /// ```
    /// # fn example(record: &logway_client::ConsumerRecord) -> Result<(), Box<dyn std::error::Error>> {
    /// use logway_client::{ShortDeserializer, StringDeserializer};
    ///
    /// let player: Option<String> = record.key_with(&StringDeserializer)?;
    /// let score: Option<i16> = record.value_with(&ShortDeserializer)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The bytes are not of that format.
    pub fn key_with<T>(&self, by: &impl Deserializer<T>) -> Result<Option<T>, DeserializeError> {
        let key = self.key.as_ref();
        key.map(|key| by.deserialize(&self.topic, key)).transpose()
    }

    /// The value as a value of a type; `None` for a tombstone.
    ///
    /// # Errors
    /// The bytes are not of that format.
    pub fn value_with<T>(&self, by: &impl Deserializer<T>) -> Result<Option<T>, DeserializeError> {
        let value = self.value.as_ref();
        value
            .map(|value| by.deserialize(&self.topic, value))
            .transpose()
    }
}
