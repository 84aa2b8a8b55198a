//! `kafka-producer-perf-test`: how fast records are taken and acknowledged.
//!
//! Invariant: a latency is the time from handing a record over to its acknowledgement.

mod figures;
mod payload;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logway_client::{Delivery, Producer, ProducerRecord, Transaction};

use super::console_producer::producer_config;
use super::exception::Exception;
use super::options::{Opt, Parsed, flag, value};
use super::output::{End, err, out};
use super::properties::{self, Properties};
use super::{Misread, Tool};
use crate::progress::Progress;
use figures::Figures;
use payload::Payloads;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-producer-perf-test",
    options: &[&OPTIONS],
    run: |parsed| Box::pin(super::until_stopped(run(parsed))),
    ended,
    misread: Misread::Table,
};

const OPTIONS: [Opt; 19] = [
    value(
        "bootstrap-server",
        "Brokers to ask first: host:port, several with commas.",
    ),
    value("topic", "Topic to send to."),
    value("num-records", "Records to send."),
    value("record-size", "Bytes of a record's value."),
    value("payload-file", "File of values to choose from."),
    value(
        "payload-delimiter",
        "What separates the values in the file; a line's end by itself.",
    ),
    flag("payload-monotonic", "Values that count up."),
    value("throughput", "Records per second at most; -1 is no limit."),
    value("producer-props", "The old name of --command-property."),
    value(
        "command-property",
        "A client setting, name=value; more may follow.",
    ),
    value("producer-prop", "The old name of --command-property."),
    value("producer.config", "The old name of --command-config."),
    value("command-config", "File of client settings."),
    flag(
        "print-metrics",
        "Print the producer's own counters at the end.",
    ),
    value(
        "transactional-id",
        "Send in transactions, under this id; transactional.id as a setting does, too.",
    ),
    value(
        "transaction-duration-ms",
        "Milliseconds after which a transaction is committed and the next begins (3000); alone \
         it makes an id up.",
    ),
    value(
        "warmup-records",
        "Records to leave out of the steady figures.",
    ),
    value("reporting-interval", "Milliseconds between reports (5000)."),
    value(
        "zookeeper",
        "The option of old: its hosts are taken as --bootstrap-server.",
    ),
];

const REPORT_EVERY: Duration = Duration::from_secs(5);
const TRANSACTION_DURATION: Duration = Duration::from_secs(3);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Deliveries looked at behind the producer.
const DELIVERIES_BEHIND: usize = 100_000;

fn ended(end: End, table: &str) -> u8 {
    match end {
        End::Usage(message) => {
            err(format!(
                "usage: kafka-producer-perf-test\n{}",
                table.trim_end()
            ));
            err(format!("kafka-producer-perf-test: error: {message}"));
            1
        }
        end => super::ended(end, table),
    }
}

/// What is to be sent, and how fast.
struct Plan {
    topic: Arc<str>,
    records: u64,
    per_second: f64,
    warmup: u64,
    report_every: Duration,
    /// How long a transaction lasts, where there are some.
    transaction: Option<Duration>,
    progress: Progress,
}

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let mut plan = plan(parsed)?;
    let payloads = Payloads::of(parsed)?;
    let settings = settings(parsed)?;
    let bootstrap = super::connect::bootstrap(parsed)
        .or_else(|| properties::get(&settings, "bootstrap.servers").map(str::to_owned))
        .ok_or_else(|| missing("bootstrap-server"))?;
    let mut config = producer_config(
        &bootstrap,
        &settings,
        Duration::ZERO,
        "perf-producer-client",
    )?;
    config.transactional_id = transactional_id(parsed, &settings);
    if config.transactional_id.is_some() {
        plan.transaction = plan.transaction.or(Some(TRANSACTION_DURATION));
    }
    let producer = Producer::new(config).map_err(|error| {
        Exception::new(
            "org.apache.kafka.common.config.ConfigException",
            error.to_string(),
        )
    })?;
    if plan.warmup > 0 {
        out(format!(
            "Warmup first {} records. Steady state results will print after the complete test summary.",
            plan.warmup
        ));
    }
    let (all, steady) = send(&producer, &plan, payloads).await?;
    plan.progress.finish();
    out(all.summary(""));
    if let Some(steady) = steady {
        out(steady.summary(" steady state"));
    }
    if parsed.has("print-metrics") {
        print_metrics(&producer);
    }
    producer.close(CLOSE_TIMEOUT).await;
    Ok(0)
}

fn missing(name: &str) -> End {
    End::Usage(format!("argument --{name} is required"))
}

fn plan(parsed: &Parsed) -> Result<Plan, End> {
    let number = |name: &str| parsed.number::<i64>(name).map_err(End::Usage);
    let above_zero = |name: &str| match number(name)? {
        Some(number @ 1..) => Ok(u64::try_from(number).ok()),
        Some(_) => Err(End::Usage(format!("--{name} should be greater than zero."))),
        None => Ok(None),
    };
    let records = above_zero("num-records")?.ok_or_else(|| missing("num-records"))?;
    let plan = Plan {
        topic: parsed.get("topic").ok_or_else(|| missing("topic"))?.into(),
        records,
        progress: parsed.bar(records),
        per_second: parsed
            .number("throughput")
            .map_err(End::Usage)?
            .ok_or_else(|| missing("throughput"))?,
        warmup: number("warmup-records")?
            .and_then(|number| u64::try_from(number).ok())
            .unwrap_or(0),
        report_every: above_zero("reporting-interval")?.map_or(REPORT_EVERY, Duration::from_millis),
        transaction: above_zero("transaction-duration-ms")?.map(Duration::from_millis),
    };
    if plan.warmup >= plan.records {
        return Err(End::Usage(
            "The value for --warmup-records must be strictly fewer than the number of records in \
             the test, --num-records."
                .to_owned(),
        ));
    }
    Ok(plan)
}

/// The id to send transactions under, where the command line wants some.
fn transactional_id(parsed: &Parsed, settings: &Properties) -> Option<String> {
    let given = parsed.get("transactional-id");
    let given = given.or_else(|| properties::get(settings, "transactional.id"));
    let made_up = || {
        parsed.has("transaction-duration-ms").then(|| {
            let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let nanos = time.unwrap_or_default().as_nanos();
            format!("performance-producer-{nanos:x}-{}", std::process::id())
        })
    };
    given.map(str::to_owned).or_else(made_up)
}

fn settings(parsed: &Parsed) -> Result<Properties, End> {
    let mut settings = Properties::new();
    for (old, file) in [("producer.config", true), ("producer-props", false)] {
        if parsed.has(old) {
            let new = if file {
                "command-config"
            } else {
                "command-property"
            };
            out(format!(
                "Option --{old} has been deprecated and will be removed in a future version. Use --{new} instead."
            ));
        }
    }
    for file in ["producer.config", "command-config"] {
        if let Some(path) = parsed.get(file) {
            settings.extend(properties::read(path)?);
        }
    }
    for name in ["producer-props", "producer-prop", "command-property"] {
        settings.extend(parsed.all(name).map(properties::pair));
    }
    settings.extend(parsed.rest.iter().map(|pair| properties::pair(pair)));
    Ok(settings)
}

/// A record under way.
struct Sent {
    delivery: Delivery,
    at: Instant,
    number: u64,
    bytes: usize,
}

/// How far a run is.
struct Run<'a> {
    producer: &'a Producer,
    warmup: u64,
    all: Figures,
    steady: Option<Figures>,
    window: Figures,
    under_way: VecDeque<Sent>,
}

impl Run<'_> {
    /// Takes what was acknowledged into the figures.
    async fn settle(&mut self, to_end: bool) {
        let (all, steady, window) = (&mut self.all, &mut self.steady, &mut self.window);
        let warmup = self.warmup;
        let note = |sent: &Sent, done: Instant| {
            let latency = done.saturating_duration_since(sent.at);
            all.add(latency, sent.bytes);
            window.add(latency, sent.bytes);
            if sent.number >= warmup
                && let Some(steady) = steady
            {
                steady.add(latency, sent.bytes);
            }
        };
        settle(&mut self.under_way, to_end, note).await;
    }

    /// Waits until everything is acknowledged.
    async fn drain(&mut self) {
        let producer = self.producer;
        tokio::join!(producer.flush(), self.settle(true));
    }

    async fn commit(&mut self, transaction: Transaction) -> Result<(), End> {
        self.drain().await;
        transaction.commit().await.map_err(|error| failed(&error))
    }
}

async fn send(
    producer: &Producer,
    plan: &Plan,
    mut payloads: Payloads,
) -> Result<(Figures, Option<Figures>), End> {
    if plan.transaction.is_some() {
        let ready = producer.init_transactions().await;
        ready.map_err(|error| failed(&error))?;
    }
    let begun = Instant::now();
    let mut run = Run {
        producer,
        warmup: plan.warmup,
        all: Figures::begin(begun),
        steady: None,
        window: Figures::begin(begun),
        under_way: VecDeque::new(),
    };
    let mut transaction: Option<(Transaction, Instant)> = None;
    for number in 0..plan.records {
        if plan.warmup > 0 && number == plan.warmup {
            run.steady = Some(Figures::begin(Instant::now()));
        }
        if plan.per_second > 0.0 {
            let due = begun + Duration::from_secs_f64(number as f64 / plan.per_second);
            // What is acknowledged meanwhile is noted when it is.
            let _cut_off = tokio::time::timeout_at(due.into(), run.settle(true)).await;
            tokio::time::sleep_until(due.into()).await;
        }
        if plan.transaction.is_some() && transaction.is_none() {
            let next = producer.begin_transaction().await;
            transaction = Some((next.map_err(|error| failed(&error))?, Instant::now()));
        }
        let value = payloads.next(number);
        let (at, bytes) = (Instant::now(), value.len());
        let record = ProducerRecord::new(plan.topic.clone(), value);
        let delivery = producer
            .send(record)
            .await
            .map_err(|error| failed(&error))?;
        run.under_way.push_back(Sent {
            delivery,
            at,
            number,
            bytes,
        });
        plan.progress.add(1);
        run.settle(false).await;
        let is_over = |(_, since): &mut (Transaction, Instant)| {
            let lasts = at.saturating_duration_since(*since);
            plan.transaction.is_some_and(|limit| lasts >= limit)
        };
        if let Some((over, _)) = transaction.take_if(is_over) {
            run.commit(over).await?;
        }
        if run.window.age() >= plan.report_every {
            plan.progress.aside(|| out(run.window.report()));
            run.window = Figures::begin(Instant::now());
        }
    }
    match transaction {
        Some((last, _)) => run.commit(last).await?,
        None => run.drain().await,
    }
    Ok((run.all, run.steady))
}

fn failed(error: &dyn std::error::Error) -> End {
    Exception::new("org.apache.kafka.common.KafkaException", error.to_string()).into()
}

/// Takes what was acknowledged off the front; all of it if `to_end`.
async fn settle(
    under_way: &mut VecDeque<Sent>,
    to_end: bool,
    mut note: impl FnMut(&Sent, Instant),
) {
    loop {
        let wait = to_end || under_way.len() > DELIVERIES_BEHIND;
        let Some(front) = under_way.front_mut() else {
            return;
        };
        let delivered = if wait {
            Some((&mut front.delivery).await)
        } else {
            // One look: a delivery that is not done is looked at again with the next record.
            std::future::poll_fn(|context| {
                let delivery = std::pin::Pin::new(&mut front.delivery);
                std::task::Poll::Ready(match delivery.poll(context) {
                    std::task::Poll::Ready(done) => Some(done),
                    std::task::Poll::Pending => None,
                })
            })
            .await
        };
        match delivered {
            None => return,
            Some(Ok(_)) => note(front, Instant::now()),
            Some(Err(error)) => err(format!("record was not delivered: {error}")),
        }
        under_way.pop_front();
    }
}

fn print_metrics(producer: &Producer) {
    let stats = producer.stats();
    out(format!("\n{:<40}{}", "Metric Name", "Value"));
    for (name, value) in [
        ("buffered-records", stats.buffered_records),
        ("buffered-bytes", stats.buffered_bytes),
        ("buffer-available-bytes", stats.buffer_available),
        ("record-send-total", stats.delivered_records),
        ("record-error-total", stats.failed_records),
        ("record-retry-total", stats.retries),
    ] {
        out(format!("producer-metrics:{name:<23}: {value}.000"));
    }
}
