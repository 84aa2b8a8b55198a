//! The whole road: from a file on disk to rows in the store, with our broker between and, beside
//! it, with Apache Kafka between.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::leftovers::Folder;
use super::process::{Process, cpu, memory_mb};
use super::report::Report;
use super::server::{Server, Setup};
use super::{agent, peer};
use crate::BenchArgs;

/// Size of the file that goes down the road.
const FILE_BYTES: usize = 64 << 20;
/// How long it may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Lines that the pipeline has stored.
fn stored(http: &str) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(http).context("connect the page")?;
    stream.write_all(b"GET /api/v1/status HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split("\r\n\r\n").nth(1).context("a body")?;
    let status: serde_json::Value = serde_json::from_str(body).context("JSON")?;
    status["lines"].as_u64().context("a count of lines")
}

fn wait_for(http: &str, lines: u64) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    loop {
        let now = stored(http)?;
        if now >= lines {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "{now} of {lines} lines after {LIMIT:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs the road with each broker in turn.
pub(crate) fn run(args: &BenchArgs, binary: &Path, report: &mut Report) -> anyhow::Result<()> {
    let script = peer(args)?;
    for _ in 0..args.rounds {
        let folder = Folder::new()?;
        let file = folder.path().join("access.log");
        let lines = agent::write_log(&file, FILE_BYTES)?;
        let tail = file.display().to_string();
        with_up(binary, folder.path(), (&tail, lines), args.seconds, report)?;
        let server = Server::logway(binary, Setup::PLAIN)?.start()?;
        apart(binary, &server, (&tail, lines), report)?;
        drop(server);
        if let Some(script) = &script {
            apart(
                binary,
                &Server::kafka(script, Setup::PLAIN)?.start()?,
                (&tail, lines),
                report,
            )?;
        }
    }
    Ok(())
}

/// `logway up`: all in one process; then what it costs when nothing happens.
fn with_up(
    binary: &Path,
    folder: &Path,
    (tail, lines): (&str, u64),
    seconds: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let data = folder.join("data").display().to_string();
    let any = "127.0.0.1:0";
    let args = [
        "up",
        "--data-dir",
        &data,
        "--tail",
        tail,
        "--kafka-addr",
        any,
        "--http-addr",
        any,
    ];
    let begun = Instant::now();
    let up = Process::start(binary, &args)?;
    report.add(
        "logway up",
        "exec to ready, ms",
        "logway",
        begun.elapsed().as_secs_f64() * 1e3,
    );
    wait_for(&up.address("http")?, lines)?;
    let took = begun.elapsed().as_secs_f64();
    let used = cpu(up.pid())?;
    report.add(
        "logway up",
        "lines/s, file to store",
        "logway",
        lines as f64 / took,
    );
    let gigabytes = FILE_BYTES as f64 / 1e9;
    report.add(
        "logway up",
        "CPU, s/GB",
        "logway",
        (used.user + used.system) / gigabytes,
    );
    report.add(
        "logway up",
        "peak RSS, MB",
        "logway",
        memory_mb(up.pid(), "VmHWM"),
    );
    std::thread::sleep(Duration::from_secs(2));
    let before = cpu(up.pid())?;
    std::thread::sleep(Duration::from_secs(seconds.max(10)));
    let idle = cpu(up.pid())? - before;
    let share = (idle.user + idle.system) / seconds.max(10) as f64 * 100.0;
    report.add("logway up, idle", "% of a core", "logway", share);
    report.add(
        "logway up, idle",
        "RSS, MB",
        "logway",
        memory_mb(up.pid(), "VmRSS"),
    );
    Ok(())
}

/// Agent and pipeline as processes of their own around one broker.
fn apart(
    binary: &Path,
    server: &Server,
    (tail, lines): (&str, u64),
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let settings = folder.path().join("pipeline.toml");
    let store = folder.path().join("store.db");
    let text = format!(
        "bootstrap = [\"{}\"]\nhttp = \"127.0.0.1:0\"\n[store]\npath = \"{}\"\n",
        server.bootstrap,
        store.display()
    );
    std::fs::write(&settings, text).context("settings")?;
    let state = folder.path().join("agent").display().to_string();
    let begun = Instant::now();
    let config = settings.display().to_string();
    let pipeline = Process::start(binary, &["pipeline", "--config", &config])?;
    let bootstrap = server.bootstrap.as_str();
    let args = [
        "agent",
        "--tail",
        tail,
        "--bootstrap",
        bootstrap,
        "--topic",
        "logs",
    ];
    let agent = Process::start(binary, &[&args[..], &["--state-dir", &state]].concat())?;
    wait_for(&pipeline.address("http")?, lines)?;
    let took = begun.elapsed().as_secs_f64();
    let used = cpu(server.pid)?;
    let case = "agent → broker → pipeline, three processes";
    report.add(
        case,
        "lines/s, file to store",
        server.name,
        lines as f64 / took,
    );
    let gigabytes = FILE_BYTES as f64 / 1e9;
    let spent = (used.user + used.system) / gigabytes;
    report.add(
        case,
        "broker's CPU with its start, s/GB",
        server.name,
        spent,
    );
    report.add(
        case,
        "broker's peak RSS, MB",
        server.name,
        memory_mb(server.pid, "VmHWM"),
    );
    drop(agent);
    Ok(())
}
