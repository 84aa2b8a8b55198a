//! How many partitions topics have: asked once per topic, in the background, until a broker knows. Step 4 of
//! the hallway.
//!
//! **Invariant:** asking never waits; the answer is kept for the life of the process, so that a file stays in
//! its partition even when the topic grows.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::message::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use logway_protocol::{ApiKey, Message, Text};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::signal::Signal;

/// Knows topics by name and may create them; not yet flexible, spoken by every broker since 1.0.
const METADATA_VERSION: i16 = 5;
/// Longest answer that is read: one topic's partitions.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Time for one try.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between tries.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The counts known so far.
#[derive(Debug, Clone)]
pub(super) struct Partitions {
    known: Arc<Mutex<Known>>,
    bootstrap: Arc<[String]>,
    client_id: Arc<str>,
}

#[derive(Debug, Default)]
struct Known {
    counts: HashMap<Arc<str>, i32>,
    asked: HashSet<Arc<str>>,
}

impl Partitions {
    pub(super) fn new(bootstrap: &[String], client_id: &str) -> Partitions {
        Partitions {
            known: Arc::default(),
            bootstrap: bootstrap.into(),
            client_id: client_id.into(),
        }
    }

    pub(super) fn known(&self, topic: &Arc<str>) -> Option<i32> {
        self.known.lock().counts.get(topic).copied()
    }

    /// Asks for a topic until it is known, once whatever the number of calls; then rings.
    pub(super) fn ask(
        &self,
        topic: &Arc<str>,
        (tracker, runtime): (&TaskTracker, &tokio::runtime::Handle),
        signal: &Arc<Signal>,
        stop: &CancellationToken,
    ) {
        if !self.known.lock().asked.insert(topic.clone()) {
            return;
        }
        let (this, topic, signal, stop) =
            (self.clone(), topic.clone(), signal.clone(), stop.clone());
        let ask = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                count = this.ask_until_known(&topic) => {
                    this.known.lock().counts.insert(topic, count);
                    signal.ring();
                }
            }
        };
        tracker.spawn_on(ask, runtime);
    }

    async fn ask_until_known(&self, topic: &str) -> i32 {
        let mut complained = false;
        loop {
            for address in self.bootstrap.iter() {
                let tried = tokio::time::timeout(PATIENCE, self.ask_one(address, topic)).await;
                match tried.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                    Ok(count) if count > 0 => return count,
                    Ok(_) => debug!(topic, address, "the broker does not know the topic yet"),
                    Err(error) if complained => debug!(%error, topic, address, "no broker yet"),
                    Err(error) => {
                        complained = true;
                        warn!(%error, topic, address, "no broker yet; files wait, nothing is lost");
                    }
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// The number of partitions that one broker knows of; 0 when the topic is only being made.
    async fn ask_one(&self, address: &str, topic: &str) -> io::Result<i32> {
        let mut stream = TcpStream::connect(address).await?;
        let wanted = MetadataRequestTopic {
            name: Some(Text::from(topic)),
            ..MetadataRequestTopic::default()
        };
        let request = MetadataRequest {
            topics: Some(vec![wanted]),
            allow_auto_topic_creation: true,
            ..MetadataRequest::default()
        };
        let frame = encode_request(1, Some(&self.client_id), METADATA_VERSION, &request);
        stream.write_all(&frame.map_err(io::Error::other)?).await?;
        let length = usize::try_from(stream.read_i32().await?).unwrap_or(usize::MAX);
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer is no Kafka metadata"));
        }
        let mut answer = Vec::new();
        let read = (&mut stream)
            .take(length as u64)
            .read_to_end(&mut answer)
            .await?;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let decoded =
            decode_response_header(ApiKey::Metadata, METADATA_VERSION, Bytes::from(answer));
        let (_, body) = decoded.map_err(io::Error::other)?;
        let response =
            MetadataResponse::decode_version(body, METADATA_VERSION).map_err(io::Error::other)?;
        let count = response
            .topics
            .first()
            .map_or(0, |topic| topic.partitions.len());
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }
}
