//! A sink with a switch: takes batches into a bounded memory, lets them land while it is "up".

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use logway_protocol::record::{Record, decode_records};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Builder, Guard, LogwayLayer, local,
    sink::{Landing, NotTaken, Outgoing, Sink},
};

/// A test's end of the sink.
#[derive(Clone)]
pub(super) struct FakeBroker {
    up: watch::Sender<bool>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// In the order in which they were taken, as a partition keeps it.
    landed: BTreeMap<u64, Outgoing>,
    waiting_bytes: usize,
    capacity: usize,
    refusal: Option<String>,
    offers: u64,
    closed: bool,
}

/// What a record of the stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: Option<String>,
    pub(super) value: String,
    pub(super) timestamp: i64,
    pub(super) headers: BTreeMap<String, String>,
}

impl FakeBroker {
    /// A broker that is up, or away, with room for `capacity` bytes of batches under way.
    pub(super) fn new(up: bool, capacity: usize) -> FakeBroker {
        let state = State {
            capacity,
            ..State::default()
        };
        FakeBroker {
            up: watch::Sender::new(up),
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// From now on every batch fails, or none.
    pub(super) fn refuse(&self, problem: Option<&str>) {
        self.state.lock().refusal = problem.map(str::to_owned);
    }

    /// Room for batches under way, in bytes.
    pub(super) fn set_capacity(&self, bytes: usize) {
        self.state.lock().capacity = bytes;
    }

    /// Builds the layer with this broker behind it.
    pub(super) fn start(&self, builder: Builder) -> (LogwayLayer, Guard) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_start(local::mark_worker)
            .build()
            .unwrap();
        builder.start(runtime, self.clone()).unwrap()
    }

    /// The records that have landed, in order.
    pub(super) fn lines(&self) -> Vec<Line> {
        let state = self.state.lock();
        state.landed.values().flat_map(records).collect()
    }

    /// The records of each batch that has landed.
    pub(super) fn batches(&self) -> Vec<Vec<Line>> {
        self.state.lock().landed.values().map(records).collect()
    }

    /// How often a batch was offered.
    pub(super) fn offers(&self) -> u64 {
        self.state.lock().offers
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

fn records(batch: &Outgoing) -> Vec<Line> {
    let records = decode_records(&batch.bytes, 64 << 20).unwrap();
    assert_eq!(records.len(), usize::try_from(batch.records).unwrap());
    records.into_iter().map(line).collect()
}

fn line(record: Record) -> Line {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Line {
        key: record.key.as_deref().map(text),
        value: text(&record.value.unwrap()),
        timestamp: record.timestamp,
        headers: record
            .headers
            .iter()
            .map(|header| {
                (
                    header.key.to_string(),
                    text(header.value.as_deref().unwrap()),
                )
            })
            .collect(),
    }
}

impl Sink for FakeBroker {
    fn try_send(&mut self, batch: &Outgoing) -> Result<Landing, NotTaken> {
        let mut state = self.state.lock();
        state.offers += 1;
        if state.waiting_bytes + batch.bytes.len() > state.capacity {
            return Err(NotTaken::Full);
        }
        state.waiting_bytes += batch.bytes.len();
        let order = state.offers;
        let (batch, shared, mut up) = (batch.clone(), self.state.clone(), self.up.subscribe());
        Ok(Box::pin(async move {
            up.wait_for(|up| *up)
                .await
                .map_err(|_| "the broker is gone".to_owned())?;
            let mut state = shared.lock();
            state.waiting_bytes -= batch.bytes.len();
            if let Some(problem) = &state.refusal {
                return Err(problem.clone());
            }
            state.landed.insert(order, batch);
            Ok(())
        }))
    }

    async fn close(&mut self, _: Duration) {
        self.state.lock().closed = true;
    }
}
