//! Sends text and waits until it is stored: `cargo run -p logway-client --example produce -- TOPIC`.
//!
//! Each line of standard input becomes a record. Invariant: what was said to be stored is stored.
//! Step 5 of the hallway. `BOOTSTRAP_SERVERS` names the cluster, 127.0.0.1:9092 without it.

// An example speaks through its output.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use logway_client::{ClientConfig, Compression, Producer, ProducerConfig, StringSerializer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let servers = std::env::var("BOOTSTRAP_SERVERS").unwrap_or("127.0.0.1:9092".to_owned());
    let topic = std::env::args().nth(1).unwrap_or("greetings".to_owned());
    let producer = Producer::new(ProducerConfig {
        client: ClientConfig::new(servers.split(',')),
        compression: Compression::Zstd,
        linger: Duration::from_millis(20),
        ..Default::default()
    })?;
    let texts = producer.with_serializers(StringSerializer, StringSerializer);

    let mut deliveries = Vec::new();
    // The producer has threads of its own, so this one may wait for lines.
    for line in std::io::stdin().lines() {
        let line = line?;
        // `send` waits only while the buffer is full; the delivery tells what became of it.
        deliveries.push(
            texts
                .send(topic.as_str(), None::<&str>, Some(&line))
                .await?,
        );
    }
    for delivery in deliveries {
        let stored = delivery.await?;
        println!("partition {} offset {}", stored.partition, stored.offset);
    }
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}
