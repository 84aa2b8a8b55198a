//! `kafka-console-producer`: each line of standard input becomes a record.
//!
//! Invariant: a record that was not delivered is told; records before a line that cannot be read
//! are sent.

mod lines;

use std::collections::VecDeque;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use logway_client::{
    Acks, Delivery, DeliveryError, ErrorCode, Producer, ProducerConfig, ProducerRecord, SendError,
};
use tokio::sync::mpsc;

use super::connect;
use super::exception::Exception;
use super::options::{Opt, Parsed, flag, maybe, value};
use super::output::{End, err, log, out};
use super::properties::{self, Properties};
use super::{Misread, Tool, ended, required};
use crate::stop::Stop;
use lines::LineReader;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-console-producer",
    options: &[&OPTIONS, &TUNING],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Table,
};

const OPTIONS: [Opt; 15] = [
    value("topic", "Topic to send to."),
    value(
        "bootstrap-server",
        "Brokers to ask first: host:port, several with commas.",
    ),
    value("broker-list", "The old name of --bootstrap-server."),
    value(
        "zookeeper",
        "The option of old: its hosts are taken as --bootstrap-server.",
    ),
    flag("sync", "Wait for each record before the next."),
    maybe(
        "compression-codec",
        "none, gzip (without a value), snappy, lz4 or zstd.",
    ),
    value(
        "request-required-acks",
        "Acknowledgements to wait for: all, -1, 1 or 0.",
    ),
    value(
        "line-reader",
        "Class that reads lines; only the usual one is there.",
    ),
    value(
        "reader-property",
        "How lines are read: parse.key=true, key.separator=: and so on.",
    ),
    value("property", "The old name of --reader-property."),
    value("reader-config", "File of reader properties."),
    value("command-property", "A client setting, name=value."),
    value("producer-property", "The old name of --command-property."),
    value("command-config", "File of client settings."),
    value("producer.config", "The old name of --command-config."),
];
const TUNING: [Opt; 11] = [
    value("batch-size", "Bytes of a batch."),
    value("timeout", "Milliseconds that records wait for company."),
    value(
        "request-timeout-ms",
        "Milliseconds that a broker may take to answer.",
    ),
    value("max-memory-bytes", "Bytes of records that wait to be sent."),
    value(
        "max-partition-memory-bytes",
        "Bytes of a batch, as --batch-size.",
    ),
    value(
        "max-block-ms",
        "Milliseconds that sending may wait for room.",
    ),
    value(
        "metadata-expiry-ms",
        "Milliseconds after which metadata is asked for anew.",
    ),
    value(
        "message-send-max-retries",
        "Attempts; delivery.timeout.ms is what ends them.",
    ),
    value("retry-backoff-ms", "Milliseconds between attempts."),
    value(
        "socket-buffer-size",
        "Bytes of the socket's buffer; the system chooses.",
    ),
    value("reader-timeout", "Without effect."),
];

/// Lines read ahead of the producer.
const LINES_AHEAD: usize = 1024;
/// Deliveries awaited behind the producer; the oldest is checked first.
const DELIVERIES_BEHIND: usize = 100_000;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long records wait for company by default.
const LINGER: Duration = Duration::from_secs(1);

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let topic: Arc<str> = required(parsed, "topic")?.into();
    let bootstrap = connect::bootstrap(parsed)
        .or_else(|| parsed.get("broker-list").map(str::to_owned))
        .ok_or_else(|| End::Usage("Error while validating the bootstrap address\n".to_owned()))?;
    warn_of_old_names(parsed);
    let reader = LineReader::of(&reader_properties(parsed)?);
    let config = config(&bootstrap, parsed)?;
    let producer = Producer::new(config).map_err(|error| {
        Exception::new(
            "org.apache.kafka.common.config.ConfigException",
            error.to_string(),
        )
    })?;
    let mut stop = super::signals()?;
    let mut sending = Sending {
        topic,
        producer: &producer,
        is_sync: parsed.has("sync"),
        deliveries: VecDeque::new(),
    };
    let mut lines = read_lines()?;
    let (read, stopped) = tokio::select! {
        read = sending.lines(&reader, &mut lines) => (read, None),
        by = stop.wait() => (Ok(()), Some(by)),
    };
    // What was read is sent.
    stop.unless_again(async {
        sending.finish().await;
        producer.close(CLOSE_TIMEOUT).await;
    })
    .await;
    match read {
        Err(exception) => {
            err(exception.to_string());
            Ok(1)
        }
        Ok(()) => Ok(stopped.map_or(0, Stop::exit_code)),
    }
}

/// Lines on their way.
struct Sending<'a> {
    topic: Arc<str>,
    producer: &'a Producer,
    is_sync: bool,
    deliveries: VecDeque<Sent>,
}

impl Sending<'_> {
    /// Sends lines until there are no more.
    async fn lines(
        &mut self,
        reader: &LineReader,
        lines: &mut mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), Exception> {
        let mut number = 0_u64;
        while let Some(line) = lines.recv().await {
            number += 1;
            let parts = reader.read(&line, number)?;
            let record = ProducerRecord {
                key: parts.key.map(Into::into),
                value: parts.value.map(Into::into),
                headers: parts.headers,
                ..ProducerRecord::new(self.topic.clone(), "")
            };
            let (key, value) = (
                record.key.as_ref().map(bytes::Bytes::len),
                record.value.as_ref().map(bytes::Bytes::len),
            );
            match self.producer.send(record).await {
                Ok(delivery) => self.deliveries.push_back(Sent {
                    delivery,
                    key,
                    value,
                }),
                Err(error) => tell(&self.topic, (key, value), &of_send(&error)),
            }
            if self.is_sync {
                self.finish().await;
            }
            while self.deliveries.len() > DELIVERIES_BEHIND
                && let Some(oldest) = self.deliveries.pop_front()
            {
                check(&self.topic, oldest).await;
            }
        }
        Ok(())
    }

    /// Waits until everything is delivered.
    async fn finish(&mut self) {
        self.producer.flush().await;
        while let Some(oldest) = self.deliveries.pop_front() {
            check(&self.topic, oldest).await;
        }
    }
}

fn warn_of_old_names(parsed: &Parsed) {
    for (old, new) in [
        ("property", "reader-property"),
        ("producer-property", "command-property"),
        ("producer.config", "command-config"),
    ] {
        if parsed.has(old) {
            out(format!(
                "Warning: --{old} is deprecated and will be removed in a future version. Use --{new} instead."
            ));
        }
    }
}

/// A record under way, with the lengths of its key and value.
struct Sent {
    delivery: Delivery,
    key: Option<usize>,
    value: Option<usize>,
}

async fn check(topic: &str, sent: Sent) {
    if let Err(error) = sent.delivery.await {
        let exception = match error {
            DeliveryError::Rejected { code, detail } => Exception::of_code(code, detail.as_deref()),
            DeliveryError::TooLarge { .. } => Exception::of_code(ErrorCode::MessageTooLarge, None),
            error => Exception::new(
                "org.apache.kafka.common.errors.TimeoutException",
                error.to_string(),
            ),
        };
        tell(topic, (sent.key, sent.value), &exception);
    }
}

fn of_send(error: &SendError) -> Exception {
    match error {
        SendError::InvalidTopic(topic) => Exception::new(
            "org.apache.kafka.common.errors.InvalidTopicException",
            format!("Invalid topics: [{topic}]"),
        ),
        SendError::TooLarge { .. } => Exception::new(
            "org.apache.kafka.common.errors.RecordTooLargeException",
            error.to_string(),
        ),
        error => Exception::new("org.apache.kafka.common.KafkaException", error.to_string()),
    }
}

fn tell(topic: &str, lengths: (Option<usize>, Option<usize>), exception: &Exception) {
    let length = |length: Option<usize>| {
        length.map_or_else(|| "null".to_owned(), |length| format!("{length} bytes"))
    };
    log(
        "ERROR",
        format!(
            "Error when sending message to topic {topic} with key: {}, value: {} with error:",
            length(lengths.0),
            length(lengths.1)
        ),
        "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback",
    );
    err(exception.to_string());
}

fn reader_properties(parsed: &Parsed) -> Result<Properties, Exception> {
    let mut properties = parsed
        .get("reader-config")
        .map_or_else(|| Ok(Properties::new()), properties::read)?;
    for name in ["property", "reader-property"] {
        properties.extend(parsed.all(name).map(properties::pair));
    }
    Ok(properties)
}

fn config(bootstrap: &str, parsed: &Parsed) -> Result<ProducerConfig, End> {
    let mut properties = Properties::new();
    for file in ["producer.config", "command-config"] {
        if let Some(path) = parsed.get(file) {
            properties.extend(properties::read(path)?);
        }
    }
    for (option, name) in [
        ("request-required-acks", "acks"),
        ("batch-size", "batch.size"),
        ("max-partition-memory-bytes", "batch.size"),
        ("timeout", "linger.ms"),
        ("request-timeout-ms", "request.timeout.ms"),
        ("max-memory-bytes", "buffer.memory"),
        ("metadata-expiry-ms", "metadata.max.age.ms"),
        ("retry-backoff-ms", "retry.backoff.ms"),
    ] {
        if let Some(value) = parsed.get(option) {
            properties.push((name.to_owned(), value.to_owned()));
        }
    }
    if parsed.has("compression-codec") {
        let codec = parsed.get("compression-codec").unwrap_or("gzip");
        properties.push(("compression.type".to_owned(), codec.to_owned()));
    }
    for name in ["producer-property", "command-property"] {
        properties.extend(parsed.all(name).map(properties::pair));
    }
    Ok(producer_config(
        bootstrap,
        &properties,
        LINGER,
        "console-producer",
    )?)
}

/// A producer's configuration from settings under Kafka's names.
pub(super) fn producer_config(
    bootstrap: &str,
    properties: &Properties,
    linger: Duration,
    client_id: &str,
) -> Result<ProducerConfig, Exception> {
    let invalid = |name: &str, value: &str| {
        let class = "org.apache.kafka.common.config.ConfigException";
        Exception::new(
            class,
            format!("Invalid value {value} for configuration {name}"),
        )
    };
    let acks = match properties::get(properties, "acks").unwrap_or("all") {
        "all" | "-1" => Acks::All,
        "1" => Acks::Leader,
        "0" => Acks::None,
        other => return Err(invalid("acks", other)),
    };
    let mut config = ProducerConfig {
        client: properties::client(bootstrap, properties, client_id)?,
        acks,
        enable_idempotence: acks == Acks::All
            && properties::get(properties, "enable.idempotence") != Some("false"),
        linger: properties::millis(properties, "linger.ms").unwrap_or(linger),
        ..ProducerConfig::default()
    };
    if let Some(codec) = properties::get(properties, "compression.type") {
        config.compression = codec
            .parse()
            .map_err(|_| invalid("compression.type", codec))?;
    } else {
        config.compression = logway_client::Compression::None;
    }
    for (name, to) in [
        ("batch.size", &mut config.batch_size),
        ("buffer.memory", &mut config.buffer_memory),
        ("max.request.size", &mut config.max_request_size),
    ] {
        if let Some(value) = properties::get(properties, name) {
            *to = value.parse().map_err(|_| invalid(name, value))?;
        }
    }
    if let Some(timeout) = properties::millis(properties, "delivery.timeout.ms") {
        config.delivery_timeout = Some(timeout);
    }
    Ok(config)
}

/// Standard input is read on a thread of its own: it blocks.
fn read_lines() -> Result<mpsc::Receiver<Vec<u8>>, Exception> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    let read = move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                        if line.last() == Some(&b'\r') {
                            line.pop();
                        }
                    }
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .map_err(|error| Exception::new("java.io.IOException", error.to_string()))?;
    Ok(receiver)
}
