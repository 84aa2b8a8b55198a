//! Accepts connections. Invariant: nothing a peer or the system does ends the accept loop but the
//! broker's stop: without file descriptors it waits and tries again. Step 6.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::connection::Connection;
use crate::context::Context;

/// Pause after a failed accept (no descriptors, no memory): the loop must not spin.
const RETRY: Duration = Duration::from_millis(100);

/// A bound socket that is not served yet.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    /// Binds `addr`; port 0 takes a free one.
    pub(crate) async fn bind(addr: SocketAddr) -> io::Result<Listener> {
        let socket = TcpListener::bind(addr).await?;
        let addr = socket.local_addr()?;
        Ok(Listener { socket, addr })
    }

    /// The address that was really bound.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until the context's stop; connections are tasks of `connections`.
    pub(crate) async fn serve(self, context: Arc<Context>, connections: TaskTracker) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = context.stopping.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => admit(&context, &connections, stream, peer),
                Err(error) => {
                    context.metrics.refused("accept_failed");
                    if is_of_one_peer(&error) {
                        debug!("accept connection: {error}");
                    } else {
                        warn!("accept connection: {error}; trying again in {RETRY:?}");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        }
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn admit(context: &Arc<Context>, connections: &TaskTracker, stream: TcpStream, peer: SocketAddr) {
    let admitted = match context.admission.admit(peer.ip()) {
        Ok(admitted) => admitted,
        Err(turned_away) => {
            context.metrics.refused(turned_away.reason());
            debug!(%peer, reason = turned_away.reason(), "connection refused");
            return;
        }
    };
    if let Some(held) = context.quotas.connected(peer.ip()) {
        // Closed later, so that the peer does not come again at once; its place is taken meanwhile.
        context.metrics.refused("too_many_connections_per_second");
        debug!(%peer, ?held, "connection refused by the quota of its address");
        let stopping = context.stopping.clone();
        connections.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(held) => {}
            }
            drop((stream, admitted));
        });
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, "set TCP_NODELAY: {error}");
    }
    context.metrics.connections.inc();
    let task_context = Arc::clone(context);
    connections.spawn(async move {
        let metrics = Arc::clone(&task_context.metrics);
        Connection::new(task_context, stream, peer).run().await;
        metrics.connections.dec();
        drop(admitted);
    });
}
