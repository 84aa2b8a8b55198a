//! The page's data over real HTTP: search, export, metrics, lag, live tail, refusals, shutdown.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use logway_config::pipeline::Pipeline as Settings;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::row::base64;
use crate::Pipeline;
use crate::source::Event;
use crate::source::tests::{Script, logs, record};
use crate::transform::Received;

struct Served {
    pipeline: Pipeline,
    script: Script,
    dir: tempfile::TempDir,
}

async fn start() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::default();
    let (pipeline, script) = start_in(&dir, script).await;
    Served {
        pipeline,
        script,
        dir,
    }
}

async fn start_in(dir: &tempfile::TempDir, script: Script) -> (Pipeline, Script) {
    let mut settings = Settings {
        http: "127.0.0.1:0".parse().unwrap(),
        ..Settings::default()
    };
    settings.store.path = dir.path().join("store.db");
    settings.store.commit_interval_ms = 1;
    settings.lag_interval_ms = 100;
    script.set_bounds(0, 0, 1_000_000, "id");
    script.push(Event::Assigned(vec![logs(0)]));
    let extra: crate::ExtraMetrics = Arc::new(|| "extra_metric 7\n".to_owned());
    let pipeline = Pipeline::start_with(script.clone(), settings, vec![extra])
        .await
        .unwrap();
    (pipeline, script)
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn get(address: SocketAddr, target: &str) -> Answer {
    get_with(address, target, "").await
}

async fn get_with(address: SocketAddr, target: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    }
}

impl Served {
    fn address(&self) -> SocketAddr {
        self.pipeline.http_addr()
    }

    async fn get(&self, target: &str) -> Answer {
        get(self.address(), target).await
    }

    async fn json(&self, target: &str) -> Value {
        let answer = self.get(target).await;
        assert_eq!(
            answer.status,
            200,
            "{target}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    }

    /// Feeds lines and waits until they are stored.
    async fn feed(&self, records: Vec<Received>) {
        let last = records.last().unwrap().offset + 1;
        let topic = Arc::clone(&records[0].topic);
        self.script.push(Event::Records(records));
        loop {
            let lag = self.json("/api/v1/lag").await;
            let stored =
                lag["partitions"].as_array().unwrap().iter().any(|row| {
                    row["topic"] == *topic && row["stored_offset"].as_i64() == Some(last)
                });
            if stored {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) {
        self.pipeline.shutdown(Duration::from_secs(20)).await;
    }
}

fn line(offset: i64, text: &[u8]) -> Received {
    Received {
        value: Some(Bytes::copy_from_slice(text)),
        ..record(0, offset)
    }
}

#[tokio::test]
async fn lines_are_searched_and_exported() {
    let served = start().await;
    let event = br#"{"@timestamp":"2026-01-02T03:04:05.678Z","message":"hello \"world\"","level":"ERROR","thread_name":"main","service":"s"}"#;
    let mut records: Vec<_> = (0..300)
        .map(|n| line(n, format!("line {n} of many").as_bytes()))
        .collect();
    records.push(line(300, event));
    records.push(line(301, b"caf\xe9 WARN"));
    served.feed(records).await;

    let newest = served.json("/api/v1/logs?limit=1").await;
    let row = &newest["rows"][0];
    assert_eq!(row["message"], "hello \"world\"");
    assert_eq!(row["time"], "2026-01-02T03:04:05.678Z");
    assert_eq!(row["timestamp"], 1_767_323_045_678_i64);
    assert_eq!(
        (&row["level"], &row["thread"], &row["service"]),
        (&json!("ERROR"), &json!("main"), &json!("s"))
    );
    assert_eq!(
        (&row["topic"], &row["partition"], &row["offset"]),
        (&json!("logs"), &json!(0), &json!(300))
    );
    assert_eq!(row["body"].as_str().unwrap().as_bytes(), event);
    assert!(newest["next"].is_string());

    let found = served.json("/api/v1/logs?query=LINE%20299%20").await;
    assert_eq!(found["rows"].as_array().unwrap().len(), 1);
    assert_eq!(found["next"], Value::Null);
    let odd = served.json("/api/v1/logs?level=warn").await;
    assert_eq!(odd["rows"][0]["message"], "caf\u{fffd} WARN");
    assert_eq!(odd["rows"][0]["body_base64"], base64(b"caf\xe9 WARN"));
    assert_eq!(
        served.json("/api/v1/logs?level=WARN%2B").await["rows"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        served.json("/api/v1/logs?mode=words&query=many%2012").await["rows"]
            .as_array()
            .unwrap()
            .len(),
        13
    );
    assert_eq!(
        served
            .json("/api/v1/logs?to=2020-01-01T00:00:00Z&limit=1000")
            .await["rows"]
            .as_array()
            .unwrap()
            .len(),
        301
    );

    let seen = export(&served).await;
    assert_eq!(seen, (0..302).collect::<Vec<_>>());
    let status = served.json("/api/v1/status").await;
    assert_eq!(
        (&status["lines"], &status["metrics"]),
        (&json!(302), &json!(0))
    );
    assert_eq!(
        (&status["unparsed"], &status["repeats"]),
        (&json!(0), &json!(0))
    );
    let lag = served.json("/api/v1/lag").await;
    assert_eq!(lag["partitions"][0]["lag"], 1_000_000 - 302);
    served.stop().await;
}

/// Offsets of all lines by pages of ids, in the order of storing.
async fn export(served: &Served) -> Vec<i64> {
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = served
            .json(&format!("/api/v1/logs?order=asc&after_id={after}&limit=70"))
            .await;
        let rows = page["rows"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["offset"].as_i64().unwrap()));
        let Some(last) = rows.last() else { break };
        after = last["id"].as_i64().unwrap();
    }
    seen
}

#[tokio::test]
async fn metrics_are_listed_and_bucketed_and_what_is_none_is_kept() {
    let served = start().await;
    let text = "cpu,host=a idle=1 1000000000\ncpu,host=a idle=3 2000000000\ncpu,host=b idle=9 2000000000\nnonsense";
    let metrics = Received {
        topic: Arc::from("metrics"),
        ..line(0, text.as_bytes())
    };
    let partition = crate::source::Partition {
        topic: Arc::from("metrics"),
        index: 0,
    };
    served.script.push(Event::Assigned(vec![partition]));
    served.feed(vec![metrics]).await;
    let list = served.json("/api/v1/metrics").await;
    assert_eq!(
        list["metrics"],
        json!([
            { "name": "cpu", "fields": [{ "name": "idle", "kind": "float", "series": 2 }] }
        ])
    );
    let series = served.json("/api/v1/metrics?name=cpu&tag.host=b").await;
    assert_eq!(series["series"].as_array().unwrap().len(), 1);
    let values = served
        .json("/api/v1/metrics/query?name=cpu&field=idle&from=0&to=10&step=10s&tag.host=a")
        .await;
    assert_eq!(
        values["series"],
        json!([{ "tags": { "host": "a" }, "points": [[0, 2.0]] }])
    );
    let unparsed = served.json("/api/v1/unparsed").await;
    assert_eq!(unparsed["rows"][0]["line"], "nonsense");
    assert_eq!(unparsed["rows"][0]["reason"], "field");
    let status = served.json("/api/v1/status").await;
    assert_eq!(
        (&status["metrics"], &status["points"], &status["unparsed"]),
        (&json!(3), &json!(3), &json!(1))
    );
    served.stop().await;
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let served = start().await;
    for (target, status, part) in [
        ("/api/v1/logs?limti=1", 400, "unknown parameter `limti`"),
        ("/api/v1/logs?limit=0", 400, "from 1 to 10000"),
        ("/api/v1/logs?limit=1&limit=2", 400, "given twice"),
        ("/api/v1/logs?from=yesterday", 400, "must be a time"),
        ("/api/v1/logs?level=loud", 400, "parameter `level`"),
        ("/api/v1/logs?order=up", 400, "`asc` or `desc`"),
        ("/api/v1/logs?after_id=1&order=desc", 400, "goes with"),
        ("/api/v1/logs?cursor=x", 400, "cursor"),
        ("/api/v1/logs?mode=regex", 400, "`phrase` or `words`"),
        ("/api/v1/metrics/query?name=cpu", 400, "`field` is missing"),
        (
            "/api/v1/metrics/query?name=a&field=b&step=0s",
            400,
            "length of time",
        ),
        (
            "/api/v1/metrics/query?name=a&field=b&from=now-30d&step=1s",
            400,
            "wider `step`",
        ),
        (
            "/api/v1/metrics/query?name=a&field=b&from=now&to=now-1h",
            400,
            "before `to`",
        ),
        (
            "/api/v1/metrics/query?name=a&field=b&agg=guess",
            400,
            "avg, min",
        ),
        ("/api/v1/nothing", 404, "nothing at /api/v1/nothing"),
    ] {
        let answer = served.get(target).await;
        let message = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, status, "{target}: {message}");
        assert!(message.contains(part), "{target}: {message}");
    }
    let long = format!("/api/v1/logs?query={}", "x".repeat(2000));
    assert_eq!(served.get(&long).await.status, 400);
    assert_eq!(
        served.json("/api/v1/logs?from=now-15m&to=now").await["rows"],
        json!([])
    );
    served.stop().await;
}

#[tokio::test]
async fn the_page_is_served_with_tags_and_a_policy() {
    let served = start().await;
    let page = served.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].starts_with("text/html"));
    assert!(page.headers["content-security-policy"].contains("default-src 'none'"));
    let text = String::from_utf8(page.body.clone()).unwrap();
    for part in text
        .split(['"', '\''])
        .filter(|part| part.starts_with("/page/"))
    {
        assert_eq!(served.get(part).await.status, 200, "{part}");
    }
    // Every module that a script imports is there too.
    for script in [
        "app", "api", "dom", "chart", "metrics", "lines", "logs", "live", "status",
    ] {
        let answer = served.get(&format!("/page/{script}.js")).await;
        assert!(answer.headers["content-type"].starts_with("text/javascript"));
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains("innerHTML"), "{script}");
        for part in text.split('"').filter(|part| part.starts_with("./")) {
            let target = format!("/page/{}", part.trim_start_matches("./"));
            assert_eq!(served.get(&target).await.status, 200, "{part}");
        }
    }
    let header = format!("If-None-Match: {}\r\n", page.headers["etag"]);
    let again = get_with(served.address(), "/", &header).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(served.get("/page/../Cargo.toml").await.status, 404);
    assert_eq!(served.get("/healthz").await.body, b"ok");
    let metrics = String::from_utf8(served.get("/metrics").await.body).unwrap();
    assert!(
        metrics.contains("logway_pipeline_records_consumed_total 0"),
        "{metrics}"
    );
    assert!(
        metrics.contains("logway_pipeline_store_lines 0"),
        "{metrics}"
    );
    assert!(metrics.ends_with("extra_metric 7\n"), "{metrics}");
    assert!(!metrics.contains("# EOF"));
    assert!(!served.pipeline.metrics_text().contains("extra_metric"));
    served.stop().await;
}

/// An open live tail.
struct Tail {
    lines: tokio::io::Lines<BufReader<TcpStream>>,
}

impl Tail {
    async fn open(address: SocketAddr, target: &str, headers: &str) -> Tail {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Tail {
            lines: BufReader::new(stream).lines(),
        }
    }

    /// The next event's name, id and data; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        let (mut name, mut id) = (String::new(), String::new());
        loop {
            let line = self.lines.next_line().await.unwrap()?;
            if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("id: ") {
                text.clone_into(&mut id);
            } else if let Some(text) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(text).unwrap();
                // The id may come before or after the data.
                let more = self.lines.next_line().await.unwrap()?;
                if let Some(text) = more.strip_prefix("id: ") {
                    text.clone_into(&mut id);
                }
                return Some((name, id, data));
            }
        }
    }

    /// Offsets of lines until `count` have come, and the last event's id.
    async fn offsets(&mut self, count: usize) -> (Vec<i64>, String) {
        let mut offsets = Vec::new();
        let mut last = String::new();
        while offsets.len() < count {
            let (name, id, data) = self.next().await.unwrap();
            if name == "lines" {
                offsets.extend(
                    data.as_array()
                        .unwrap()
                        .iter()
                        .map(|row| row["offset"].as_i64().unwrap()),
                );
                last = id;
            }
        }
        (offsets, last)
    }
}

#[tokio::test]
async fn a_live_tail_resumes_without_a_gap() {
    let served = start().await;
    served
        .feed((0..5).map(|n| line(n, b"before")).collect())
        .await;
    let mut tail = Tail::open(served.address(), "/api/v1/tail", "").await;
    assert_eq!(tail.next().await.unwrap().0, "ready");
    served
        .feed((5..10).map(|n| line(n, b"live")).collect())
        .await;
    let (offsets, last) = tail.offsets(5).await;
    assert_eq!(offsets, [5, 6, 7, 8, 9]);
    drop(tail);

    served
        .feed((10..15).map(|n| line(n, b"meanwhile")).collect())
        .await;
    let header = format!("Last-Event-ID: {last}\r\n");
    let mut tail = Tail::open(served.address(), "/api/v1/tail", &header).await;
    assert_eq!(tail.offsets(5).await.0, [10, 11, 12, 13, 14]);

    let mut only = Tail::open(served.address(), "/api/v1/tail?query=wanted&after_id=0", "").await;
    served
        .feed(
            (15..20)
                .map(|n| line(n, if n == 17 { b"Wanted!" } else { b"other!!" }))
                .collect(),
        )
        .await;
    assert_eq!(only.offsets(1).await.0, [17]);
    assert_eq!(tail.offsets(5).await.0, [15, 16, 17, 18, 19]);

    // Stopping does not wait for tails; they end.
    served.stop().await;
    while only.next().await.is_some() {}
}

#[tokio::test]
async fn a_tail_that_is_too_far_behind_is_told_so() {
    let served = start().await;
    served
        .feed((0..12_000).map(|n| line(n, b"flood")).collect())
        .await;
    let mut tail = Tail::open(served.address(), "/api/v1/tail?after_id=1", "").await;
    assert_eq!(tail.next().await.unwrap().0, "ready");
    let (name, id, data) = tail.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &data),
        ("lagged", &json!({ "missed": 11_499, "after_id": 11_500 }))
    );
    assert_eq!(id, "11500");
    assert_eq!(
        tail.offsets(500).await.0,
        (11_500..12_000).collect::<Vec<_>>()
    );
    served.stop().await;
}

#[tokio::test]
async fn a_pipeline_goes_on_after_a_restart_and_refuses_a_second() {
    let served = start().await;
    served
        .feed((0..3).map(|n| line(n, b"first run")).collect())
        .await;
    let mut settings = Settings {
        http: "127.0.0.1:0".parse().unwrap(),
        ..Settings::default()
    };
    settings.store.path = served.dir.path().join("store.db");
    let second = Pipeline::start_with(Script::default(), settings.clone(), Vec::new()).await;
    let error = second.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("in use by another pipeline"), "{cause}");
    settings.http = served.address();
    settings.store.path = served.dir.path().join("other.db");
    let taken = Pipeline::start_with(Script::default(), settings, Vec::new()).await;
    assert!(matches!(taken, Err(crate::StartError::Listen { .. })));

    let Served { pipeline, dir, .. } = served;
    pipeline.shutdown(Duration::from_secs(20)).await;
    let (pipeline, script) = start_in(&dir, Script::default()).await;
    let served = Served {
        pipeline,
        script,
        dir,
    };
    served
        .feed((0..6).map(|n| line(n, b"again")).collect())
        .await;
    assert_eq!(served.json("/api/v1/status").await["lines"], 6);
    served.stop().await;
}

#[test]
fn base64_is_as_in_its_rfc() {
    for (text, expected) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(text.as_bytes()), expected);
    }
}
