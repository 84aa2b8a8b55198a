//! Frames cut from every way a stream can arrive, and the budget they are charged to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::budget::ByteBudget;
use super::frame::{Frame, FrameError, FrameReader, Received};

/// A stream that hands out a few bytes at a time.
struct Dribble {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl AsyncRead for Dribble {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self
            .step
            .min(self.bytes.len() - self.at)
            .min(out.remaining());
        out.put_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

fn reader(bytes: Vec<u8>, step: usize) -> FrameReader<Dribble> {
    FrameReader::new(
        Dribble { bytes, at: 0, step },
        4 << 20,
        ByteBudget::new(8 << 20),
    )
}

/// The next whole frame, or `None` at the end.
async fn whole(frames: &mut FrameReader<Dribble>) -> Result<Option<Frame>, FrameError> {
    loop {
        match frames.next().await? {
            Received::Frame(frame) => return Ok(Some(frame)),
            Received::Part => {}
            Received::End => return Ok(None),
        }
    }
}

#[tokio::test]
async fn every_progress_of_a_sender_is_told() {
    let mut frames = reader(framed(&[vec![1; 20]]), 8);
    for received in [8, 16] {
        assert!(matches!(frames.next().await, Ok(Received::Part)));
        assert!(frames.is_partial());
        assert_eq!(frames.received(), received);
    }
    assert!(matches!(frames.next().await, Ok(Received::Frame(_))));
    assert!(!frames.is_partial());
    assert!(matches!(frames.next().await, Ok(Received::End)));
}

fn framed(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for body in bodies {
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
    }
    bytes
}

#[tokio::test]
async fn frames_come_out_whole_however_they_arrive() {
    let bodies = [vec![1; 8], vec![2; 10_000], vec![3; 3 << 20], vec![4; 9]];
    for step in [1000, 4096, 1 << 20, usize::MAX / 2] {
        let mut frames = reader(framed(&bodies), step);
        for body in &bodies {
            assert_eq!(whole(&mut frames).await.unwrap().unwrap().body, body);
        }
        assert!(whole(&mut frames).await.unwrap().is_none());
        assert!(!frames.is_partial());
    }
    let mut frames = reader(framed(&bodies[..2]), 1);
    assert_eq!(whole(&mut frames).await.unwrap().unwrap().body, bodies[0]);
    assert_eq!(whole(&mut frames).await.unwrap().unwrap().body, bodies[1]);
}

#[tokio::test]
async fn impossible_lengths_and_early_ends_are_named() {
    let next = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        async move { whole(&mut reader(bytes, 100)).await }
    };
    assert!(matches!(
        next(&[0xff; 4]).await,
        Err(FrameError::TooSmall { announced: -1 })
    ));
    assert!(matches!(
        next(&[0, 0, 0, 7]).await,
        Err(FrameError::TooSmall { announced: 7 })
    ));
    assert!(matches!(
        next(&[0x7f, 0, 0, 0]).await,
        Err(FrameError::TooLarge { .. })
    ));
    assert!(matches!(
        next(&[0, 0]).await,
        Err(FrameError::Truncated { missing: 2 })
    ));
    assert!(matches!(
        next(&[0, 0, 0, 9, 1]).await,
        Err(FrameError::Truncated { missing: 8 })
    ));
    assert!(matches!(next(&[]).await, Ok(None)));
}

#[tokio::test]
async fn an_announced_length_takes_no_memory_before_its_bytes_come() {
    let mut bytes = (4u32 << 20).to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0; 100]);
    let mut frames = reader(bytes, 104);
    let error = whole(&mut frames).await.unwrap_err();
    assert!(matches!(error, FrameError::Truncated { missing } if missing == (4 << 20) - 100));
    assert!(frames.capacity() <= 2 << 20, "{}", frames.capacity());
}

#[tokio::test]
async fn the_budget_admits_what_exceeds_it_alone() {
    let budget = ByteBudget::new(10 << 10);
    let first = budget.take(4 << 10).await;
    assert!(budget.try_take(7 << 10).is_none());
    assert!(budget.try_take(1 << 30).is_none());
    drop(first);
    let all = budget.take(1 << 30).await;
    assert!(budget.try_take(1).is_none());
    drop(all);
    assert!(budget.try_take(1).is_some());
}
