//! Plays commands: their state before, their files, their limits in time.
//!
//! Invariant: state is made with the tools under test themselves; what a transcript leaves out is
//! listed in `preparations`.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use logway_client::{ClientConfig, Producer, ProducerConfig, ProducerRecord};

use crate::broker::Broker;
use crate::transcript::{self, Step};

/// The address in the transcripts.
const RECORDED: &str = "127.0.0.1:9092";
/// The controller's.
const CONTROLLER: &str = "127.0.0.1:9192";
/// What a command may take; the slowest waits a minute for a topic.
const LIMIT: Duration = Duration::from_secs(400);
/// What the state that a command needs may take to come about.
const PATIENCE: Duration = Duration::from_secs(300);

/// Tools that this project stands in for.
const OURS: [&str; 12] = [
    "kafka-topics",
    "kafka-console-producer",
    "kafka-console-consumer",
    "kafka-consumer-groups",
    "kafka-configs",
    "kafka-get-offsets",
    "kafka-delete-records",
    "kafka-producer-perf-test",
    "kafka-consumer-perf-test",
    "kafka-broker-api-versions",
    "kafka-transactions",
    "kafka-log-dirs",
];

/// What a command said.
pub(crate) struct Seen {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Option<i32>,
}

/// A broker and what runs beside it.
pub(crate) struct Stage {
    broker: Broker,
    folder: tempfile::TempDir,
    members: Vec<Child>,
    /// Ids of topics: recorded, and here.
    ids: Vec<(String, String)>,
}

impl Stage {
    pub(crate) fn new(broker: Broker) -> Self {
        Self {
            broker,
            folder: tempfile::tempdir().expect("a folder"),
            members: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// The step with the address of this broker.
    pub(crate) fn place(&self, step: &Step) -> Step {
        let place = |text: &str| self.here(text);
        Step {
            stdout: place(&step.stdout),
            stderr: place(&step.stderr),
            command: place(&step.command),
            ..step.clone()
        }
    }

    fn here(&self, text: &str) -> String {
        let text = text.replace(RECORDED, &self.broker.address);
        let port: u16 = self
            .broker
            .address
            .rsplit(':')
            .next()
            .map_or(0, |p| p.parse().unwrap_or(0));
        let text = text.replace(
            CONTROLLER,
            &format!("127.0.0.1:{}", port.saturating_add(100)),
        );
        let ids = self.ids.iter();
        ids.fold(text, |text, (recorded, here)| text.replace(recorded, here))
    }

    /// Remembers which id here stands for which recorded one.
    pub(crate) fn learn(&mut self, step: &Step, seen: &Seen) {
        let pattern = regex::Regex::new(r"Topic: (\S+)\tTopicId: (\S{22})").expect("a pattern");
        for recorded in pattern.captures_iter(&step.stdout) {
            let here = pattern
                .captures_iter(&seen.stdout)
                .find(|here| here[1] == recorded[1]);
            if let Some(here) = here {
                self.ids.push((recorded[2].to_owned(), here[2].to_owned()));
            }
        }
    }

    /// Runs the command of a step, if it is a tool of ours that ended by itself.
    pub(crate) fn run(&self, step: &Step) -> Option<Seen> {
        let words = transcript::words(&self.here(&step.command));
        if !OURS.contains(&words[0].as_str()) || step.exit.is_none() {
            return None;
        }
        for (name, content) in transcript::files(&step.notes) {
            std::fs::write(self.folder.path().join(name), content).expect("a file");
        }
        Some(self.finish(&words, &step.stdin))
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logway"));
        command
            .arg0(format!("{}.sh", words[0]))
            .args(&words[1..])
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn finish(&self, words: &[String], stdin: &str) -> Seen {
        let mut child = self.command(words).spawn().expect("the tool starts");
        let mut input = child.stdin.take().expect("standard input");
        // A tool that refuses its command line reads nothing.
        input.write_all(stdin.as_bytes()).ok();
        drop(input);
        let id = child.id();
        let (done, waits) = std::sync::mpsc::sync_channel::<()>(1);
        let watch = move || {
            if waits.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                Command::new("kill").arg(id.to_string()).status().ok();
            }
        };
        let guard = std::thread::Builder::new()
            .name("limit".to_owned())
            .spawn(watch)
            .expect("a thread");
        let output = child.wait_with_output().expect("the tool ends");
        done.send(()).ok();
        guard.join().expect("the guard");
        Seen {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            exit: output.status.code(),
        }
    }

    fn must(&self, command: &str, stdin: &str) {
        let line = command.replacen(
            ' ',
            &format!(" --bootstrap-server {} ", self.broker.address),
            1,
        );
        let seen = self.finish(&transcript::words(&line), stdin);
        if seen.exit != Some(0) {
            eprintln!(
                "PREPARE {line}: {:?}\n{}{}",
                seen.exit, seen.stdout, seen.stderr
            );
        }
    }

    fn keyed(&self, topic: &str, records: usize) {
        let lines: String = (0..records).map(|i| format!("k{i}:value {i}\n")).collect();
        self.must(
            &format!(
                "kafka-console-producer --topic {topic} --reader-property parse.key=true \
                 --reader-property key.separator=:"
            ),
            &lines,
        );
    }

    fn topic(&self, name: &str, partitions: usize) {
        self.must(
            &format!("kafka-topics --create --topic {name} --partitions {partitions}"),
            "",
        );
    }

    fn reset(&self, group: &str, topic: &str, to: &str) {
        self.must(
            &format!(
                "kafka-consumer-groups --reset-offsets --group {group} --topic {topic} {to} --execute"
            ),
            "",
        );
    }

    /// A member of a group that stays until it is ended.
    fn member(&mut self, group: &str, client: &str, more: &str) {
        let line = format!(
            "kafka-console-consumer --bootstrap-server {} --topic orders --group {group} \
             --command-property client.id={client} --from-beginning {more}",
            self.broker.address
        );
        let words = transcript::words(&line);
        // The original speaks every protocol of groups; where it is there, it is the member.
        let mut command = match std::env::var_os("LOGWAY_KAFKA_PEER") {
            Some(script) => {
                let mut command = Command::new(script);
                command.arg("tool").args(&words).stdin(Stdio::null());
                command
            }
            None => self.command(&words),
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.members.push(command.spawn().expect("a member"));
    }

    fn end_members(&mut self) {
        for mut member in self.members.drain(..) {
            Command::new("kill")
                .arg(member.id().to_string())
                .status()
                .ok();
            member.wait().ok();
        }
    }

    /// Waits until a group is stable with so many members.
    fn wait_for(&self, group: &str, members: usize) {
        let args = format!("--describe --group {group} --state");
        self.wait_until("kafka-consumer-groups", &args, |stdout| {
            stdout.lines().any(|line| {
                let cells: Vec<&str> = line.split_whitespace().collect();
                matches!(cells[..], [.., "Stable", count] if count.parse() == Ok(members))
            })
        });
    }

    /// Waits until a group's members have committed the ends of so many partitions.
    fn wait_until_read(&self, group: &str, partitions: usize) {
        let args = format!("--describe --group {group} --offsets");
        self.wait_until("kafka-consumer-groups", &args, |stdout| {
            let lines = stdout.lines().filter(|line| line.starts_with(group));
            let has_read = |line: &&str| line.split_whitespace().nth(5) == Some("0");
            lines.filter(has_read).count() == partitions
        });
    }

    /// Transactions as the transcript found them: one committed, one open.
    fn transactions(&mut self) {
        for (id, records) in [("done-1", 50), ("open-1", 1_000_000)] {
            let line = format!(
                "kafka-producer-perf-test --topic paid --record-size 10 --num-records {records} \
                 --throughput 50 --transactional-id {id} --transaction-duration-ms 600000 \
                 --bootstrap-server {}",
                self.broker.address
            );
            if id == "done-1" {
                self.finish(&transcript::words(&line), "");
                continue;
            }
            let mut command = self.command(&transcript::words(&line));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            self.members.push(command.spawn().expect("a producer"));
            self.wait_until("kafka-transactions", "list", |stdout| {
                let mut lines = stdout.lines();
                lines.any(|line| line.starts_with(id) && line.contains("Ongoing"))
            });
        }
    }

    /// Runs a tool that only looks until it says what is waited for.
    fn wait_until(&self, tool: &str, args: &str, is_it: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        let line = format!("{tool} --bootstrap-server {} {args}", self.broker.address);
        let words = transcript::words(&line);
        while Instant::now() < end {
            if is_it(&self.finish(&words, "").stdout) {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        eprintln!("PREPARE `{line}` does not say what is waited for");
    }

    /// Records of which those recorded as the latest of their partitions are it.
    fn counted(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("a clock");
        let now = i64::try_from(now.as_millis()).expect("this era");
        let sent = runtime.block_on(async {
            let producer = Producer::new(ProducerConfig {
                client: ClientConfig::new([self.broker.address.as_str()]),
                ..ProducerConfig::default()
            })
            .expect("a producer");
            for (partition, records, latest) in [(0, 3, 2), (1, 5, 4), (2, 4, 2_i64)] {
                for offset in 0..records {
                    let mut record = ProducerRecord::new("counted", format!("value {offset}"));
                    record.partition = Some(partition);
                    record.timestamp = Some(now - (offset - latest).abs());
                    let _in_close = producer.send(record).await.expect("room");
                }
            }
            producer.close(PATIENCE).await
        });
        assert_eq!(sent, 0, "records were not delivered");
    }

    /// Makes the state that the recorded command found.
    pub(crate) fn prepare(&mut self, transcript: &str, number: usize, step: &Step) {
        match (transcript, number) {
            ("03-console", 0) => {
                self.topic("lines", 1);
                self.topic("keyed", 3);
            }
            ("04-consumer-groups", 0) => {
                self.topic("orders", 3);
                self.topic("spare", 1);
                self.keyed("orders", 12);
                self.keyed("spare", 4);
            }
            ("04-consumer-groups", 1) => {
                self.reset("empty-group", "orders", "--to-latest");
                self.reset("empty-group", "spare", "--to-offset 3");
                for (group, client, more) in [
                    ("active-group", "first", ""),
                    ("active-group", "second", ""),
                    (
                        "next-gen",
                        "third",
                        "--command-property group.protocol=consumer",
                    ),
                ] {
                    self.member(group, client, more);
                }
                self.wait_for("active-group", 2);
                // With the epochs of the records they read.
                for group in ["active-group", "next-gen"] {
                    self.wait_until_read(group, 3);
                }
            }
            ("05-reset-offsets", 0) => self.reset("billing", "orders", "--to-latest"),
            ("06-configs", 0) => self.topic("orders", 3),
            ("07-get-offsets", 0) => {
                self.topic("counted", 3);
                self.counted();
            }
            ("09-transactions", 0) => self.topic("paid", 1),
            ("09-transactions", 1) => self.keyed("paid", 3),
            ("09-transactions", 2) => self.transactions(),
            ("10-perf-tools", 0) => self.topic("perf", 3),
            _ => {}
        }
        if step
            .notes
            .iter()
            .any(|note| note.starts_with("the members of"))
        {
            self.end_members();
        }
        if step
            .notes
            .iter()
            .any(|note| note.starts_with("with an active member"))
        {
            self.member("billing", "biller", "");
            self.wait_for("billing", 1);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end_members();
    }
}
