//! Producing.

use logway_client::{Producer, ProducerConfig, ProducerRecord};

use super::{PATIENCE, client, fresh, producer};

#[tokio::test]
async fn records_get_consecutive_offsets() {
    let Some(client) = client("records_get_consecutive_offsets") else {
        return;
    };
    let topic = fresh("offsets");
    let producer = Producer::new(ProducerConfig {
        ..producer(&client)
    })
    .unwrap();
    let mut deliveries = Vec::new();
    for n in 0..1000 {
        let mut record = ProducerRecord::new(topic.as_str(), format!("value {n}"));
        record.partition = Some(0);
        deliveries.push(producer.send(record).await.unwrap());
    }
    tokio::time::timeout(PATIENCE, producer.flush())
        .await
        .unwrap();
    for (delivery, offset) in deliveries.into_iter().zip(0..) {
        let stored = delivery.await.unwrap();
        assert_eq!((stored.partition, stored.offset), (0, offset));
    }
    assert_eq!(producer.close(PATIENCE).await, 0);
}
