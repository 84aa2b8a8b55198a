//! Reads one topic, writes another, exactly once:
//! `cargo run -p logway-client --example transactional -- FROM TO`.
//!
//! Invariant: a record of `TO` and the offset that stands for its source are committed together
//! or not at all (KIP-447). Steps 5 and 10 of the hallway. `BOOTSTRAP_SERVERS` names the cluster,
//! 127.0.0.1:9092 without it. Ends after five quiet seconds.

use std::error::Error;
use std::time::Duration;

use logway_client::{
    AutoOffsetReset, ClientConfig, Consumer, ConsumerConfig, ConsumerRecord, IsolationLevel,
    Polled, Producer, ProducerConfig, ProducerRecord, Start, next_offsets,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let servers = std::env::var("BOOTSTRAP_SERVERS").unwrap_or("127.0.0.1:9092".to_owned());
    let client = ClientConfig::new(servers.split(','));
    let mut args = std::env::args().skip(1);
    let from = args.next().unwrap_or("greetings".to_owned());
    let to = args.next().unwrap_or("loud-greetings".to_owned());
    let consumer = Consumer::new(ConsumerConfig {
        client: client.clone(),
        group_id: Some("shouter".to_owned()),
        isolation_level: IsolationLevel::ReadCommitted,
        auto_offset_reset: AutoOffsetReset::Earliest,
        ..Default::default()
    })?;
    let producer = Producer::new(ProducerConfig {
        client,
        transactional_id: Some("shouter-1".to_owned()),
        ..Default::default()
    })?;
    producer.init_transactions().await?;
    consumer.subscribe([from]).await?;
    loop {
        match consumer.poll(Duration::from_secs(5)).await? {
            Polled::Records(records) => transform(&consumer, &producer, &records, &to).await?,
            Polled::Idle => break,
            _ => {}
        }
    }
    consumer.close().await;
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}

/// One round: what was read goes out and is committed, or nothing happened.
async fn transform(
    consumer: &Consumer,
    producer: &Producer,
    records: &[ConsumerRecord],
    to: &str,
) -> Result<(), Box<dyn Error>> {
    let Some(member) = consumer.group_metadata() else {
        // The partitions went to others meanwhile, who read these records again.
        return Ok(());
    };
    let transaction = producer.begin_transaction().await?;
    for record in records {
        let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
        let loud = ProducerRecord::new(to, text.to_uppercase());
        // The commit waits for it.
        let _delivery = transaction.send(loud).await?;
    }
    let offsets = next_offsets(records);
    let committed = match transaction.send_offsets(&offsets, &member).await {
        Ok(()) => transaction.commit().await,
        Err(error) => Err(error),
    };
    match committed {
        Ok(()) => Ok(()),
        Err(error) if error.is_abortable() => {
            transaction.abort().await?;
            // Nothing happened, so these records are read again.
            for partition in consumer.assignment() {
                consumer.seek_to(&partition, Start::Committed)?;
            }
            Ok(())
        }
        // Another process took over, or the outcome is not known: the next start goes on where
        // the group's committed offsets say.
        Err(error) => Err(error.into()),
    }
}
