//! Describes an appender and makes it.
//!
//! **Invariant:** touches no network and waits for nothing: a broker that is away does not hold up the
//! application's start.

use std::{sync::Arc, time::Duration};

use logway_client::{
    Acks, Admin, ClientConfig, Compression, ConfigError, Producer, ProducerConfig,
};
use tokio::{runtime, sync::mpsc};

use crate::{
    appender::{Appender, Key, Keying, Settings},
    budget::{Budget, FullPolicy},
    guard::Guard,
    keyed::Partitions,
    layer::LogwayLayer,
    layout::{CustomValue, JsonLayout, Layout, PatternError, PatternLayout},
    local,
    shard::Rules,
    sink::{ProducerSink, Sink},
    stamp::Stamp,
    worker::Worker,
};

/// Loggers whose events would come back as new ones: the client that ships them. This crate itself
/// never logs.
const IGNORED: [&str; 4] = ["logway_client", "logway_protocol", "rdkafka", "librdkafka"];
/// Commands that may wait for the worker, which takes them at once.
const COMMANDS: usize = 256;
/// Bytes of a record that every broker accepts by default, less the batch around it.
const EVENT_BYTES_MAX: usize = 1_000_000;

/// Why an appender could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The topic's name is none.
    #[error("`{0}` is not a topic name: 1 to 249 of the characters a-z A-Z 0-9 . _ -")]
    Topic(String),
    /// A size or time that cannot work.
    #[error("{setting} {problem}")]
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// The key or the pattern needs the service's name.
    #[error("keying by service needs a service name: call `service`")]
    NoService,
    /// The layout pattern does not parse.
    #[error("layout pattern")]
    Pattern(#[from] PatternError),
    /// The addresses or another of the client's settings are wrong.
    #[error("client")]
    Client(#[from] ConfigError),
    /// The system gave no thread or no runtime.
    #[error("start the worker")]
    Worker(#[source] std::io::Error),
}

/// Describes an appender; made by [`layer`](crate::layer). Every setting has a default.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    bootstrap: String,
    client_id: String,
    topic: String,
    partition: Option<i32>,
    keying: Keying,
    service: Option<String>,
    host: Option<String>,
    pattern: Option<String>,
    custom: Vec<(&'static str, CustomValue)>,
    caller: bool,
    acks: Acks,
    compression: Compression,
    linger: Duration,
    batch_bytes: usize,
    buffer_bytes: usize,
    event_bytes_max: usize,
    when_full: FullPolicy,
    ignored: Vec<String>,
    flush_on_drop: Duration,
}

impl Builder {
    pub(crate) fn new(bootstrap: &str) -> Builder {
        Builder {
            bootstrap: bootstrap.to_owned(),
            client_id: "logway-appender".to_owned(),
            topic: "app".to_owned(),
            partition: None,
            keying: Keying::None,
            service: None,
            host: None,
            pattern: None,
            custom: Vec::new(),
            caller: false,
            acks: Acks::All,
            compression: Compression::Lz4,
            linger: Duration::from_millis(100),
            batch_bytes: 128 << 10,
            buffer_bytes: 32 << 20,
            event_bytes_max: EVENT_BYTES_MAX,
            when_full: FullPolicy::DropNewest,
            ignored: IGNORED.map(str::to_owned).to_vec(),
            flush_on_drop: Duration::from_secs(5),
        }
    }

    /// Topic of the events. Default `app`.
    pub fn topic(mut self, topic: &str) -> Builder {
        topic.clone_into(&mut self.topic);
        self
    }

    /// Name of this application: the field `service`, the pattern's `%contextName`, the client id.
    pub fn service(mut self, service: &str) -> Builder {
        self.service = Some(service.to_owned());
        self
    }

    /// Name of this host, in the header `host.name`. Default: what the system says.
    pub fn host(mut self, host: &str) -> Builder {
        self.host = Some(host.to_owned());
        self
    }

    /// A field that every event gets.
    pub fn custom_field(mut self, name: &'static str, value: impl Into<CustomValue>) -> Builder {
        self.custom.push((name, value.into()));
        self
    }

    /// Writes lines after a logback pattern, such as
    /// `%d{HH:mm:ss.SSS} [%thread] %-5level %logger{36} - %msg%n`, instead of logstash JSON.
    /// The line break at the end of a record is left out: the record ends there anyway.
    pub fn pattern(mut self, pattern: &str) -> Builder {
        self.pattern = Some(pattern.to_owned());
        self
    }

    /// Adds `caller_class_name` (the module), `caller_file_name` and `caller_line_number` to the JSON.
    pub fn caller(mut self, caller: bool) -> Builder {
        self.caller = caller;
        self
    }

    /// What decides the record's key. Default: no key.
    pub fn keying(mut self, keying: Keying) -> Builder {
        self.keying = keying;
        self
    }

    /// Sends everything to one partition, whatever the key. Default: the key decides, or the client.
    pub fn partition(mut self, partition: i32) -> Builder {
        self.partition = Some(partition);
        self
    }

    /// Whose word counts as delivery. Default: the whole in-sync set's.
    pub fn acks(mut self, acks: Acks) -> Builder {
        self.acks = acks;
        self
    }

    /// Compression of the record batches. Default lz4.
    pub fn compression(mut self, compression: Compression) -> Builder {
        self.compression = compression;
        self
    }

    /// How long an event waits for others. Default 100 ms.
    pub fn linger(mut self, linger: Duration) -> Builder {
        self.linger = linger;
        self
    }

    /// Bytes at which a thread's batch is sent at once, before compression. Default 128 KiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Builder {
        self.batch_bytes = bytes;
        self
    }

    /// Bytes of events that may wait for the broker. Default 32 MiB.
    pub fn buffer_bytes(mut self, bytes: usize) -> Builder {
        self.buffer_bytes = bytes;
        self
    }

    /// Bytes of the largest event; a larger one is dropped and counted. Default 1 000 000, at most that
    /// of the broker's `message.max.bytes`.
    pub fn event_bytes_max(mut self, bytes: usize) -> Builder {
        self.event_bytes_max = bytes;
        self
    }

    /// What happens when the buffer is full. Default: the new event is dropped.
    pub fn when_full(mut self, policy: FullPolicy) -> Builder {
        self.when_full = policy;
        self
    }

    /// A logger (target) that is not sent, with all below it; besides those of the client itself.
    pub fn ignore_target(mut self, target: &str) -> Builder {
        self.ignored.push(target.to_owned());
        self
    }

    /// How long dropping the guard may take for sending what is buffered. Default 5 s.
    pub fn flush_on_drop(mut self, timeout: Duration) -> Builder {
        self.flush_on_drop = timeout;
        self
    }

    /// Makes the appender. Its worker connects when the first events are there; no call waits for that.
    ///
    /// # Errors
    /// When a setting is wrong, or the system gives no thread.
    pub fn build(self) -> Result<(LogwayLayer, Guard), BuildError> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            // Threads for name resolution: what they log must not come back either.
            .on_thread_start(local::mark_worker)
            .build()
            .map_err(BuildError::Worker)?;
        let sink = {
            let _inside = runtime.enter();
            self.sink()
        };
        match sink {
            Ok(sink) => self.start(runtime, sink),
            Err(error) => {
                // Dropping a runtime may block, which is forbidden where the application is asynchronous.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Starts the worker with a sink.
    pub(crate) fn start<S: Sink>(
        self,
        runtime: runtime::Runtime,
        sink: S,
    ) -> Result<(LogwayLayer, Guard), BuildError> {
        let flush_on_drop = self.flush_on_drop;
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let (commands, received) = mpsc::channel(COMMANDS);
        let appender = Arc::new(Appender::new(settings, commands));
        let worker = Worker::new(appender.clone(), sink, received);
        let thread = std::thread::Builder::new()
            .name("logway-appender".to_owned())
            .spawn(move || {
                local::mark_worker();
                runtime.block_on(worker.run());
                runtime.shutdown_background();
            })
            .map_err(BuildError::Worker)?;
        let layer = LogwayLayer::new(appender.clone());
        Ok((layer, Guard::new(appender, thread, flush_on_drop)))
    }

    fn sink(&self) -> Result<ProducerSink, BuildError> {
        let servers = self
            .bootstrap
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let mut client = ClientConfig::new(servers);
        client.client_id = self
            .service
            .clone()
            .unwrap_or_else(|| self.client_id.clone());
        let topic: Arc<str> = self.topic.as_str().into();
        let keyed = self.keying != Keying::None && self.partition.is_none();
        let admin = keyed.then(|| Admin::new(client.clone())).transpose()?;
        let partitions = admin.map(|admin| Partitions::follow(admin, topic.clone()));
        let config = ProducerConfig {
            client,
            acks: self.acks,
            linger: Duration::ZERO,
            compression: self.compression,
            // The budget is the limit; this only has to be no smaller.
            buffer_memory: self.buffer_bytes + PRODUCER_SPARE,
            delivery_timeout: None,
            enable_idempotence: self.acks == Acks::All,
            ..ProducerConfig::default()
        };
        let producer = Producer::new(config)?;
        Ok(ProducerSink {
            producer,
            topic,
            partition: self.partition,
            partitions,
        })
    }

    fn settings(self) -> Result<Settings, BuildError> {
        self.check()?;
        let host = self.host.unwrap_or_else(|| {
            let name = hostname::get()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.is_empty() {
                "localhost".to_owned()
            } else {
                name
            }
        });
        let key = match self.keying {
            Keying::None => Key::None,
            Keying::Host => Key::Fixed(host.clone()),
            Keying::Service => Key::Fixed(self.service.clone().ok_or(BuildError::NoService)?),
            Keying::Thread => Key::Thread,
            Keying::Logger => Key::Logger,
        };
        let layout = match self.pattern {
            Some(pattern) => {
                let layout = PatternLayout::parse(&pattern, self.service.as_deref(), self.custom)?;
                Layout::Pattern(Box::new(layout))
            }
            None => {
                let service = self
                    .service
                    .map(|name| ("service", CustomValue::Text(name)));
                let custom = self.custom.into_iter().chain(service).collect();
                Layout::Json(JsonLayout {
                    caller: self.caller,
                    custom,
                })
            }
        };
        let rules = Rules {
            budget: Budget::new(self.buffer_bytes, self.when_full),
            stamp: Stamp::new(host),
            compression: self.compression,
            batch_bytes: self.batch_bytes,
            event_bytes_max: self.event_bytes_max,
        };
        Ok(Settings {
            layout,
            key,
            rules,
            ignored: self.ignored,
            linger: self.linger,
        })
    }

    fn check(&self) -> Result<(), BuildError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let dots = self.topic == "." || self.topic == "..";
        if !(1..=249).contains(&self.topic.len()) || dots || !self.topic.chars().all(legal) {
            return Err(BuildError::Topic(self.topic.clone()));
        }
        let wrong = |setting, problem: String| Err(BuildError::Setting { setting, problem });
        if !(1024..=EVENT_BYTES_MAX).contains(&self.batch_bytes) {
            let problem = format!(
                "must be from 1024 to {EVENT_BYTES_MAX}, is {}",
                self.batch_bytes
            );
            return wrong("batch_bytes", problem);
        }
        if !(1024..=EVENT_BYTES_MAX).contains(&self.event_bytes_max) {
            let problem = format!(
                "must be from 1024 to {EVENT_BYTES_MAX}, is {}",
                self.event_bytes_max
            );
            return wrong("event_bytes_max", problem);
        }
        let least = self.batch_bytes.max(self.event_bytes_max);
        if self.buffer_bytes < least {
            let problem = format!("must hold a batch and the largest event, {least} bytes");
            return wrong("buffer_bytes", problem);
        }
        if self.partition.is_some_and(|partition| partition < 0) {
            return wrong("partition", "must be 0 or more".to_owned());
        }
        Ok(())
    }
}

/// What the producer may hold beyond the buffer: reports of lost events.
const PRODUCER_SPARE: usize = 1 << 20;
