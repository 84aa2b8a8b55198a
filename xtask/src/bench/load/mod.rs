//! The load generator: pre-encoded batches over plain sockets, so that the server is the limit.
//! Invariant: nothing is allocated or decoded per request; answers are looked at where their error
//! codes lie, and fetched batches are dropped by the kernel after their first header.

mod batches;
pub(crate) mod connection;
mod fetch;
mod fields;
mod paced;
mod produce;
#[cfg(test)]
mod tests;
pub(crate) mod topics;

pub(crate) use batches::{Batch, Shape};
pub(crate) use fetch::{Fetch, Until, fetch};
pub(crate) use paced::{Paced, paced, while_flowing};
pub(crate) use produce::{Limit, one_at_a_time, produce};
pub(crate) use topics::fresh_topic;

/// What was acknowledged or received, and in how long.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moved {
    /// Bytes of batches on the wire.
    pub(crate) bytes: u64,
    /// Records.
    pub(crate) records: u64,
    /// Time taken.
    pub(crate) seconds: f64,
}

/// Runs `worker` on this many threads and returns what each returned.
fn on_threads<T: Send>(
    count: usize,
    worker: impl Fn(usize) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    std::thread::scope(|scope| {
        let worker = &worker;
        let threads: Vec<_> = (0..count).map(|i| scope.spawn(move || worker(i))).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a worker panicked"))?
            })
            .collect()
    })
}
