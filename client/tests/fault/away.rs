//! Brokers that are not there: at the start, for long, or never.

use std::time::Duration;

use logway_client::{
    ClientConfig, Consumer, ConsumerConfig, DeliveryError, Polled, Producer, ProducerConfig,
    ProducerRecord, SendError, Start, TopicPartition,
};
use logway_protocol::api_key::ApiKey;

use super::PATIENCE;
use crate::fake::{Fake, Fault, TOPIC};

/// An address where nobody listens, until the test does.
fn nobody() -> std::net::SocketAddr {
    crate::port::free_address()
}

fn client(address: std::net::SocketAddr) -> ClientConfig {
    ClientConfig {
        reconnect_backoff: Duration::from_millis(5),
        reconnect_backoff_max: Duration::from_millis(20),
        retry_backoff: Duration::from_millis(5),
        retry_backoff_max: Duration::from_millis(20),
        ..ClientConfig::new([address.to_string()])
    }
}

fn keyed(n: i32) -> ProducerRecord {
    ProducerRecord::new(TOPIC, format!("{n:06}")).with_key("k")
}

#[tokio::test]
async fn a_broker_that_comes_late_gets_everything_in_order() {
    let address = nobody();
    let config = ProducerConfig {
        client: client(address),
        delivery_timeout: None,
        ..Default::default()
    };
    let producer = Producer::new(config).unwrap();
    let mut deliveries = Vec::new();
    for n in 0..500 {
        deliveries.push(producer.try_send(keyed(n)).unwrap());
    }
    let early = tokio::time::timeout(Duration::from_millis(100), producer.flush()).await;
    assert!(early.is_err(), "nobody is there to deliver to");
    let fake = Fake::start_at(address, 3).await;
    tokio::time::timeout(PATIENCE, producer.flush())
        .await
        .unwrap();
    let mut partition = None;
    for (delivery, offset) in deliveries.into_iter().zip(0..) {
        let stored = delivery.await.unwrap();
        assert_eq!(stored.offset, offset);
        assert_eq!(*partition.get_or_insert(stored.partition), stored.partition);
    }
    // It goes and comes back, without its memory of producers, at the same address.
    let values = fake.values(usize::try_from(partition.unwrap()).unwrap());
    assert_eq!(
        values,
        (0..500).map(|n| format!("{n:06}")).collect::<Vec<_>>()
    );
    fake.stop().await;
    let later = producer.try_send(keyed(500)).unwrap();
    let fake = Fake::start_at(address, 3).await;
    tokio::time::timeout(PATIENCE, later)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        fake.values(usize::try_from(partition.unwrap()).unwrap()),
        ["000500"]
    );
    assert_eq!(producer.close(PATIENCE).await, 0);
}

#[tokio::test]
async fn a_full_buffer_holds_senders_back_and_frees_itself() {
    let address = nobody();
    let config = ProducerConfig {
        client: client(address),
        delivery_timeout: None,
        buffer_memory: 4096,
        ..Default::default()
    };
    let producer = Producer::new(config).unwrap();
    let mut taken = 0;
    while producer.try_send(keyed(taken)).is_ok() {
        taken += 1;
        assert!(taken < 4096 / 10, "the buffer has no bound");
    }
    assert!(matches!(
        producer.try_send(keyed(taken)),
        Err(SendError::Full)
    ));
    assert!(producer.stats().buffered_bytes <= 4096);
    let huge = ProducerRecord::new(TOPIC, vec![0; 5000]);
    assert!(matches!(
        producer.try_send(huge),
        Err(SendError::TooLarge { .. })
    ));
    let waiting = producer.clone();
    let waits = async move { waiting.send(keyed(taken)).await.unwrap().await };
    let comes = async {
        tokio::task::yield_now().await;
        Fake::start_at(address, 1).await
    };
    let (last, fake) = tokio::time::timeout(PATIENCE, async { tokio::join!(waits, comes) })
        .await
        .expect("the sender is never let go");
    assert_eq!(last.unwrap().offset, i64::from(taken));
    tokio::time::timeout(PATIENCE, producer.flush())
        .await
        .unwrap();
    assert_eq!(producer.stats().buffered_bytes, 0);
    assert_eq!(fake.values(0).len(), usize::try_from(taken).unwrap() + 1);
}

#[tokio::test]
async fn closing_reports_what_was_not_delivered() {
    let config = ProducerConfig {
        client: client(nobody()),
        delivery_timeout: None,
        ..Default::default()
    };
    let producer = Producer::new(config).unwrap();
    let keyed_one = producer.try_send(keyed(1)).unwrap();
    let sticky = producer.try_send(ProducerRecord::new(TOPIC, "x")).unwrap();
    assert_eq!(producer.close(Duration::from_millis(50)).await, 2);
    assert!(matches!(keyed_one.await, Err(DeliveryError::Closed)));
    assert!(matches!(sticky.await, Err(DeliveryError::Closed)));
    assert!(matches!(
        producer.try_send(keyed(2)),
        Err(SendError::Closed)
    ));
    assert!(matches!(
        producer.send(keyed(2)).await,
        Err(SendError::Closed)
    ));
}

#[test]
fn nothing_waits_for_a_runtime_that_is_gone() {
    let build = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let runtime = build();
    let (producer, delivery) = runtime.block_on(async {
        let config = ProducerConfig {
            client: client(nobody()),
            ..Default::default()
        };
        let producer = Producer::new(config).unwrap();
        let delivery = producer.try_send(keyed(1)).unwrap();
        tokio::task::yield_now().await;
        (producer, delivery)
    });
    drop(runtime);
    assert!(matches!(
        delivery.poll_now(),
        Some(Err(DeliveryError::Closed))
    ));
    assert!(matches!(
        producer.try_send(keyed(2)),
        Err(SendError::Closed)
    ));
    assert_eq!(build().block_on(producer.close(PATIENCE)), 0);
}

#[tokio::test]
async fn dropping_the_last_handle_ends_everything() {
    let config = ProducerConfig {
        client: client(nobody()),
        ..Default::default()
    };
    let producer = Producer::new(config).unwrap();
    let delivery = producer.clone().try_send(keyed(1)).unwrap();
    drop(producer);
    let ended = tokio::time::timeout(PATIENCE, delivery).await.unwrap();
    assert!(matches!(ended, Err(DeliveryError::Closed)));
}

#[tokio::test]
async fn attempts_stay_rare_while_nobody_answers() {
    // A broker that accepts and hangs up at once: the worst case for a busy loop.
    let fake = Fake::start(1, 1).await;
    fake.faults(|_| Fault::DropBefore);
    let config = ProducerConfig {
        client: ClientConfig {
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_millis(100),
            ..fake.client()
        },
        delivery_timeout: Some(Duration::from_secs(2)),
        ..Default::default()
    };
    let attempts = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = attempts.clone();
    fake.faults(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Fault::DropBefore
    });
    let began = std::time::Instant::now();
    let producer = Producer::new(config).unwrap();
    let error = producer.try_send(keyed(1)).unwrap().await.unwrap_err();
    assert!(matches!(error, DeliveryError::TimedOut { .. }), "{error}");
    let attempts = attempts.load(std::sync::atomic::Ordering::Relaxed);
    // On a slow machine it takes longer than it was told to.
    let seconds = began.elapsed().as_secs_f64();
    assert!(
        attempts >= 2 && (attempts as f64) < 40.0 * seconds,
        "{attempts} attempts in {seconds} s"
    );
}

#[tokio::test]
async fn a_consumer_waits_for_its_broker() {
    let address = nobody();
    let consumer = Consumer::new(ConsumerConfig {
        client: client(address),
        fetch_max_wait: Duration::from_millis(50),
        ..Default::default()
    })
    .unwrap();
    let partition = TopicPartition::new(TOPIC, 0);
    consumer
        .assign(vec![(partition, Start::Beginning)])
        .await
        .unwrap();
    assert!(matches!(
        consumer.poll(Duration::from_millis(100)).await.unwrap(),
        Polled::Idle
    ));
    let fake = Fake::start_at(address, 1).await;
    let producer = Producer::new(ProducerConfig {
        client: fake.client(),
        ..Default::default()
    })
    .unwrap();
    producer
        .send(ProducerRecord::new(TOPIC, "late"))
        .await
        .unwrap()
        .await
        .unwrap();
    let polled = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Polled::Records(records) = consumer.poll(PATIENCE).await.unwrap() {
                return records;
            }
        }
    });
    assert_eq!(
        polled.await.unwrap()[0].value.as_deref(),
        Some(&b"late"[..])
    );
    assert!(fake.state(|state| state.requests[&ApiKey::Fetch]) > 0);
    consumer.close().await;
}
