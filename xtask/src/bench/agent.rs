//! The agent: a file on disk to acknowledged records, into our broker and into Apache Kafka; beside
//! kcat, which sends the same lines through librdkafka, where it is installed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::leftovers::Folder;
use super::report::Report;
use super::server::Server;
use super::{load, peer, process, server};
use crate::BenchArgs;

/// Size of the file that is shipped.
const FILE_BYTES: usize = 300 << 20;

/// Writes a log file of about this size with lines of an access log; returns the count of lines.
pub(crate) fn write_log(path: &Path, bytes: usize) -> anyhow::Result<u64> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).context("the file")?);
    let (mut written, mut lines) = (0, 0u64);
    while written < bytes {
        let line = format!(
            "10.0.{}.{} - user{} [22/Nov/2026:10:{:02}:{:02} +0000] \"GET /orders/{} HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0\"\n",
            lines % 250,
            lines % 240,
            lines % 1000,
            lines / 60 % 60,
            lines % 60,
            lines.wrapping_mul(2_654_435_761) % 100_000,
            lines % 9000,
        );
        written += line.len();
        lines += 1;
        out.write_all(line.as_bytes()).context("write the file")?;
    }
    out.flush().context("write the file")?;
    Ok(lines)
}

/// Runs a command to its end; returns seconds, CPU seconds and peak MiB.
fn timed(command: &mut Command) -> anyhow::Result<(f64, f64, f64)> {
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("start")?;
    let pid = child.id();
    let (mut used, mut peak) = (0.0f64, 0.0f64);
    let status = loop {
        // Sampled while it lives: nothing else tells CPU and memory of one child without unsafe code.
        if let Ok(now) = process::cpu(pid) {
            used = used.max(now.user + now.system);
            peak = peak.max(process::memory_mb(pid, "VmHWM"));
        }
        if let Some(status) = child.try_wait().context("wait")? {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok((begun.elapsed().as_secs_f64(), used, peak))
}

fn add(report: &mut Report, case: &str, system: &str, figures: (f64, f64, f64)) {
    let (seconds, cpu, peak) = figures;
    report.add(
        case,
        "MB/s of file",
        system,
        FILE_BYTES as f64 / 1e6 / seconds,
    );
    report.add(
        case,
        "shipper's CPU, s/GB",
        system,
        cpu / (FILE_BYTES as f64 / 1e9),
    );
    report.add(case, "shipper's peak RSS, MB", system, peak);
}

/// Ships the same file by every shipper into every broker.
pub(crate) fn run(args: &BenchArgs, binary: &Path, report: &mut Report) -> anyhow::Result<()> {
    let script = peer(args)?;
    let servers = server::pair(binary, script.as_deref())?;
    let folder = Folder::new()?;
    let file = folder.path().join("access.log");
    write_log(&file, FILE_BYTES)?;
    let kcat = Command::new("kcat")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success());
    for round in 0..args.rounds {
        for server in &servers {
            load::fresh_topic(&server.bootstrap, "bench", 1)?;
            let state = folder.path().join(format!("state-{round}-{}", server.name));
            let ours = ship(binary, &file, &state, server)?;
            let case = format!("file to the {} broker, lz4, acks=all", server.name);
            add(report, &case, "logway", ours);
            if kcat {
                load::fresh_topic(&server.bootstrap, "bench", 1)?;
                let mut command = Command::new("kcat");
                command.args(["-P", "-b", &server.bootstrap, "-t", "bench", "-z", "lz4"]);
                command
                    .args(["-X", "acks=all", "-X", "linger.ms=50", "-l"])
                    .arg(&file);
                add(report, &case, "kcat", timed(&mut command)?);
            }
        }
    }
    Ok(())
}

fn ship(
    binary: &Path,
    file: &Path,
    state: &Path,
    server: &Server,
) -> anyhow::Result<(f64, f64, f64)> {
    let mut command = Command::new(binary);
    command
        .env("LOGWAY_LOG", "error")
        .args([
            "agent",
            "--bootstrap",
            &server.bootstrap,
            "--topic",
            "bench",
            "--once",
        ])
        .arg("--tail")
        .arg(file)
        .arg("--state-dir")
        .arg(state);
    timed(&mut command)
}
