//! Every odd produce request of the table is answered as Apache Kafka answers it, or as the table
//! says that Logway does otherwise.

use bytes::Bytes;
use logway_config::broker::Broker as Settings;
use logway_protocol::ErrorCode;
use logway_protocol::compression::Compression;

use crate::harness::Server;
use crate::odd::batch::{good, of, record};
use crate::odd::{Exchange, all};

#[tokio::test]
async fn odd_requests_are_answered_as_kafka_does() {
    let server = Server::start().await;
    let exchange = Exchange::new(server.broker.kafka_addr(), "odd");
    exchange.prepare().await;
    let mut differences = Vec::new();
    for (number, case) in all().iter().enumerate() {
        let seen = exchange.seen(number, case, case.ours()).await;
        if !case.is_ours(&seen) {
            let expected = case.ours();
            differences.push(format!("{}\n    {expected}\n    {seen}", case.name));
        }
    }
    assert!(
        differences.is_empty(),
        "name, expected, seen:\n{}",
        differences.join("\n")
    );
}

/// Two records of which the header says that they are three, and `length` zeros, compressed.
fn lying_and_large(length: usize) -> (Bytes, Bytes) {
    let lying = good(2).compressed(Compression::Lz4).count(3, 2).bytes();
    let zeros = of(1, record(0, Some(b"k"), &vec![0; length]));
    (lying, zeros.compressed(Compression::Zstd).bytes())
}

#[tokio::test]
async fn a_broker_that_trusts_headers_takes_what_they_say() {
    let server = Server::start_with(|settings| settings.check_records = false).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let (lying, large) = lying_and_large(100 << 20);
    assert_eq!(client.produce("t", 1, lying).await.error_code, 0);
    assert_eq!(client.produce("t", 1, large).await.base_offset, 3);
    let broken = good(2).crc(5).bytes();
    let answer = client.produce("t", 1, broken).await;
    assert_eq!(answer.error_code, ErrorCode::CorruptMessage.code());
    let late = good(2).at(i64::MAX).bytes();
    let answer = client.produce("t", 1, late).await;
    assert_eq!(answer.error_code, ErrorCode::InvalidTimestamp.code());
    assert!(answer.record_errors.is_empty(), "no record was looked at");
}

#[tokio::test]
async fn what_a_batch_may_unpack_to_is_bounded() {
    let (_, large) = lying_and_large(20 << 20);
    let ask = async |change: fn(&mut Settings)| {
        let server = Server::start_with(change).await;
        let mut client = server.connect().await;
        client.create_topic("t", 1).await;
        let code = client.produce("t", 1, large.clone()).await.error_code;
        ErrorCode::from_code(code)
    };
    let free = |settings: &mut Settings| settings.decompressed_max_ratio = u32::MAX;
    assert_eq!(ask(free).await, ErrorCode::None);
    // It unpacks to 10,000 times its size.
    assert_eq!(ask(|_| {}).await, ErrorCode::MessageTooLarge);
    let short = |settings: &mut Settings| {
        settings.decompressed_max_ratio = u32::MAX;
        settings.decompressed_max_bytes = 10 << 20;
    };
    assert_eq!(ask(short).await, ErrorCode::MessageTooLarge);
}
