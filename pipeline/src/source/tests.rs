//! The source against a scripted group: placing, fencing, rebalance, repeats, a slow disk.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::feed::Bounds;
use super::placing::{Decision, decide};
use super::*;
use crate::store::{Placement, Reader, Store};

/// A feed that plays its script and notes what is asked of it.
#[derive(Clone, Default)]
pub(crate) struct Script {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<Result<Event, FeedError>>,
    bounds: HashMap<i32, (i64, i64, String)>,
    seeks: Vec<(i32, i64)>,
    commits: HashMap<i32, i64>,
    ends: HashMap<i32, i64>,
    closed: bool,
    idle_polls: u64,
}

impl Script {
    pub(crate) fn push(&self, event: Event) {
        self.inner.lock().events.push_back(Ok(event));
        self.changed.notify_waiters();
    }

    fn fail(&self, error: FeedError) {
        self.inner.lock().events.push_back(Err(error));
        self.changed.notify_waiters();
    }

    pub(crate) fn set_bounds(&self, partition: i32, start: i64, end: i64, id: &str) {
        self.inner
            .lock()
            .bounds
            .insert(partition, (start, end, id.to_owned()));
        self.inner.lock().ends.insert(partition, end);
    }

    /// Waits until `is` holds, without the clock.
    async fn until(&self, is: impl Fn(&Inner) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is(&self.inner.lock()) {
                return;
            }
            changed.await;
        }
    }
}

impl Feed for Script {
    async fn poll(&self, timeout: Duration) -> Result<Event, FeedError> {
        let next = self.inner.lock().events.pop_front();
        if let Some(next) = next {
            return next;
        }
        self.inner.lock().idle_polls += 1;
        self.changed.notify_waiters();
        let changed = self.changed.notified();
        drop(tokio::time::timeout(timeout.min(Duration::from_millis(5)), changed).await);
        Ok(Event::Idle)
    }

    fn seek(&self, partition: &Partition, offset: i64) -> Result<(), FeedError> {
        self.inner.lock().seeks.push((partition.index, offset));
        self.changed.notify_waiters();
        Ok(())
    }

    async fn bounds(&self, partitions: &[Partition]) -> Result<Vec<Bounds>, FeedError> {
        let inner = self.inner.lock();
        Ok(partitions
            .iter()
            .map(|partition| {
                let (log_start, log_end, topic_id) = inner
                    .bounds
                    .get(&partition.index)
                    .cloned()
                    .unwrap_or_default();
                Bounds {
                    partition: partition.clone(),
                    log_start,
                    log_end,
                    topic_id,
                }
            })
            .collect())
    }

    fn end_offset(&self, partition: &Partition) -> Option<i64> {
        self.inner.lock().ends.get(&partition.index).copied()
    }

    async fn commit(&self, offsets: Vec<(Partition, i64)>) -> Result<(), FeedError> {
        for (partition, offset) in offsets {
            self.inner.lock().commits.insert(partition.index, offset);
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_waiters();
    }
}

pub(crate) fn logs(index: i32) -> Partition {
    Partition {
        topic: Arc::from("logs"),
        index,
    }
}

pub(crate) fn record(partition: i32, offset: i64) -> Received {
    Received {
        topic: Arc::from("logs"),
        partition,
        offset,
        timestamp: 1_000,
        value: Some(Bytes::from(format!("line {partition}.{offset}"))),
        origin: None,
        position: None,
        host: None,
        path: None,
    }
}

fn records(partition: i32, offsets: std::ops::Range<i64>) -> Event {
    Event::Records(offsets.map(|offset| record(partition, offset)).collect())
}

struct Running {
    script: Script,
    writer: Writer,
    writer_thread: std::thread::JoinHandle<()>,
    telemetry: Arc<Telemetry>,
    state: SharedState,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
    reader: Reader,
}

fn start(store: Store) -> Running {
    let reader = Reader::open(store.path()).unwrap();
    let telemetry = Arc::new(Telemetry::default());
    let (writer, writer_thread) =
        Writer::start(store, HashSet::new(), Arc::clone(&telemetry)).unwrap();
    let script = Script::default();
    let limits = Limits {
        records: 100,
        bytes: 1 << 20,
        interval: Duration::from_millis(1),
        lag_interval: Duration::from_millis(10),
    };
    let cancel = CancellationToken::new();
    let source = Source::new(
        script.clone(),
        writer.clone(),
        "g".into(),
        limits,
        Arc::clone(&telemetry),
    )
    .cancelled_by(cancel.clone());
    let state = source.state();
    let mut tasks = JoinSet::new();
    tasks.spawn(source.run());
    Running {
        script,
        writer,
        writer_thread,
        telemetry,
        state,
        cancel,
        tasks,
        reader,
    }
}

impl Running {
    async fn lines_reach(&self, count: i64) {
        let mut last_id = self.writer.last_id();
        last_id.wait_for(|id| *id >= count).await.unwrap();
    }

    /// Stops everything and returns the store.
    async fn stop(mut self, path: &std::path::Path) -> Store {
        self.cancel.cancel();
        while self.tasks.join_next().await.is_some() {}
        assert!(self.script.inner.lock().closed);
        self.writer.stop();
        drop(self.writer);
        self.writer_thread.join().unwrap();
        Store::open(path).unwrap()
    }
}

fn claim(next_offset: Option<i64>, topic_id: &str) -> Claim {
    let topic_id = topic_id.to_owned();
    Claim {
        group: "g".into(),
        topic: "logs".into(),
        partition: 0,
        epoch: 1,
        next_offset,
        topic_id,
    }
}

#[test]
fn the_stores_offset_decides_where_to_go_on() {
    let bounds = |log_start, log_end, topic_id: &str| Bounds {
        partition: logs(0),
        log_start,
        log_end,
        topic_id: topic_id.to_owned(),
    };
    let resume = Decision::Resume;
    let place = Decision::Place;
    assert_eq!(
        decide(&claim(None, ""), &bounds(3, 9, "a")),
        place(3, Placement::First)
    );
    assert_eq!(decide(&claim(Some(5), "a"), &bounds(3, 9, "a")), resume(5));
    assert_eq!(decide(&claim(Some(9), "a"), &bounds(3, 9, "a")), resume(9));
    assert_eq!(decide(&claim(Some(5), ""), &bounds(3, 9, "a")), resume(5));
    assert_eq!(decide(&claim(Some(5), "a"), &bounds(3, 9, "")), resume(5));
    assert_eq!(
        decide(&claim(Some(5), "a"), &bounds(0, 9, "b")),
        place(0, Placement::Recreated)
    );
    assert_eq!(
        decide(&claim(Some(10), ""), &bounds(0, 9, "")),
        place(0, Placement::Recreated)
    );
    assert_eq!(
        decide(&claim(Some(1), "a"), &bounds(3, 9, "a")),
        place(3, Placement::Skipped(2))
    );
}

#[tokio::test]
async fn reads_from_the_stores_offset_and_commits_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let running = start(Store::open(&path).unwrap());
    running.script.set_bounds(0, 0, 7, "id");
    running.script.push(Event::Assigned(vec![logs(0)]));
    running.script.push(records(0, 0..3));
    // The same records again, as after a client's retry: not stored twice.
    running.script.push(records(0, 1..5));
    running.lines_reach(5).await;
    running
        .script
        .until(|inner| inner.commits.get(&0) == Some(&5))
        .await;
    let state = Arc::clone(&running.state);
    running
        .script
        .until(|_| state.lock().partitions[&logs(0)].lag() == Some(2))
        .await;
    let store = running.stop(&path).await;
    assert_eq!(store.next_offset("g", "logs", 0).unwrap(), Some(5));
    assert_eq!((store.counts().lines, store.counts().repeats), (5, 0));

    // The next run goes on where the store is, whatever the group's commit says.
    let running = start(store);
    running.script.set_bounds(0, 0, 7, "id");
    running.script.push(Event::Assigned(vec![logs(0)]));
    running.script.until(|inner| inner.seeks == [(0, 5)]).await;
    running.script.push(records(0, 5..7));
    running.lines_reach(7).await;
    let store = running.stop(&path).await;
    assert_eq!(store.counts().lines, 7);
}

#[tokio::test]
async fn a_topic_made_anew_is_read_from_its_start_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let running = start(Store::open(&path).unwrap());
    running.script.set_bounds(0, 0, 5, "old");
    running.script.push(Event::Assigned(vec![logs(0)]));
    running.script.push(records(0, 0..5));
    running.lines_reach(5).await;
    // The new topic has as many records already: only its id tells.
    running.script.set_bounds(0, 0, 5, "new");
    running.script.push(Event::Revoked(vec![logs(0)]));
    running.script.push(Event::Assigned(vec![logs(0)]));
    running
        .script
        .until(|inner| inner.seeks == [(0, 0), (0, 0)])
        .await;
    running.script.push(records(0, 0..5));
    running.lines_reach(10).await;
    let store = running.stop(&path).await;
    let counts = store.counts();
    assert_eq!((counts.lines, counts.repeats, counts.resets), (10, 0, 1));
}

#[tokio::test]
async fn records_that_are_gone_are_counted_as_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let running = start(Store::open(&path).unwrap());
    running.script.set_bounds(0, 0, 5, "id");
    running.script.push(Event::Assigned(vec![logs(0)]));
    running.script.push(records(0, 0..5));
    running.lines_reach(5).await;
    running.script.set_bounds(0, 8, 20, "id");
    running.script.fail(FeedError::OutOfRange(logs(0)));
    running
        .script
        .until(|inner| inner.seeks.last() == Some(&(0, 8)))
        .await;
    running.script.push(records(0, 8..10));
    running.lines_reach(7).await;
    let store = running.stop(&path).await;
    assert_eq!((store.counts().lines, store.counts().lost), (7, 3));
    assert_eq!(store.next_offset("g", "logs", 0).unwrap(), Some(10));
}

#[tokio::test]
async fn what_was_read_is_stored_before_partitions_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let running = start(Store::open(&path).unwrap());
    for partition in [0, 1] {
        running.script.set_bounds(partition, 0, 5, "id");
    }
    running.script.push(Event::Assigned(vec![logs(0), logs(1)]));
    running.script.push(records(0, 0..5));
    running.script.push(records(1, 0..5));
    running.script.push(Event::Revoked(vec![logs(0)]));
    running
        .script
        .until(|inner| inner.commits.get(&0) == Some(&5))
        .await;
    assert!(!running.state.lock().partitions.contains_key(&logs(0)));
    // Records of a partition that is not ours any more are not stored.
    running.script.push(records(0, 5..6));
    running.script.push(records(1, 5..6));
    running.lines_reach(11).await;
    let store = running.stop(&path).await;
    assert_eq!(store.counts().lines, 11);
    assert_eq!(store.next_offset("g", "logs", 0).unwrap(), Some(5));
    assert_eq!(store.next_offset("g", "logs", 1).unwrap(), Some(6));
}

#[tokio::test]
async fn a_fenced_source_stores_nothing_and_reads_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let running = start(Store::open(&path).unwrap());
    running.script.set_bounds(0, 0, 9, "id");
    running.script.push(Event::Assigned(vec![logs(0)]));
    running.script.push(records(0, 0..2));
    running.lines_reach(2).await;
    // Another owner takes the partition over behind the source's back.
    running.writer.claim("g", "logs", 0).await.unwrap();
    running.script.push(records(0, 2..4));
    running
        .script
        .until(|inner| inner.seeks == [(0, 0), (0, 2)])
        .await;
    assert_eq!(running.writer.state().counts.lines, 2);
    running.script.push(records(0, 2..4));
    running.lines_reach(4).await;
    assert!(
        running
            .telemetry
            .text()
            .contains("logway_pipeline_fenced_total 1")
    );
    let store = running.stop(&path).await;
    assert_eq!((store.counts().lines, store.counts().repeats), (4, 0));
}

#[tokio::test]
async fn a_full_disk_makes_the_source_wait_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = Store::open(&path).unwrap();
    store.limit_pages(80);
    let running = start(store);
    running.script.set_bounds(0, 0, 9, "id");
    running.script.push(Event::Assigned(vec![logs(0)]));
    let big = Received {
        value: Some(Bytes::from(vec![b'x'; 1 << 20])),
        ..record(0, 0)
    };
    running.script.push(Event::Records(vec![big]));
    let writer = running.writer.clone();
    running.script.until(|inner| inner.seeks == [(0, 0)]).await;
    while writer.state().waiting.is_none() {
        tokio::task::yield_now().await;
    }
    let reason = writer.state().waiting.unwrap();
    assert!(reason.contains("no space left"), "{reason}");
    // Giving up at shutdown loses nothing: the offset has not moved.
    running.writer.stop();
    let store = running.stop(&path).await;
    assert_eq!(store.next_offset("g", "logs", 0).unwrap(), Some(0));
    let running = start(store);
    running.script.set_bounds(0, 0, 9, "id");
    running.script.push(Event::Assigned(vec![logs(0)]));
    running.script.push(records(0, 0..9));
    running.lines_reach(9).await;
    let page = crate::store::Page::by_id(crate::store::Order::Ascending, 0, 100);
    assert_eq!(
        running
            .reader
            .find(Default::default(), page)
            .await
            .unwrap()
            .rows
            .len(),
        9
    );
    running.stop(&path).await;
}

#[tokio::test]
async fn trouble_with_the_cluster_is_shown_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let running = start(Store::open(&path).unwrap());
    running.script.set_bounds(0, 0, 9, "id");
    running.script.push(Event::Assigned(vec![logs(0)]));
    running
        .script
        .fail(FeedError::Other("the moon is in the way".into()));
    let state = Arc::clone(&running.state);
    let shown = |text: &Option<String>| text.as_deref() == Some("the moon is in the way");
    while !shown(&state.lock().trouble) {
        tokio::task::yield_now().await;
    }
    running.script.push(records(0, 0..1));
    running.lines_reach(1).await;
    assert!(state.lock().trouble.is_none());
    running.stop(&path).await;
}
