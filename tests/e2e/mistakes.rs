//! Wrong input gets a clear error or a counted rejection, and the rest goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};

use harness::{DEADLINE, binary, eventually, http};

use crate::broker;

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(binary(program))
        .args(args)
        .output()
        .expect("it starts")
}

fn complaint(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

#[test]
fn an_unknown_key_is_named_with_file_line_and_the_nearest_key() {
    let folder = tempfile::tempdir().expect("a folder");
    for (command, text) in [
        ("broker", "num_partitions = 3\ndata_dri = \"/x\"\n"),
        (
            "agent",
            "state_dir = \"/x\"\nbootstrp = [\"127.0.0.1:1\"]\n",
        ),
        (
            "pipeline",
            "group_id = \"g\"\nboostrap = [\"127.0.0.1:1\"]\n",
        ),
    ] {
        let file = folder.path().join(format!("{command}.toml"));
        std::fs::write(&file, text).expect("a settings file");
        let output = run(
            "logway",
            &[command, "--config", file.to_str().expect("UTF-8")],
        );
        let stderr = complaint(&output, 64);
        let nearest = if command == "broker" {
            "data_dir"
        } else {
            "bootstrap"
        };
        for part in [&format!("{command}.toml"), "2", nearest] {
            assert!(stderr.contains(part), "{command}: no `{part}` in: {stderr}");
        }
    }
}

#[test]
fn a_bad_glob_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().to_str().expect("UTF-8");
    for program in ["logway", "logway-agent"] {
        let mut args = vec!["--tail", "/var/[log", "--bootstrap", "127.0.0.1:1"];
        args.extend(["--topic", "t", "--state-dir", state]);
        if program == "logway" {
            args.insert(0, "agent");
        }
        let output = run(program, &args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && stderr.contains("/var/[log"),
            "{program}: {stderr}"
        );
    }
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let other = folder.path().join("other");
    let at = broker.address("kafka");
    let args = [
        "broker",
        "--data-dir",
        other.to_str().expect("UTF-8"),
        "--listen",
        &at,
    ];
    let stderr = complaint(&run("logway", &args), 1);
    assert!(stderr.contains(&at), "{stderr}");
}

#[test]
fn two_brokers_do_not_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let _broker = broker(folder.path());
    let data = folder.path().join("broker");
    let data = data.to_str().expect("UTF-8");
    let args = ["broker", "--data-dir", data, "--listen", "127.0.0.1:0"];
    let stderr = complaint(&run("logway", &args), 1);
    assert!(stderr.contains(data), "{stderr}");
}

/// Sends bytes and returns whether the broker closed the connection.
fn closes(at: &str, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(at).expect("the broker accepts");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    // The broker may close before all is written.
    drop(stream.write_all(bytes));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_ok()
        || stream
            .read(&mut [0])
            .is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock)
}

#[test]
fn garbage_and_giant_requests_are_refused_counted_and_survived() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let (at, http) = (broker.address("kafka"), broker.address("http"));
    let two_gigabytes = [&i32::MAX.to_be_bytes()[..], b"\x00\x00"].concat();
    assert!(closes(&at, &two_gigabytes), "a request of 2 GB");
    assert!(closes(&at, b"GET / HTTP/1.1\r\n\r\n"), "another protocol");
    assert!(closes(&at, &[0xff; 64]), "a negative length");
    assert!(
        closes(&at, &[0, 0, 0, 4, 0x7f, 0xff, 0, 0]),
        "an unknown api in a short frame"
    );
    eventually("the refusals in /metrics", || {
        let (_, metrics) = http::get(&http, "/metrics")?;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        if metrics
            .lines()
            .any(|line| line.contains("refused") && !line.ends_with(" 0"))
        {
            Ok(())
        } else {
            Err(metrics)
        }
    });
    let listed = run("logway", &["topics", "list", "-b", &at]);
    assert!(listed.status.success(), "the broker still serves");
    assert!(
        broker.resident_bytes() < 200 << 20,
        "{} bytes",
        broker.resident_bytes()
    );
    assert!(broker.stop().success());
}

#[test]
fn an_unreadable_file_is_counted_and_the_others_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let files = folder.path().join("files");
    // A folder that matches the pattern cannot be read as a file, even by root.
    std::fs::create_dir_all(files.join("folder.log")).expect("a folder");
    std::fs::write(files.join("good.log"), "a line\n").expect("a file");
    let state = folder.path().join("agent");
    let output = run(
        "logway",
        &[
            "agent",
            "--tail",
            files.join("*.log").to_str().expect("UTF-8"),
            "--bootstrap",
            &broker.address("kafka"),
            "--topic",
            "t",
            "--state-dir",
            state.to_str().expect("UTF-8"),
            "--once",
        ],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = run(
        "logway",
        &["consume", "t", "-b", &broker.address("kafka"), "-e"],
    );
    assert_eq!(String::from_utf8_lossy(&read.stdout), "a line\n");
}

#[test]
fn a_record_that_is_too_large_is_refused_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    let config = "max.message.bytes=1000";
    let made = run(
        "logway",
        &["topics", "create", "t", "-p", "1", "-c", config, "-b", &at],
    );
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let file = folder.path().join("app.log");
    // Random-looking, so that compression does not make it fit.
    let large: String = (0..4000u32)
        .map(|i| char::from(33 + (i.wrapping_mul(2_654_435_761) >> 25) as u8 % 90))
        .collect();
    std::fs::write(&file, format!("before\n{large}\nafter\n")).expect("a file");
    let state = folder.path().join("agent");
    let output = run(
        "logway",
        &[
            "agent",
            "--tail",
            file.to_str().expect("UTF-8"),
            "--bootstrap",
            &at,
            "--topic",
            "t",
            "--state-dir",
            state.to_str().expect("UTF-8"),
            "--compression",
            "none",
            "--once",
        ],
    );
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let read = run("logway", &["consume", "t", "-b", &at, "-e"]);
    assert_eq!(
        String::from_utf8_lossy(&read.stdout),
        "before\nafter\n",
        "{stderr}"
    );
    assert!(
        stderr.contains("app.log"),
        "the refused line is named: {stderr}"
    );
}
