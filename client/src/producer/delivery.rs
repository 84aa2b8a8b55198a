//! The answer for each record, at the price of one allocation per batch.
//!
//! Invariant: every delivery is answered exactly once, at the latest when its batch is dropped. A
//! batch may be split, so an outcome is answered in parts. Step 5 of the hallway.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::error::DeliveryError;
use crate::producer::record::RecordMetadata;

/// The coming answer for one record, or for one batch given to `send_batch`.
///
/// Dropping it costs nothing and cancels nothing.
#[derive(Debug)]
#[must_use = "a delivery is only known to have happened once it was awaited"]
pub struct Delivery {
    outcome: Arc<Outcome>,
    range: Range<u32>,
    timestamp: i64,
    waker: Option<usize>,
}

impl Delivery {
    /// The answer for the records `range` of `outcome`, the first of them made at `timestamp`.
    pub(crate) fn new(outcome: Arc<Outcome>, range: Range<u32>, timestamp: i64) -> Self {
        Self {
            outcome,
            range,
            timestamp,
            waker: None,
        }
    }

    /// The answer, if it is there already.
    pub fn poll_now(&self) -> Option<Result<RecordMetadata, DeliveryError>> {
        let state = self.outcome.state.lock();
        state.answer(&self.range, self.timestamp)
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut state = this.outcome.state.lock();
        if let Some(answer) = state.answer(&this.range, this.timestamp) {
            return Poll::Ready(answer);
        }
        match this.waker.and_then(|at| state.wakers.get_mut(at)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                this.waker = Some(state.wakers.len());
                state.wakers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}

/// What became of some records that were sent together.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Stored; the offset is that of the first record, or -1.
    Stored {
        partition: i32,
        base_offset: i64,
        log_append_time: Option<i64>,
    },
    /// Not stored, or not known to be.
    Failed(DeliveryError),
}

/// The shared answer of the records of one batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answers: Vec<(Range<u32>, Answer)>,
    wakers: Vec<Waker>,
}

impl State {
    /// The answer for all records of `wanted`: the first failure, or that of the first record once
    /// all are stored.
    fn answer(
        &self,
        wanted: &Range<u32>,
        timestamp: i64,
    ) -> Option<Result<RecordMetadata, DeliveryError>> {
        let mut first = None;
        let mut missing = wanted.end - wanted.start;
        for (range, answer) in &self.answers {
            let (start, end) = (range.start.max(wanted.start), range.end.min(wanted.end));
            if start >= end {
                continue;
            }
            missing -= end - start;
            match answer {
                Answer::Failed(error) => return Some(Err(error.clone())),
                Answer::Stored {
                    partition,
                    base_offset,
                    log_append_time,
                } => {
                    if range.contains(&wanted.start) {
                        let before = i64::from(wanted.start - range.start);
                        first = Some(RecordMetadata {
                            partition: *partition,
                            offset: if *base_offset < 0 {
                                -1
                            } else {
                                base_offset + before
                            },
                            timestamp: log_append_time.unwrap_or(timestamp),
                        });
                    }
                }
            }
        }
        if missing > 0 { None } else { first.map(Ok) }
    }
}

/// Some records of an outcome that travel in one batch. Unanswered, they fail as closed on drop.
#[derive(Debug)]
pub(crate) struct Part {
    outcome: Arc<Outcome>,
    range: Range<u32>,
    answered: bool,
}

impl Part {
    /// The records `range` of `outcome`.
    pub(crate) fn new(outcome: Arc<Outcome>, range: Range<u32>) -> Self {
        Self {
            outcome,
            range,
            answered: false,
        }
    }

    /// The number of records.
    pub(crate) fn len(&self) -> u32 {
        self.range.end - self.range.start
    }

    /// One more record, the next of the same outcome.
    pub(crate) fn extend(&mut self) {
        self.range.end += 1;
    }

    /// Cuts off what comes after the first `count` records.
    pub(crate) fn split_off(&mut self, count: u32) -> Part {
        let at = (self.range.start + count).min(self.range.end);
        let rest = Part::new(self.outcome.clone(), at..self.range.end);
        self.range.end = at;
        rest
    }

    /// Answers for all records of this part.
    pub(crate) fn answer(mut self, answer: Answer) {
        self.settle(answer);
    }

    fn settle(&mut self, answer: Answer) {
        self.answered = true;
        if self.range.is_empty() {
            return;
        }
        let wakers = {
            let mut state = self.outcome.state.lock();
            state.answers.push((self.range.clone(), answer));
            state.wakers.clone()
        };
        for waker in wakers {
            waker.wake();
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.answered {
            self.settle(Answer::Failed(DeliveryError::Closed));
        }
    }
}

/// Answers for consecutive parts of one stored or failed batch.
pub(crate) fn answer_all(parts: Vec<Part>, answer: &Answer) {
    let mut before = 0;
    for part in parts {
        let count = i64::from(part.len());
        part.answer(match answer {
            Answer::Stored {
                partition,
                base_offset,
                log_append_time,
            } => Answer::Stored {
                partition: *partition,
                base_offset: if *base_offset < 0 {
                    -1
                } else {
                    base_offset + before
                },
                log_append_time: *log_append_time,
            },
            Answer::Failed(error) => Answer::Failed(error.clone()),
        });
        before += count;
    }
}

#[cfg(test)]
mod tests;
