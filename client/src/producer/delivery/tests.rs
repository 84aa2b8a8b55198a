//! Parts of an outcome reach the right deliveries, whatever the order of the answers.

use std::sync::Arc;

use super::{Answer, Delivery, Outcome, Part, answer_all};
use crate::error::DeliveryError;

fn stored(base_offset: i64) -> Answer {
    Answer::Stored {
        partition: 3,
        base_offset,
        log_append_time: None,
    }
}

#[test]
fn each_record_gets_its_own_offset() {
    let outcome = Arc::new(Outcome::default());
    let parts = vec![
        Part::new(outcome.clone(), 0..2),
        Part::new(outcome.clone(), 2..5),
    ];
    let deliveries: Vec<_> = (0..5)
        .map(|at| Delivery::new(outcome.clone(), at..at + 1, i64::from(at)))
        .collect();
    assert!(deliveries[0].poll_now().is_none());
    answer_all(parts, &stored(100));
    for (delivery, offset) in deliveries.iter().zip(100..) {
        let metadata = delivery.poll_now().unwrap().unwrap();
        assert_eq!((metadata.partition, metadata.offset), (3, offset));
        assert_eq!(metadata.timestamp, offset - 100);
    }
}

#[test]
fn a_split_batch_is_answered_when_all_of_it_is() {
    let outcome = Arc::new(Outcome::default());
    let whole = Delivery::new(outcome.clone(), 0..10, 7);
    let mut first = Part::new(outcome.clone(), 0..10);
    let second = first.split_off(4);
    assert_eq!((first.len(), second.len()), (4, 6));
    second.answer(stored(24));
    assert!(whole.poll_now().is_none());
    first.answer(stored(20));
    assert_eq!(whole.poll_now().unwrap().unwrap().offset, 20);
}

#[test]
fn a_failed_part_fails_the_batch_and_not_its_neighbours() {
    let outcome = Arc::new(Outcome::default());
    let whole = Delivery::new(outcome.clone(), 0..2, 0);
    let good = Delivery::new(outcome.clone(), 0..1, 0);
    let mut first = Part::new(outcome.clone(), 0..2);
    drop(first.split_off(1));
    first.answer(stored(-1));
    assert!(matches!(whole.poll_now(), Some(Err(DeliveryError::Closed))));
    assert_eq!(good.poll_now().unwrap().unwrap().offset, -1);
}

#[tokio::test]
async fn waiting_deliveries_wake() {
    let outcome = Arc::new(Outcome::default());
    let mut part = Part::new(outcome.clone(), 0..1);
    part.extend();
    let both = [0, 1].map(|at| Delivery::new(outcome.clone(), at..at + 1, 0));
    let [first, second] = both;
    let answer = async {
        tokio::task::yield_now().await;
        part.answer(stored(5));
    };
    let (first, second, ()) = tokio::join!(first, second, answer);
    assert_eq!((first.unwrap().offset, second.unwrap().offset), (5, 6));
}
