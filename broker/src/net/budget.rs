//! Bounds the bytes that all connections together hold in memory. Invariant: a request's bytes are
//! paid for before they are read, and given back when its reply has left. Step 6 of the hallway.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes behind one permit: coarse, so that the semaphore's 32-bit count reaches far enough.
const UNIT_BYTES: usize = 1024;

/// A pool of bytes shared by all connections.
#[derive(Clone, Debug)]
pub(crate) struct ByteBudget {
    permits: Arc<Semaphore>,
    units_total: u32,
}

/// Bytes taken from a [`ByteBudget`]; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct BytePermit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl ByteBudget {
    /// A pool of `bytes` (rounded up to whole KiB).
    pub(crate) fn new(bytes: usize) -> ByteBudget {
        let units = bytes
            .div_ceil(UNIT_BYTES)
            .clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        ByteBudget {
            permits: Arc::new(Semaphore::new(units)),
            units_total: u32::try_from(units).unwrap_or(u32::MAX),
        }
    }

    fn units(&self, bytes: usize) -> u32 {
        // What exceeds the whole pool waits for the whole pool: it runs alone, but it runs.
        u32::try_from(bytes.div_ceil(UNIT_BYTES))
            .unwrap_or(u32::MAX)
            .clamp(1, self.units_total)
    }

    /// Takes `bytes` if they are free right now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<BytePermit> {
        let permit = Arc::clone(&self.permits)
            .try_acquire_many_owned(self.units(bytes))
            .ok()?;
        Some(BytePermit {
            _permit: Some(permit),
        })
    }

    /// Waits until `bytes` are free. First come, first served. Cancelling loses the place in line only.
    pub(crate) async fn take(&self, bytes: usize) -> BytePermit {
        let permits = Arc::clone(&self.permits);
        // The semaphore is never closed, so the error arm only exists in the type.
        BytePermit {
            _permit: permits.acquire_many_owned(self.units(bytes)).await.ok(),
        }
    }
}
