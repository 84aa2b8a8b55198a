//! Which part of a file the broker has acknowledged. Step 5 of the hallway.
//!
//! **Invariant:** the committed position moves only over a gapless run of acknowledged spans from the start
//! of what was sent; an acknowledgement that overtakes another waits for it.

use std::collections::VecDeque;

use crate::input::file::evidence::Tail;

/// Names one span of a file until it is acknowledged. Spans of before a rewind are not known any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanId {
    epoch: u32,
    number: u64,
}

#[derive(Debug)]
struct Span {
    to: u64,
    tail: Tail,
    acked: bool,
}

/// The unacknowledged spans of one file, in order and without gap.
#[derive(Debug)]
pub(crate) struct Acks {
    epoch: u32,
    /// Number of the first span in `spans`.
    first: u64,
    spans: VecDeque<Span>,
    committed: u64,
    committed_tail: Tail,
}

impl Acks {
    /// Everything before `committed` is acknowledged.
    pub(crate) fn new(committed: u64, committed_tail: Tail) -> Acks {
        Acks {
            epoch: 0,
            first: 0,
            spans: VecDeque::new(),
            committed,
            committed_tail,
        }
    }

    pub(crate) fn committed(&self) -> (u64, &Tail) {
        (self.committed, &self.committed_tail)
    }

    /// Whether everything that was sent is acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.spans.is_empty()
    }

    /// Begins a span that reaches up to `to`.
    pub(crate) fn begin(&mut self, to: u64, tail: Tail) -> SpanId {
        self.spans.push_back(Span {
            to,
            tail,
            acked: false,
        });
        SpanId {
            epoch: self.epoch,
            number: self.first + self.spans.len() as u64 - 1,
        }
    }

    /// Lengthens the newest span up to `to`.
    pub(crate) fn extend(&mut self, to: u64, tail: Tail) {
        let span = self
            .spans
            .back_mut()
            .expect("a span is begun before it grows");
        debug_assert!(span.to <= to && !span.acked);
        span.to = to;
        span.tail = tail;
    }

    /// Marks a span as acknowledged; gives the committed position when it moved.
    pub(crate) fn acknowledge(&mut self, span: SpanId) -> Option<(u64, Tail)> {
        let index = span.number.checked_sub(self.first)?;
        if span.epoch != self.epoch {
            return None;
        }
        self.spans.get_mut(index as usize)?.acked = true;
        let before = self.first;
        while let Some(span) = self.spans.pop_front_if(|span| span.acked) {
            self.first += 1;
            self.committed = span.to;
            self.committed_tail = span.tail;
        }
        (self.first != before).then_some((self.committed, self.committed_tail))
    }

    /// Forgets the spans that wait: they will be read and sent again from the committed position.
    pub(crate) fn rewind(&mut self) {
        self.first += self.spans.len() as u64;
        self.epoch += 1;
        self.spans.clear();
    }

    /// Starts over at a proven position; spans of before are not known any more.
    pub(crate) fn restart(&mut self, committed: u64, committed_tail: Tail) {
        self.rewind();
        self.committed = committed;
        self.committed_tail = committed_tail;
    }

    /// Whether `span` was begun after the last rewind.
    pub(crate) fn knows(&self, span: SpanId) -> bool {
        span.epoch == self.epoch && span.number >= self.first
    }
}
