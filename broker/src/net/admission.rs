//! Who may connect: a bound on all connections and one per address. Invariant: every admitted
//! connection is counted once and uncounted when its [`Admitted`] goes, so the table of addresses is no
//! longer than there are connections. Step 6 of the hallway.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::metadata::LiveSettings;

/// Counts connections and turns away those above a bound.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    live: Arc<LiveSettings>,
    /// Sockets the process may open.
    room: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Admitted {
    shared: Arc<Shared>,
    address: IpAddr,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// `max.connections`, or the process may open no more files.
    Total,
    /// `max.connections.per.ip` or its override.
    Address,
}

impl TurnedAway {
    /// Label value of the `refused` counter.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            TurnedAway::Total => "too_many_connections",
            TurnedAway::Address => "too_many_connections_of_address",
        }
    }
}

impl Admission {
    /// The settings' bounds; `room` is how many sockets the process may open.
    pub(crate) fn new(live: Arc<LiveSettings>, room: usize) -> Admission {
        Admission {
            shared: Arc::new(Shared {
                live,
                room,
                counts: Mutex::default(),
            }),
        }
    }

    /// Takes a place for a connection from `address`.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<Admitted, TurnedAway> {
        let address = address.to_canonical();
        let shared = &self.shared;
        let settings = Arc::clone(&shared.live.get().settings);
        let bound = |count: i32| usize::try_from(count).unwrap_or(0);
        let mut overrides = settings.connection_overrides().into_iter();
        let own_max = overrides.find(|(of, _)| of.to_canonical() == address);
        let own_max = own_max.map_or(settings.max_connections_per_ip, |(_, count)| count);
        let own_max = bound(own_max);
        let total_max = bound(settings.max_connections).min(shared.room);
        let mut counts = shared.counts.lock();
        if counts.total >= total_max {
            return Err(TurnedAway::Total);
        }
        if counts.by_address.get(&address).copied().unwrap_or(0) >= own_max {
            return Err(TurnedAway::Address);
        }
        counts.total += 1;
        *counts.by_address.entry(address).or_default() += 1;
        Ok(Admitted {
            shared: Arc::clone(shared),
            address,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.shared.counts.lock();
        counts.total = counts.total.saturating_sub(1);
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}
