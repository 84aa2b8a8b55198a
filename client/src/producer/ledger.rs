//! Which batches are not answered for yet, for `flush`, `close` and the figures.
//!
//! Invariant: a serial is open while any batch or part of a batch with it is.

use std::collections::BTreeMap;

/// Open serials and the records behind them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    last: u64,
    open: BTreeMap<u64, u32>,
    /// Records taken and not answered for.
    pub(crate) records: u64,
}

impl Ledger {
    /// A new serial, open once.
    pub(crate) fn begin(&mut self) -> u64 {
        self.last += 1;
        self.open.insert(self.last, 1);
        self.last
    }

    /// The newest serial there is.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// One more thing carries `serial`.
    pub(crate) fn add(&mut self, serial: u64) {
        *self.open.entry(serial).or_default() += 1;
    }

    /// One thing that carried `serial` is done.
    pub(crate) fn end(&mut self, serial: u64) {
        if let Some(count) = self.open.get_mut(&serial) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&serial);
            }
        }
    }

    /// Whether everything up to `serial` is done.
    pub(crate) fn is_done(&self, serial: u64) -> bool {
        self.open
            .first_key_value()
            .is_none_or(|(first, _)| *first > serial)
    }
}
