//! Producer id, epoch and sequence numbers: how a broker recognises repeats (KIP-98, KIP-360).
//!
//! Invariant: within one id and epoch, a partition's sequence numbers have no gap and no repeat
//! with other content. After a gap that cannot be closed the partition begins anew at 0 under a
//! higher epoch, once nothing of it is in flight. Step 5 of the hallway.

/// Who a producer is to the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// The number of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) producer: Identity,
    /// Number of the batch's first record.
    pub(crate) base: i32,
}

impl Sequence {
    /// The number of the record `count` further on.
    pub(crate) fn after(self, count: u32) -> Self {
        Self {
            base: advance(self.base, count),
            ..self
        }
    }
}

/// `base + count`, beginning anew at 0 after the largest number.
fn advance(base: i32, count: u32) -> i32 {
    let sum = i64::from(base) + i64::from(count);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).unwrap_or(0)
}

/// The numbers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    /// Under whose name the partition is written at present.
    pub(crate) producer: Option<Identity>,
    next: i32,
    /// The numbers given out cannot be used any more: begin anew.
    pub(crate) broken: bool,
    /// The broker stored something under this name. Before that it takes any number as the first:
    /// a second batch would overtake a first one that failed.
    pub(crate) confirmed: bool,
}

impl Numbering {
    /// Begins at 0 under `producer`.
    pub(crate) fn restart(&mut self, producer: Identity) {
        *self = Self {
            producer: Some(producer),
            ..Self::default()
        };
    }

    /// The number of the next batch.
    pub(crate) fn take(&mut self, records: u32) -> Option<Sequence> {
        let sequence = Sequence {
            producer: self.producer?,
            base: self.next,
        };
        self.next = advance(self.next, records);
        Some(sequence)
    }
}

/// What is known of the producer's own identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Identification {
    /// To be asked for.
    #[default]
    Unknown,
    /// Asked for.
    Asked,
    /// Given by a broker, the epoch perhaps raised since.
    Known(Identity),
}

impl Identification {
    pub(crate) fn known(self) -> Option<Identity> {
        match self {
            Self::Known(identity) => Some(identity),
            _ => None,
        }
    }

    /// Moves on to the next epoch if `used` is still the present one; another partition may have
    /// done so before. Past the last epoch a new id has to be asked for.
    pub(crate) fn bump(&mut self, used: Identity) {
        if *self == Self::Known(used) {
            *self = match used.epoch.checked_add(1) {
                Some(epoch) => Self::Known(Identity { epoch, ..used }),
                None => Self::Unknown,
            };
        }
    }

    /// Asks for a new id if `used` is still the present one.
    pub(crate) fn forget(&mut self, used: Identity) {
        if *self == Self::Known(used) {
            *self = Self::Unknown;
        }
    }
}

#[cfg(test)]
mod tests;
