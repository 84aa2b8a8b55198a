//! Metrics of this host, with Telegraf's measurement, tag and field names, as influx line protocol. Steps 2
//! and 4 of the hallway, for metrics.
//!
//! A thread collects (a mount that hangs must not stop the runtime), a task sends one batch after the other.
//! Unlike the lines of files, metrics cannot be read again: they wait in a bounded backlog.
//!
//! **Invariant:** all lines of one collection carry the same time, and every line is one record.

mod backlog;
mod cpu;
mod disk;
mod line_protocol;
mod mem;
mod net;
mod source;
mod system;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use logway_client::{DeliveryError, EncodedBatch, Producer};
use logway_config::agent::{HostMetrics as Settings, Metric};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::signal::Signal;
use crate::telemetry::Telemetry;
use backlog::Backlog;
use line_protocol::Point;
pub(crate) use source::Source;

/// Pause before a refused batch is sent again.
const RESEND_AFTER: Duration = Duration::from_secs(1);

/// Collects the families that are wanted.
#[derive(Debug)]
pub(crate) struct Collector {
    source: Source,
    host: Arc<str>,
    families: Vec<Metric>,
    cpu: cpu::Cpu,
    telemetry: Telemetry,
    failing: HashSet<Metric>,
}

impl Collector {
    /// A collector; the first reading of the processors is taken at once.
    pub(crate) fn new(
        source: Source,
        host: Arc<str>,
        families: &[Metric],
        telemetry: Telemetry,
    ) -> Collector {
        let mut collector = Collector {
            source,
            host,
            families: families.to_vec(),
            cpu: cpu::Cpu::default(),
            telemetry,
            failing: HashSet::new(),
        };
        // Gives no points yet; a failure shows again at the first collection.
        let _none = collector.cpu.collect(&collector.source);
        collector
    }

    /// One line per metric, all with the same time.
    pub(crate) fn collect(&mut self, timestamp_ns: u64) -> Vec<String> {
        let mut lines = Vec::new();
        for family in self.families.clone() {
            let collected = self.points(family);
            if let Err(error) = &collected {
                Telemetry::count(&self.telemetry.metric_errors, name_of(family), 1);
                if self.failing.insert(family) {
                    warn!(family = name_of(family), %error, "cannot collect host metrics; trying again");
                }
            } else {
                self.failing.remove(&family);
            }
            let host = self.host.to_string();
            let points = collected.unwrap_or_default().into_iter();
            lines.extend(
                points.filter_map(|point| point.tag("host", host.clone()).line(timestamp_ns)),
            );
        }
        lines
    }

    fn points(&mut self, family: Metric) -> Result<Vec<Point>, Box<dyn std::error::Error>> {
        Ok(match family {
            Metric::Cpu => self.cpu.collect(&self.source)?,
            Metric::Mem => mem::collect(&self.source)?,
            Metric::Disk => disk::collect(&self.source)?,
            Metric::Net => net::collect(&self.source)?,
            Metric::Load => system::collect(&self.source)?,
        })
    }
}

fn name_of(family: Metric) -> &'static str {
    match family {
        Metric::Cpu => "cpu",
        Metric::Mem => "mem",
        Metric::Disk => "disk",
        Metric::Net => "net",
        Metric::Load => "system",
    }
}

/// The running collection.
#[derive(Debug)]
pub(crate) struct HostMetrics {
    thread: Option<JoinHandle<()>>,
    signal: Arc<Signal>,
    stopping: Arc<AtomicBool>,
    tracker: TaskTracker,
}

impl HostMetrics {
    /// Starts to collect and to send through `producer`; inside a runtime.
    pub(crate) fn spawn(
        settings: &Settings,
        mut collector: Collector,
        producer: Producer,
        compression: Compression,
    ) -> io::Result<HostMetrics> {
        let (signal, stopping) = (
            Arc::new(Signal::default()),
            Arc::new(AtomicBool::new(false)),
        );
        let backlog = Arc::new(Backlog::default());
        let telemetry = collector.telemetry.clone();
        let tracker = TaskTracker::new();
        tracker.spawn(send(
            backlog.clone(),
            producer,
            settings.topic.as_str().into(),
            telemetry.clone(),
        ));
        let interval = Duration::from_millis(settings.interval_ms.max(1));
        let (its_signal, its_stopping) = (signal.clone(), stopping.clone());
        let body = move || {
            let mut builder = BatchBuilder::new(compression);
            while !its_stopping.load(Ordering::Relaxed) {
                let due = next_tick(interval);
                its_signal.wait_until(Instant::now() + due);
                if its_stopping.load(Ordering::Relaxed) {
                    break;
                }
                let wall = wall();
                let lines = collector
                    .collect(u64::try_from(rounded(wall, interval).as_nanos()).unwrap_or(0));
                telemetry.metric_lines.inc_by(lines.len() as u64);
                if let Some(batch) = encode(&mut builder, &lines, wall) {
                    Telemetry::count(
                        &telemetry.metric_lines_dropped,
                        "backlog_full",
                        backlog.push(batch),
                    );
                }
            }
            backlog.close();
        };
        let thread = std::thread::Builder::new()
            .name("logway-metrics".to_owned())
            .spawn(body)?;
        Ok(HostMetrics {
            thread: Some(thread),
            signal,
            stopping,
            tracker,
        })
    }

    /// Collects no more and sends what waits, until `deadline`.
    pub(crate) async fn stop(&mut self, deadline: Duration) {
        self.stopping.store(true, Ordering::Relaxed);
        self.signal.ring();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait())
            .await
            .is_err()
        {
            warn!("host metrics that waited for the broker are lost with this end");
        }
        // A collection that hangs (a dead mount) is left to the end of the process.
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished())
            && thread.join().is_err()
        {
            error!("the collection of host metrics panicked");
        }
    }
}

impl Drop for HostMetrics {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.signal.ring();
    }
}

fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Time until the next multiple of the interval (Telegraf: `round_interval`).
fn next_tick(interval: Duration) -> Duration {
    let into = wall().as_nanos() % interval.as_nanos().max(1);
    interval.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
}

/// The time of a collection: whole seconds where the interval has whole seconds, else milliseconds.
fn rounded(wall: Duration, interval: Duration) -> Duration {
    if interval >= Duration::from_secs(1) {
        Duration::from_secs(wall.as_secs())
    } else {
        Duration::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX))
    }
}

fn encode(builder: &mut BatchBuilder, lines: &[String], wall: Duration) -> Option<EncodedBatch> {
    let timestamp_ms = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
    for line in lines {
        let appended = builder.append(timestamp_ms, None, Some(line.as_bytes()), &[]);
        appended.expect("a collection is far below two gigabytes");
    }
    let records = i32::try_from(builder.len()).unwrap_or(i32::MAX);
    let bytes = builder.build().ok()?;
    Some(EncodedBatch {
        bytes,
        records,
        when_too_large: logway_client::WhenTooLarge::Split,
    })
}

/// Sends batches one by one; what the broker refuses for good is given up.
async fn send(backlog: Arc<Backlog>, producer: Producer, topic: Arc<str>, telemetry: Telemetry) {
    while let Some(batch) = backlog.take().await {
        let records = u64::from(batch.records.unsigned_abs());
        loop {
            let delivery = match producer.send_batch(&topic, None, batch.clone()).await {
                Ok(delivery) => delivery,
                Err(error) => {
                    error!(%error, %topic, records, "host metrics were not taken; they are lost");
                    Telemetry::count(&telemetry.metric_lines_dropped, "refused", records);
                    break;
                }
            };
            match delivery.await {
                Ok(_) => {
                    telemetry.metric_lines_acked.inc_by(records);
                    break;
                }
                Err(error @ (DeliveryError::TooLarge { .. } | DeliveryError::Closed)) => {
                    error!(%error, %topic, records, "host metrics were refused; they are lost");
                    Telemetry::count(&telemetry.metric_lines_dropped, "refused", records);
                    break;
                }
                Err(error) => {
                    warn!(%error, %topic, "host metrics were refused; sending them again");
                    tokio::time::sleep(RESEND_AFTER).await;
                }
            }
        }
    }
}
