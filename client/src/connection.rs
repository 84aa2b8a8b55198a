//! One connection to one broker: requests go out one after the other without waiting for answers,
//! answers find their request by correlation id.
//!
//! Invariant: one task owns the socket; every request is answered, by the broker or with an error,
//! at the latest at its deadline. A missed deadline or an answer that fits no request ends the
//! connection, since nothing after it can be trusted.

mod task;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use logway_protocol::api_key::ApiKey;
use logway_protocol::error_code::ErrorCode;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::message::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use logway_protocol::message::{Message, Request};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ClientConfig;
use crate::error::RequestError;
use task::{Outgoing, Task};

/// Requests that may wait for the socket of one connection.
const QUEUE_MAX: usize = 64;

/// A cheap handle; the connection ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    wire: Arc<WireEnd>,
    spoken: Arc<Spoken>,
}

/// What a broker says of itself when it is greeted.
#[derive(Debug)]
struct Spoken {
    /// Lowest and highest version of each API.
    versions: HashMap<i16, (i16, i16)>,
    /// Finalized level of each feature of the cluster (KIP-584).
    features: HashMap<String, i16>,
}

#[derive(Debug)]
struct WireEnd {
    address: Arc<str>,
    client_id: Arc<str>,
    requests: mpsc::Sender<Outgoing>,
    next_correlation_id: AtomicI32,
}

/// Where the tasks of a client live and how they learn of its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) tracker: TaskTracker,
    pub(crate) cancel: CancellationToken,
}

impl Connection {
    /// Connects to `address` (`host:port`) and agrees on versions (KIP-511).
    pub(crate) async fn open(
        address: &Arc<str>,
        config: &ClientConfig,
        scope: &Scope,
    ) -> Result<Self, RequestError> {
        let failed = |source: io::Error| RequestError::Connect {
            address: address.clone(),
            source: Arc::new(source),
        };
        let connecting = TcpStream::connect(&**address);
        let stream = match tokio::time::timeout(config.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
        };
        stream.set_nodelay(true).map_err(failed)?;
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let task = Task::new(address.clone(), stream, queue, config.response_max_bytes);
        scope.tracker.spawn(task.run(scope.cancel.clone()));
        let wire = Arc::new(WireEnd {
            address: address.clone(),
            client_id: config.client_id.as_str().into(),
            requests,
            next_correlation_id: AtomicI32::new(1),
        });
        // A broker that listens and does not answer yet is tried anew, as one that does not listen.
        let patience = config.connect_timeout.min(config.request_timeout);
        let spoken = wire.agree_on_versions(patience).await?;
        Ok(Self {
            wire,
            spoken: Arc::new(spoken),
        })
    }

    /// Whether a new request could not be sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.wire.requests.is_closed()
    }

    /// The highest version of a request that both sides speak, at most `limit`.
    pub(crate) fn version_up_to<R: Request>(&self, limit: i16) -> Result<i16, RequestError> {
        let ours = R::VERSIONS;
        self.spoken
            .versions
            .get(&R::KEY.code())
            .map(|(min, max)| (*min.max(ours.start()), *max.min(ours.end().min(&limit))))
            .filter(|(min, max)| min <= max)
            .map(|(_, max)| max)
            .ok_or_else(|| RequestError::Unsupported {
                address: self.wire.address.clone(),
                api: R::KEY.name(),
            })
    }

    /// The cluster's finalized level of a feature, 0 where it has none.
    pub(crate) fn feature(&self, name: &str) -> i16 {
        self.spoken.features.get(name).copied().unwrap_or(0)
    }

    /// The highest version of a request that both sides speak.
    pub(crate) fn version<R: Request>(&self) -> Result<i16, RequestError> {
        self.version_up_to::<R>(i16::MAX)
    }

    /// Sends a request in the highest common version and waits for its answer.
    pub(crate) async fn call<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, RequestError> {
        self.start(self.version::<R>()?, request, timeout)
            .await?
            .await
    }

    /// Queues a request; the order of these calls is the order on the wire. The answer is awaited
    /// apart.
    pub(crate) async fn start<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<impl Future<Output = Result<R::Response, RequestError>> + use<R>, RequestError>
    {
        let answer = self.wire.send(version, request, timeout, true).await?;
        let wire = self.wire.clone();
        Ok(async move {
            let frame = wire.await_answer(R::KEY.name(), answer).await?;
            wire.read_answer(R::KEY, version, frame)
        })
    }

    /// Sends a request that has no answer (`acks=0`); done once its bytes were handed to the
    /// system.
    pub(crate) async fn tell<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<impl Future<Output = Result<(), RequestError>> + use<R>, RequestError> {
        let written = self.wire.send(version, request, timeout, false).await?;
        let wire = self.wire.clone();
        Ok(async move { wire.await_answer(R::KEY.name(), written).await.map(drop) })
    }
}

impl WireEnd {
    async fn agree_on_versions(&self, timeout: Duration) -> Result<Spoken, RequestError> {
        let request = ApiVersionsRequest {
            client_software_name: "logway".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let mut version = *ApiVersionsRequest::VERSIONS.end();
        loop {
            let answer = self.send(version, &request, timeout, true).await?;
            let frame = self
                .await_answer(ApiKey::ApiVersions.name(), answer)
                .await?;
            // A broker that does not know the version says so in version 0, whatever was asked.
            let refused = frame.get(4..6) == Some(&35_i16.to_be_bytes());
            let read_as = if refused { 0 } else { version };
            let response: ApiVersionsResponse =
                self.read_answer(ApiKey::ApiVersions, read_as, frame)?;
            if refused && version > 0 {
                let known = response.api_keys.iter().find(|api| api.api_key == 18);
                version = known.map_or(0, |api| api.max_version).clamp(0, version - 1);
                continue;
            }
            if response.error_code != ErrorCode::None.code() {
                return Err(self.unsupported(ApiKey::ApiVersions.name()));
            }
            let apis = response.api_keys.iter();
            let features = response.finalized_features.iter();
            return Ok(Spoken {
                versions: apis
                    .map(|api| (api.api_key, (api.min_version, api.max_version)))
                    .collect(),
                features: features
                    .map(|feature| (feature.name.to_string(), feature.max_version_level))
                    .collect(),
            });
        }
    }

    async fn send<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
        answered: bool,
    ) -> Result<oneshot::Receiver<Result<Bytes, RequestError>>, RequestError> {
        let api = R::KEY.name();
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = encode_request(correlation_id, Some(&self.client_id), version, request)
            .map_err(|source| RequestError::Unwritable {
                address: self.address.clone(),
                api,
                source,
            })?;
        let (reply, answer) = oneshot::channel();
        let outgoing = Outgoing {
            frame,
            correlation_id,
            api,
            timeout,
            deadline: Instant::now() + timeout,
            answered,
            reply,
        };
        match self.requests.send(outgoing).await {
            Ok(()) => Ok(answer),
            Err(_) => Err(RequestError::Disconnected {
                address: self.address.clone(),
                api,
            }),
        }
    }

    async fn await_answer(
        &self,
        api: &'static str,
        answer: oneshot::Receiver<Result<Bytes, RequestError>>,
    ) -> Result<Bytes, RequestError> {
        let gone = || RequestError::Disconnected {
            address: self.address.clone(),
            api,
        };
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    fn read_answer<M: Message>(
        &self,
        api: ApiKey,
        version: i16,
        frame: Bytes,
    ) -> Result<M, RequestError> {
        decode_response_header(api, version, frame)
            .and_then(|(_, body)| M::decode_version(body, version))
            .map_err(|source| RequestError::Malformed {
                address: self.address.clone(),
                api: api.name(),
                source,
            })
    }

    fn unsupported(&self, api: &'static str) -> RequestError {
        RequestError::Unsupported {
            address: self.address.clone(),
            api,
        }
    }
}
