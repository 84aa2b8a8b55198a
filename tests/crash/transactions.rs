//! Transactions over three partitions and a group's offset, while the broker is killed: each is there
//! as a whole or not at all, and what was told to be committed is.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harness::process::Process;
use harness::{DEADLINE, binary, eventually, free_address};
use logway_protocol::batch::split_batches;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::end_txn::EndTxnRequest;
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};
use logway_protocol::message::init_producer_id::InitProducerIdRequest;
use logway_protocol::message::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use logway_protocol::message::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use logway_protocol::record::decode_records;
use logway_protocol::{ErrorCode, Message, Request, Text};

use crate::Random;

const KILLS: usize = 20;
const BETWEEN_KILLS_MS: u64 = 300;
const PARTITIONS: i32 = 3;
const TOPIC: &str = "numbers";

/// A connection on which one thing is asked at a time.
struct Connection {
    stream: TcpStream,
    asked: i32,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Connection { stream, asked: 0 })
    }

    fn ask<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        self.asked += 1;
        let frame = encode_request(self.asked, Some("killed"), version, request);
        self.stream.write_all(&frame.expect("encodes"))?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer)?;
        let (_, body) = decode_response_header(R::KEY, version, answer.into()).expect("a header");
        Ok(R::Response::decode_version(body, version).expect("decodes"))
    }

    fn init(&mut self) -> io::Result<(i64, i16)> {
        let request = InitProducerIdRequest {
            transactional_id: Some(Text::from("writer")),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        loop {
            let answer = self.ask(5, &request)?;
            match ErrorCode::from_code(answer.error_code) {
                ErrorCode::None => return Ok((answer.producer_id, answer.producer_epoch)),
                error if error.is_retriable() => std::thread::yield_now(),
                error => panic!("a producer id: {error}"),
            }
        }
    }

    /// The number up to which the group has read, by the last transaction that committed.
    fn position(&mut self) -> io::Result<i64> {
        let topic = OffsetFetchRequestTopic {
            name: Text::from(TOPIC),
            partition_indexes: vec![0],
        };
        let request = OffsetFetchRequest {
            group_id: Text::from("readers"),
            topics: Some(vec![topic]),
            require_stable: true,
            ..OffsetFetchRequest::default()
        };
        loop {
            let answer = self.ask(7, &request)?;
            let errors = [
                answer.error_code,
                answer
                    .topics
                    .first()
                    .map_or(0, |of| of.partitions[0].error_code),
            ];
            match errors.map(ErrorCode::from_code) {
                [ErrorCode::None, ErrorCode::None] => {
                    return Ok(answer.topics[0].partitions[0].committed_offset);
                }
                [one, other] => assert!(
                    (one == ErrorCode::None || one.is_retriable())
                        && (other == ErrorCode::None || other.is_retriable()),
                    "{one} {other}"
                ),
            }
        }
    }

    /// One transaction: the number into every partition, and as the group's position.
    fn transact(&mut self, (id, epoch): (i64, i16), sequence: i32, number: i64) -> io::Result<i16> {
        for index in 0..PARTITIONS {
            let mut batch = BatchBuilder::new(Compression::None);
            let value = number.to_string();
            let appended = batch.append(now_ms(), None, Some(value.as_bytes()), &[]);
            appended.expect("fits");
            batch.set_producer(id, epoch, sequence);
            let records = batch.set_transactional(true).build().expect("builds");
            let data = PartitionProduceData {
                index,
                records: Some(records),
            };
            let request = ProduceRequest {
                transactional_id: Some(Text::from("writer")),
                acks: -1,
                timeout_ms: 30_000,
                topic_data: vec![TopicProduceData {
                    name: Text::from(TOPIC),
                    partition_data: vec![data],
                    ..TopicProduceData::default()
                }],
            };
            loop {
                let answer = self.ask(12, &request)?;
                let code = answer.responses[0].partition_responses[0].error_code;
                match ErrorCode::from_code(code) {
                    ErrorCode::None => break,
                    ErrorCode::ConcurrentTransactions => {}
                    error => panic!("number {number}: {error}"),
                }
            }
        }
        let partition = TxnOffsetCommitRequestPartition {
            committed_offset: number,
            ..TxnOffsetCommitRequestPartition::default()
        };
        let offsets = TxnOffsetCommitRequest {
            transactional_id: Text::from("writer"),
            group_id: Text::from("readers"),
            producer_id: id,
            producer_epoch: epoch,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: Text::from(TOPIC),
                partitions: vec![partition],
            }],
            ..TxnOffsetCommitRequest::default()
        };
        let answer = self.ask(5, &offsets)?;
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
        let end = EndTxnRequest {
            transactional_id: Text::from("writer"),
            producer_id: id,
            producer_epoch: epoch,
            // Every fifth is taken back.
            committed: number % 5 != 0,
        };
        let answer = self.ask(5, &end)?;
        assert_eq!(answer.error_code, 0, "end of {number}");
        Ok(answer.producer_epoch)
    }

    /// What a reader of committed records gets from a partition, to its end.
    fn committed(&mut self, partition: i32) -> io::Result<Vec<i64>> {
        let (mut found, mut offset) = (Vec::new(), 0);
        loop {
            let request = FetchRequest {
                max_bytes: 1 << 20,
                isolation_level: 1,
                topics: vec![FetchTopic {
                    topic: Text::from(TOPIC),
                    partitions: vec![FetchPartition {
                        partition,
                        fetch_offset: offset,
                        partition_max_bytes: 1 << 20,
                        ..FetchPartition::default()
                    }],
                    ..FetchTopic::default()
                }],
                ..FetchRequest::default()
            };
            let mut answer = self.ask(12, &request)?;
            let data = answer.responses.remove(0).partitions.remove(0);
            if offset == data.high_watermark {
                return Ok(found);
            }
            assert_eq!(
                data.last_stable_offset, data.high_watermark,
                "something is open"
            );
            let mut aborted: Vec<(i64, i64)> = (data.aborted_transactions.iter().flatten())
                .map(|of| (of.producer_id, of.first_offset))
                .collect();
            for batch in split_batches(&data.records.expect("never null")) {
                let Ok((header, bytes)) = batch else { break };
                let begun =
                    |of: &(i64, i64)| of.0 == header.producer_id && of.1 <= header.base_offset;
                let first = aborted.iter().position(begun);
                if header.is_control() {
                    first.map(|first| aborted.remove(first));
                } else if first.is_none() {
                    for record in decode_records(&bytes, 1 << 20).expect("decodes") {
                        let value = record.value.expect("a number");
                        let text = std::str::from_utf8(&value).expect("a number");
                        found.push(text.parse().expect("a number"));
                    }
                }
                offset = header.next_offset();
            }
        }
    }
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_millis()).expect("before the year 292 million")
}

fn start(folder: &Path, address: SocketAddr) -> Process {
    let settings = folder.join("broker.toml");
    let data = folder.join("data");
    let text = format!(
        "data_dir = \"{}\"\nlisten = \"{address}\"\n",
        data.display()
    );
    std::fs::write(&settings, text).expect("a settings file");
    let settings = settings.to_str().expect("UTF-8");
    Process::start(&binary("logway"), &["broker", "--config", settings], folder)
}

/// Writes one transaction after the other until told to stop; gives the numbers that were told to be
/// committed, those told to be aborted, and those of which nothing was told.
fn write(address: SocketAddr, stop: &AtomicBool, told: &AtomicUsize) -> [BTreeSet<i64>; 3] {
    let [mut committed, mut aborted, mut unknown] = [const { BTreeSet::new() }; 3];
    let mut number = 1;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut connection) = Connection::open(address) else {
            std::thread::yield_now();
            continue;
        };
        let Ok(mut producer) = connection.init() else {
            continue;
        };
        // Nothing of an open transaction is shown; the last that committed is.
        let Ok(position) = connection.position() else {
            continue;
        };
        let last = committed.last().copied().unwrap_or(-1);
        assert!(
            position == last || unknown.contains(&position),
            "{position} after {last}"
        );
        while !stop.load(Ordering::Relaxed) {
            match connection.transact(producer, 0, number) {
                Ok(epoch) if number % 5 != 0 => {
                    committed.insert(number);
                    producer.1 = epoch;
                }
                Ok(epoch) => {
                    aborted.insert(number);
                    producer.1 = epoch;
                }
                Err(_) => {
                    unknown.insert(number);
                    number += 1;
                    break;
                }
            }
            told.fetch_add(1, Ordering::Relaxed);
            number += 1;
        }
    }
    [committed, aborted, unknown]
}

/// Tells the writer to end when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn transactions_are_whole_or_not_there_though_the_broker_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = free_address();
    let mut random = Random::seeded();
    let broker = start(folder.path(), address);
    let mut connection = Connection::open(address).expect("it listens");
    let topic = CreatableTopic {
        name: Text::from(TOPIC),
        num_partitions: PARTITIONS,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 30_000,
        ..CreateTopicsRequest::default()
    };
    assert_eq!(
        connection.ask(7, &request).expect("an answer").topics[0].error_code,
        0
    );
    let (stop, told) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (broker, [committed, aborted, unknown]) = std::thread::scope(|scope| {
        let mut broker = broker;
        // Ends with this, also when that is a failure: whoever waits for the writer must not hang.
        let end = Ends(&stop);
        let writer = scope.spawn(|| write(address, &stop, &told));
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(random.below(BETWEEN_KILLS_MS)));
            broker.kill();
            broker = start(folder.path(), address);
        }
        // On a slow machine no life was long enough for much; this one is.
        let enough = told.load(Ordering::Relaxed) + 10;
        eventually("some transactions", || match told.load(Ordering::Relaxed) {
            now if now < enough && !writer.is_finished() => Err(now),
            _ => Ok(()),
        });
        drop(end);
        (broker, writer.join().expect("the writer"))
    });
    println!(
        "{} committed, {} aborted, {} unknown",
        committed.len(),
        aborted.len(),
        unknown.len()
    );
    let mut connection = eventually("a connection", || Connection::open(address));
    // What is open is aborted.
    connection.init().expect("an answer");
    let position = connection.position().expect("an answer");
    let seen: Vec<Vec<i64>> = (0..PARTITIONS)
        .map(|partition| connection.committed(partition).expect("an answer"))
        .collect();
    for of in &seen {
        assert!(of.is_sorted_by(|one, other| one < other), "{of:?}");
        assert_eq!(of, &seen[0], "a torn transaction");
        assert_eq!(
            of.last().copied().unwrap_or(-1),
            position,
            "the group's position"
        );
    }
    let seen: BTreeSet<i64> = seen[0].iter().copied().collect();
    assert!(committed.is_subset(&seen), "lost: {:?}", &committed - &seen);
    assert!(
        aborted.is_disjoint(&seen),
        "aborted: {:?}",
        &aborted & &seen
    );
    assert!(!committed.is_empty() && !aborted.is_empty());
    assert!(broker.stop().success());
}
