//! What belongs to one thread: the recursion guard, the encoding buffers, the batches.
//!
//! **Invariant:** the appender's own threads never append; an event logged while another one is being
//! encoded (a `Debug` that logs) is taken in with buffers of its own, up to a depth, beyond which it
//! is dropped and counted. Everything works, more slowly, after the thread's storage is gone.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use crate::{layout::Scratch, shard::Shard};

/// Most events that may be encoded inside one another on a thread.
const DEPTH_MAX: u8 = 4;
/// Depth of a thread that never appends.
const WORKER: u8 = u8::MAX;

thread_local! {
    /// Events being encoded on this thread. Has no destructor, so it outlives the others.
    static DEPTH: Cell<u8> = const { Cell::new(0) };
    static ENCODING: RefCell<Encoding> = RefCell::new(Encoding::new());
    static SHARDS: RefCell<Vec<(u64, Arc<Shard>)>> = const { RefCell::new(Vec::new()) };
}

/// What a thread needs for encoding.
pub(crate) struct Encoding {
    pub(crate) scratch: Scratch,
    pub(crate) thread: String,
}

impl Encoding {
    fn new() -> Encoding {
        let current = std::thread::current();
        let thread = match current.name() {
            Some(name) => name.to_owned(),
            // logback's name for such threads, with the number of `ThreadId(7)`.
            None => {
                let id = format!("{:?}", current.id());
                format!(
                    "Thread-{}",
                    id.trim_start_matches("ThreadId(").trim_end_matches(')')
                )
            }
        };
        Encoding {
            scratch: Scratch::default(),
            thread,
        }
    }
}

/// Makes this thread one of the appender's own, for ever.
pub(crate) fn mark_worker() {
    DEPTH.set(WORKER);
}

/// Whether this thread is one of the appender's own.
pub(crate) fn is_worker() -> bool {
    DEPTH.get() == WORKER
}

/// Counts this thread in until it is dropped.
pub(crate) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Begins an event; `None` when it would be nested too deeply, or on a thread of the appender.
pub(crate) fn enter() -> Option<Entered> {
    let depth = DEPTH.get();
    (depth < DEPTH_MAX).then(|| {
        DEPTH.set(depth + 1);
        Entered(())
    })
}

/// Runs `work` with this thread's buffers, or with new ones while those are in use or gone.
pub(crate) fn with_encoding<R>(work: impl FnOnce(&mut Encoding) -> R) -> R {
    let mut work = Some(work);
    let done = ENCODING.try_with(|shared| {
        let mut encoding = shared.try_borrow_mut().ok()?;
        let result = work.take().map(|work| work(&mut encoding));
        encoding.scratch.shrink();
        result
    });
    if let Ok(Some(result)) = done {
        return result;
    }
    let work = work
        .take()
        .expect("the work is only taken when it also returns a result");
    work(&mut Encoding::new())
}

/// This thread's batches for the appender `id`; made by `register` at the thread's first event.
/// `None` after the thread's storage is gone.
pub(crate) fn shard(id: u64, register: impl FnOnce() -> Arc<Shard>) -> Option<Arc<Shard>> {
    SHARDS
        .try_with(|shards| {
            let mut shards = shards.try_borrow_mut().ok()?;
            if let Some((_, shard)) = shards.iter().find(|(known, _)| *known == id) {
                return Some(shard.clone());
            }
            shards.retain(|(_, shard)| !shard.is_closed());
            let shard = register();
            shards.push((id, shard.clone()));
            Some(shard)
        })
        .ok()
        .flatten()
}
