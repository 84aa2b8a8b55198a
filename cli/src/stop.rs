//! Signals that ask the process to end.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// What an ordered shutdown may take before the process ends anyway.
pub(crate) const DEADLINE: Duration = Duration::from_secs(9);

/// Resolves at the first SIGINT or SIGTERM.
pub(crate) struct StopSignal {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl StopSignal {
    /// Takes over the signals; from here on they end nothing by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let take =
            |kind| signal(kind).map_err(|error| Failure::failed(error, "listen for signals"));
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
        })
    }

    /// Waits for one.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
