//! Power failures of the simulated disk: when they come and what they leave.

use logway_journal::sim_disk::{Fault, FaultKind, Operation, SimDisk, Surviving};

/// Cuts the power after so many changing operations more.
pub(crate) fn halt(disk: &SimDisk, after: u64) {
    disk.inject(Fault {
        operation: Operation::Any,
        kind: FaultKind::Halted,
        after,
        times: u64::MAX,
    });
}

/// What a power failure may leave: nothing, everything, and so many mixtures.
pub(crate) fn survivals(mixtures: u64) -> impl Iterator<Item = Surviving> {
    let mixtures = (0..mixtures).map(|seed| Surviving::Some { seed });
    [Surviving::None, Surviving::All]
        .into_iter()
        .chain(mixtures)
}

/// One of them for a random number.
pub(crate) fn survival(seed: u64) -> Surviving {
    match seed % 5 {
        0 => Surviving::None,
        1 => Surviving::All,
        _ => Surviving::Some { seed },
    }
}

/// How many times the usual number of random histories to try.
pub(crate) fn depth() -> u32 {
    let depth = std::env::var("LOGWAY_TEST_DEPTH").ok();
    depth.and_then(|depth| depth.parse().ok()).unwrap_or(1)
}
