//! Reads a topic as a member of a group, commits what is done, and gives partitions up in good
//! order: `cargo run -p logway-client --example consume -- TOPIC GROUP`.
//!
//! Invariant: what is committed was printed. Step 10 of the hallway. `BOOTSTRAP_SERVERS` names the
//! cluster, 127.0.0.1:9092 without it. Ends after five quiet seconds.

// An example speaks through its output.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use logway_client::{
    AutoOffsetReset, ClientConfig, Consumer, ConsumerConfig, GroupProtocol, Polled,
    StringDeserializer,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let servers = std::env::var("BOOTSTRAP_SERVERS").unwrap_or("127.0.0.1:9092".to_owned());
    let mut args = std::env::args().skip(1);
    let topic = args.next().unwrap_or("greetings".to_owned());
    let consumer = Consumer::new(ConsumerConfig {
        client: ClientConfig::new(servers.split(',')),
        group_id: Some(args.next().unwrap_or("readers".to_owned())),
        // The coordinator shares out, nobody stops for it (KIP-848).
        group_protocol: GroupProtocol::Consumer,
        auto_offset_reset: AutoOffsetReset::Earliest,
        ..Default::default()
    })?;
    consumer.subscribe([topic]).await?;
    loop {
        match consumer.poll(Duration::from_secs(5)).await? {
            Polled::Records(records) => {
                for record in &records {
                    let text = record.value_with(&StringDeserializer)?.unwrap_or_default();
                    println!("{}-{} {text}", record.partition, record.offset);
                }
                consumer.commit_positions().await?;
            }
            Polled::Assigned(partitions) => println!("now mine: {partitions:?}"),
            // The group waits for the next poll: the last moment to store and commit.
            Polled::Revoked(partitions) => println!("to give up: {partitions:?}"),
            Polled::Lost(partitions) => println!("gone already: {partitions:?}"),
            _ => break,
        }
    }
    for partition in consumer.assignment() {
        println!("{partition} lags by {:?}", consumer.lag(&partition));
    }
    consumer.close().await;
    Ok(())
}
