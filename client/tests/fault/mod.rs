//! The cases, by part.

use std::time::Duration;

mod away;
mod consume;
mod produce;
mod transactions;

/// Longest a case may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
