//! A signal ends what runs until it is stopped, in order and with the code that scripts know.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

struct Broker {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Broker {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let config = folder.path().join("broker.toml");
        let data = folder.path().join("data");
        let settings = format!("data_dir = {data:?}\ngroup_initial_rebalance_delay_ms = 0\n");
        std::fs::write(&config, settings).expect("a settings file");
        let child = Command::new(env!("CARGO_BIN_EXE_logway"))
            .args(["broker", "--listen", &address, "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the broker starts");
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < end, "no broker at {address}");
            std::thread::yield_now();
        }
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    /// Starts a tool by its name, or `logway` itself.
    fn run(&self, name: &str, args: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logway"));
        let mut child = command
            .arg0(name)
            .args(args)
            .args(["--bootstrap-server", &self.address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        Running {
            stdout: BufReader::new(child.stdout.take().expect("standard output")),
            stderr: child.stderr.take().expect("standard error"),
            child,
        }
    }

    /// Runs a tool to its end; what it wrote to standard output.
    fn done(&self, name: &str, args: &[&str], stdin: &str) -> String {
        let mut running = self.run(name, args);
        running.write(stdin);
        drop(running.child.stdin.take());
        let mut text = String::new();
        running.stdout.read_to_string(&mut text).expect("text");
        assert!(running.child.wait().expect("an end").success(), "{text}");
        text
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

impl Running {
    fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("standard input");
        stdin.write_all(text.as_bytes()).expect("a reader");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        line
    }

    /// Sends the signal; the exit code and standard error.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("kill runs").success());
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).expect("text");
        (self.child.wait().expect("an end").code(), text)
    }
}

const SIGNALS: [(&str, i32); 2] = [("INT", 130), ("TERM", 143)];

#[test]
fn consumers_say_what_they_read_and_keep_their_place() {
    let broker = Broker::start();
    let lines = ["--topic", "lines"];
    broker.done("kafka-console-producer", &lines, "one\ntwo\nthree\n");
    for (signal, code) in SIGNALS {
        let args = ["--topic", "lines", "--from-beginning", "--group", signal];
        let mut tool = broker.run("kafka-console-consumer.sh", &args);
        for expected in ["one\n", "two\n", "three\n"] {
            assert_eq!(tool.line(), expected);
        }
        let (seen, stderr) = tool.end(signal);
        assert_eq!(seen, Some(code), "{stderr}");
        assert_eq!(stderr, "Processed a total of 3 messages\n");
        let described = broker.done(
            "kafka-consumer-groups",
            &["--describe", "--group", signal],
            "",
        );
        let row = described.lines().find(|line| line.starts_with(signal));
        let cells: Vec<&str> = row.expect("a row").split_whitespace().collect();
        assert_eq!(
            cells[..6],
            [signal, "lines", "0", "3", "3", "0"],
            "committed"
        );

        let mut own = broker.run("logway", &["consume", "lines"]);
        assert_eq!(own.line(), "one\n");
        assert_eq!(own.end(signal), (Some(code), String::new()));
    }
}

#[test]
fn producers_end_while_their_input_is_open() {
    let broker = Broker::start();
    for (signal, code) in SIGNALS {
        for (name, command) in [("kafka-console-producer", "--topic"), ("logway", "produce")] {
            let topic = format!("{name}-{signal}");
            let mut tool = broker.run(name, &[command, &topic]);
            tool.write("a line\n");
            // Once it is there, the tool is known to listen.
            let read =
                format!("--topic {topic} --from-beginning --max-messages 1 --timeout-ms 60000");
            let read: Vec<&str> = read.split(' ').collect();
            assert_eq!(broker.done("kafka-console-consumer", &read, ""), "a line\n");
            let (seen, stderr) = tool.end(signal);
            assert_eq!(seen, Some(code), "{name}: {stderr}");
        }
    }
}

#[test]
fn measurements_can_be_cut_off() {
    let broker = Broker::start();
    let produce = "--topic perf --num-records 1000000 --throughput 100 --record-size 10 \
                   --reporting-interval 50";
    let consume = "--topic perf --num-records 1000000 --timeout 600000";
    for (signal, code) in SIGNALS {
        for (name, args) in [
            ("kafka-producer-perf-test", produce),
            ("kafka-consumer-perf-test", consume),
        ] {
            let args: Vec<&str> = args.split_whitespace().collect();
            let mut tool = broker.run(name, &args);
            assert!(tool.line().contains(','), "a report or the header");
            let (seen, stderr) = tool.end(signal);
            assert_eq!(seen, Some(code), "{name}: {stderr}");
        }
    }
}
