//! `logway up`: every line of the files is in the store, byte for byte, exactly once.

use std::collections::HashMap;
use std::path::Path;

use harness::process::Process;
use harness::{binary, eventually, http, store};

/// What the store must hold for a file: its lines without LF, and without a CR directly before it.
fn expected_lines(content: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if let Some(body) = line.strip_suffix(b"\n") {
            let body = body.strip_suffix(b"\r").unwrap_or(body);
            lines.push((i64::try_from(at).expect("small"), body.to_vec()));
        }
        at += line.len();
    }
    lines
}

/// Compares what is stored with the files themselves.
fn assert_stored(folder: &Path, lines: &[store::StoredLine]) {
    store::assert_in_order(lines);
    let mut by_path: HashMap<&str, Vec<(i64, Vec<u8>)>> = HashMap::new();
    for line in lines.iter().filter(|line| line.topic == "logs") {
        let path = line.path.as_deref().expect("a file's line has its path");
        let position = line.position.expect("a file's line has its position");
        by_path
            .entry(path)
            .or_default()
            .push((position, line.body.clone()));
    }
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the files") {
        let path = entry.expect("an entry").path();
        let expected = expected_lines(&std::fs::read(&path).expect("the file"));
        let stored = by_path
            .remove(path.to_str().expect("UTF-8"))
            .unwrap_or_default();
        assert!(
            stored == expected,
            "{}: stored lines differ from the file",
            path.display()
        );
        files += 1;
    }
    assert!(
        by_path.is_empty(),
        "lines of unknown files: {:?}",
        by_path.keys()
    );
    assert!(files > 0, "no files were compared");
}

fn write_hard_files(folder: &Path) -> usize {
    let files: [(&str, Vec<u8>); 6] = [
        (
            "plain.log",
            (0..3000)
                .map(|i| format!("line {i} of a plain file\n"))
                .collect::<String>()
                .into(),
        ),
        (
            "crlf.log",
            (0..500)
                .map(|i| format!("windows line {i}\r\n"))
                .collect::<String>()
                .into(),
        ),
        (
            "binary.log",
            b"\xff\xfe\x00 not UTF-8 \x80\n\n\nlone\rCR inside\n\r\n \ttabs\t\n".to_vec(),
        ),
        (
            "unicode.log",
            "한국어 로그 한 줄\n🦀 crab\nнесколько слов\n".into(),
        ),
        (
            "long.log",
            [vec![b'y'; 300_000], b"\nshort\n".to_vec()].concat(),
        ),
        ("empty.log", Vec::new()),
    ];
    std::fs::create_dir_all(folder).expect("the folder");
    let mut count = 0;
    for (name, content) in files {
        count += expected_lines(&content).len();
        std::fs::write(folder.join(name), content).expect("a file");
    }
    count
}

fn start(folder: &Path, files: &Path) -> Process {
    let (data, tail) = (folder.join("data"), files.join("*.log"));
    let args = [
        "up",
        "--data-dir",
        data.to_str().expect("UTF-8"),
        "--tail",
        tail.to_str().expect("UTF-8"),
        "--kafka-addr",
        "127.0.0.1:0",
        "--http-addr",
        "127.0.0.1:0",
    ];
    Process::start(&binary("logway"), &args, folder)
}

fn wait_for_lines(http: &str, count: usize) {
    eventually(&format!("{count} stored lines"), || {
        let status = http::get_json(http, "/api/v1/status")?;
        let lines = status["lines"].as_u64().unwrap_or(0);
        if lines as usize >= count {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

#[test]
fn every_line_is_in_the_store_byte_for_byte_exactly_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    let mut count = write_hard_files(&files);
    let up = start(folder.path(), &files);
    let address = up.address("http");
    wait_for_lines(&address, count);

    // What is appended while it runs arrives too, and what was there is not read again after a
    // stop and a start.
    let mut more = std::fs::File::options()
        .append(true)
        .open(files.join("plain.log"))
        .expect("open");
    std::io::Write::write_all(&mut more, b"one more\nand another\n").expect("written");
    count += 2;
    wait_for_lines(&address, count);
    assert!(up.stop().success());
    let up = start(folder.path(), &files);
    let address = up.address("http");
    wait_for_lines(&address, count);

    let found = http::get_json(&address, "/api/v1/logs?query=another&limit=10").expect("a search");
    let found = found.to_string();
    assert!(found.contains("and another"), "{found}");
    let (status, page) = http::get(&address, "/").expect("the page");
    assert_eq!(status, 200);
    assert!(
        String::from_utf8_lossy(&page).contains("<html"),
        "the page is HTML"
    );
    assert_eq!(http::get(&address, "/healthz").expect("health").0, 200);
    let (_, metrics) = http::get(&address, "/metrics").expect("metrics");
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    for room in ["logway_broker_", "logway_agent_", "logway_pipeline_"] {
        assert!(metrics.contains(room), "no {room} in /metrics:\n{metrics}");
    }
    assert!(up.stop().success());
    let stored = store::lines(&folder.path().join("data/pipeline/store.db")).expect("the store");
    assert_stored(&files, &stored);
    assert_eq!(stored.len(), count);
}

#[test]
fn host_metrics_reach_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    write_hard_files(&files);
    let up = start(folder.path(), &files);
    let address = up.address("http");
    eventually("metrics in the store", || {
        let status = http::get_json(&address, "/api/v1/status")?;
        if status["metrics"].as_u64().unwrap_or(0) > 10 {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    let names = http::get_json(&address, "/api/v1/metrics")
        .expect("names")
        .to_string();
    for name in ["mem", "system"] {
        assert!(
            names.contains(&format!("\"{name}\"")),
            "no `{name}` in {names}"
        );
    }
    assert!(up.stop().success());
}
