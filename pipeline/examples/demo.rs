//! Fills a store with an hour of made-up logs and metrics and serves the page on it:
//! `cargo run -p logway-pipeline --example demo -- [HOST:PORT [LINES]]`. No broker is needed.
//!
//! Invariant: works in a temporary folder and leaves nothing behind but what is on the screen.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use logway_config::pipeline::Pipeline as Settings;
use logway_pipeline::Pipeline;
use logway_pipeline::store::{Advance, Placement, Store};
use logway_pipeline::transform::{Received, TopicKind, transform};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let http = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:0".to_owned())
        .parse()?;
    let lines: i64 = arguments.next().map_or(Ok(5_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let mut settings = Settings {
        http,
        ..Settings::default()
    };
    settings.bootstrap = vec!["127.0.0.1:1".to_owned()];
    settings.store.path = dir.path().join("store.db");
    fill(&mut Store::open(&settings.store.path)?, lines)?;

    let pipeline = Pipeline::start(settings, Vec::new()).await?;
    eprintln!("http://{}/  (Ctrl-C ends)", pipeline.http_addr());
    std::future::pending::<()>().await;
    pipeline.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

fn fill(store: &mut Store, lines: i64) -> Outcome {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    store.set_now(now);
    let start = now - 3_600_000;
    let records: Vec<_> = (0..lines)
        .map(|n| line(n, start + n * 3_600_000 / lines))
        .collect();
    apply(store, "logs", TopicKind::Logs, &records)?;
    let records: Vec<_> = (0..lines / 10)
        .map(|n| event(n, start + n * 36_000_000 / lines))
        .collect();
    apply(store, "app", TopicKind::Logs, &records)?;
    let mut records = Vec::new();
    for sample in 0..360 {
        for host in ["web-1", "db-1"] {
            let offset = records.len() as i64;
            // A gap, as when a machine was down.
            if host == "db-1" && (120..150).contains(&sample) {
                continue;
            }
            let at = start + sample * 10_000;
            records.push(record("metrics", offset, at, metrics(host, sample, at)));
        }
    }
    let odd = "cpu,host=web-1 usage_user=lots\n<script>alert(1)</script>".to_owned();
    records.push(record("metrics", records.len() as i64, now, odd));
    apply(store, "metrics", TopicKind::Metrics, &records)
}

/// Stores records and their partitions' offsets as the pipeline does.
fn apply(store: &mut Store, topic: &str, kind: TopicKind, records: &[Received]) -> Outcome {
    let mut rows = Vec::new();
    for record in records {
        transform(kind, record, &mut rows);
    }
    let mut advances = Vec::new();
    for partition in 0..3 {
        let Some(last) = records
            .iter()
            .rev()
            .find(|record| record.partition == partition)
        else {
            continue;
        };
        let claim = store.claim("logway-pipeline", topic, partition)?;
        store.place(&claim, 0, Placement::First)?;
        advances.push(Advance {
            group: claim.group,
            topic: claim.topic,
            partition,
            epoch: claim.epoch,
            expected: 0,
            next: last.offset + 1,
        });
    }
    store.apply(&rows, &advances)?;
    Ok(())
}

fn record(topic: &str, offset: i64, timestamp: i64, value: String) -> Received {
    Received {
        topic: Arc::from(topic),
        partition: (offset % 3) as i32,
        offset: offset / 3,
        timestamp,
        value: Some(Bytes::from(value)),
        origin: None,
        position: None,
        host: None,
        path: None,
    }
}

fn line(n: i64, at: i64) -> Received {
    let noise = (n * 7919) % 1000;
    let (path, text) = match n % 7 {
        0 => (
            "/var/log/auth.log",
            format!(
                "sshd[{}]: Failed password for invalid user admin from 10.0.{}.{} port {} ssh2",
                900 + noise,
                n % 20,
                noise % 250,
                40_000 + noise
            ),
        ),
        1 => (
            "/var/log/nginx/error.log",
            format!(
                "[error] {noise}#0: *{n} upstream timed out (110: Connection timed out) while reading response header from upstream, client: 10.1.0.{}, request: \"GET /api/orders/{n} HTTP/1.1\"",
                noise % 250
            ),
        ),
        2 => (
            "/opt/app/server.log",
            format!(
                "WARN  [pool-{}] c.e.orders.Cache - slow lookup: {noise} ms",
                n % 4
            ),
        ),
        3 => (
            "/var/log/hdfs.log",
            format!(
                "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_{} terminating",
                n * 38_865_049
            ),
        ),
        4 => (
            "/var/log/nginx/access.log",
            format!(
                "10.1.0.{} - - \"GET /users?page={n} HTTP/1.1\" 200 {} \"-\" \"curl/8\"",
                noise % 250,
                noise * 13
            ),
        ),
        5 => (
            "/opt/app/server.log",
            format!(
                "DEBUG [main] c.e.users.Repository - 사용자 {noise} 조회, <b>not markup</b> & \"quotes\""
            ),
        ),
        _ => (
            "/var/log/syslog",
            format!("kernel: [{n}.{noise}] eth0: link up, 1000 Mbps, full duplex"),
        ),
    };
    let mut record = record("logs", n, at, text);
    if n % 501 == 0 {
        record.value = Some(Bytes::from_static(
            b"caf\xe9 in Latin-1, \xff\xfe not UTF-8",
        ));
    }
    record.origin = Some(Bytes::from(format!("{:016x}", n % 7)));
    record.position = Some(Bytes::from((n * 100).to_string()));
    record.host = Some(Bytes::from_static(if n % 3 == 0 {
        b"db-1"
    } else {
        b"web-1"
    }));
    record.path = Some(Bytes::from_static(path.as_bytes()));
    record
}

fn event(n: i64, at: i64) -> Received {
    let level = ["DEBUG", "INFO", "INFO", "WARN", "ERROR"][(n % 5) as usize];
    let stack = if level == "ERROR" {
        r#","stack_trace":"java.lang.IllegalStateException: no such user\n\tat org.company.Users.find(Users.java:42)\n\tat org.company.Api.get(Api.java:7)""#
    } else {
        ""
    };
    record(
        "app",
        n,
        at,
        format!(
            r#"{{"@timestamp":"{}","@version":"1","message":"user {n} requested \"/users\"","logger_name":"org.company.user.UserController","thread_name":"http-nio-{}","level":"{level}","service":"user-service","requestId":"{:08x}"{stack}}}"#,
            timestamp(at),
            n % 8,
            n * 2_654_435,
        ),
    )
}

fn timestamp(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map(|at| at.to_string())
        .unwrap_or_default()
}

fn metrics(host: &str, sample: i64, at: i64) -> String {
    let wave = |period: f64, low: f64, high: f64| {
        let phase = sample as f64 / period + if host == "web-1" { 0.0 } else { 2.0 };
        low + (high - low) * (0.5 + 0.35 * phase.sin() + 0.15 * (phase * 7.3).sin())
    };
    let (user, system) = (wave(40.0, 5.0, 62.0), wave(55.0, 2.0, 18.0));
    let time = at * 1_000_000;
    let count = |rate: i64| sample * rate * 10 + (wave(11.0, 0.0, 900_000.0) as i64);
    format!(
        "cpu,cpu=cpu-total,host={host} usage_user={user},usage_system={system},usage_iowait={},usage_idle={} {time}\n\
         mem,host={host} used_percent={},total=33567170560i,used={}i {time}\n\
         system,host={host} load1={},load5={},load15={},n_cpus=8i,uptime={sample}i {time}\n\
         net,host={host},interface=eth0 bytes_recv={}i,bytes_sent={}i {time}\n\
         net,host={host},interface=lo bytes_recv={sample}i,bytes_sent={sample}i {time}\n\
         disk,host={host},path=/,device=sda1,fstype=ext4 used_percent={} {time}\n\
         disk,host={host},path=/data,device=sdb1,fstype=xfs used_percent={} {time}",
        wave(13.0, 0.0, 4.0),
        100.0 - user - system,
        wave(300.0, 48.0, 71.0),
        wave(300.0, 16e9, 24e9) as i64,
        wave(17.0, 0.4, 5.0),
        wave(45.0, 0.9, 3.4),
        wave(120.0, 1.2, 2.6),
        count(2_400_000),
        count(610_000),
        wave(900.0, 41.0, 47.0),
        61.0 + sample as f64 / 60.0,
    )
}
