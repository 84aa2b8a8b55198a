//! A type with a format of its own, beside keys that are numbers:
//! `cargo run -p logway-client --example own_type`.
//!
//! Invariant: what is read equals what was sent. Steps 5 and 10 of the hallway.
//! `BOOTSTRAP_SERVERS` names the cluster, 127.0.0.1:9092 without it.

// An example speaks through its output.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use logway_client::{
    ClientConfig, Consumer, ConsumerConfig, DeserializeError, Deserializer, Polled, Producer,
    ProducerConfig, SerializeError, Serializer, ShortDeserializer, ShortSerializer, Start,
    TopicPartition,
};

/// What a player did.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GameEvent {
    score: u32,
    action: String,
}

/// The score in four bytes, then the action as text.
struct GameEventFormat;

impl Serializer<GameEvent> for GameEventFormat {
    fn serialize(&self, _: &str, data: &GameEvent) -> Result<Option<Bytes>, SerializeError> {
        let mut bytes = BytesMut::with_capacity(4 + data.action.len());
        bytes.put_u32(data.score);
        bytes.put_slice(data.action.as_bytes());
        Ok(Some(bytes.freeze()))
    }
}

impl Deserializer<GameEvent> for GameEventFormat {
    fn deserialize(&self, _: &str, data: &Bytes) -> Result<GameEvent, DeserializeError> {
        let (score, action) = data
            .split_first_chunk()
            .ok_or_else(|| DeserializeError::new("shorter than four bytes"))?;
        Ok(GameEvent {
            score: u32::from_be_bytes(*score),
            action: std::str::from_utf8(action)
                .map_err(DeserializeError::new)?
                .to_owned(),
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let servers = std::env::var("BOOTSTRAP_SERVERS").unwrap_or("127.0.0.1:9092".to_owned());
    let client = ClientConfig::new(servers.split(','));
    let producer = Producer::new(ProducerConfig {
        client: client.clone(),
        ..Default::default()
    })?;
    let events = producer.with_serializers(ShortSerializer, GameEventFormat);
    let jump = GameEvent {
        score: 120,
        action: "jump".to_owned(),
    };
    let delivery = events
        .send("game-events", Some(&7_i16), Some(&jump))
        .await?;
    let stored = delivery.await?;
    producer.close(Duration::from_secs(10)).await;

    let consumer = Consumer::new(ConsumerConfig {
        client,
        ..Default::default()
    })?;
    let partition = TopicPartition::new("game-events", stored.partition);
    let start = Start::Offset(stored.offset);
    consumer.assign(vec![(partition, start)]).await?;
    if let Polled::Records(records) = consumer.poll(Duration::from_secs(10)).await? {
        for record in records {
            let player: Option<i16> = record.key_with(&ShortDeserializer)?;
            let event: Option<GameEvent> = record.value_with(&GameEventFormat)?;
            println!("player {player:?}: {event:?}");
        }
    }
    consumer.close().await;
    Ok(())
}
