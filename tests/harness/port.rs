//! Ports for processes that must come back at the same place.
//!
//! Invariant: a port that was given out is given to nobody else while this process lives, and no
//! connection takes it in the meantime. The system gives ports above 32767 to whoever connects or
//! asks for any: one that was free there a moment ago is not kept for a broker that starts, or
//! that was killed and starts again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Mutex;

/// Below what the system gives out by itself, above what services commonly use.
const PORTS: std::ops::Range<u16> = 12_000..32_000;
/// Kafka's controller listens that much above its broker.
const CONTROLLER: u16 = 100;

/// What holds the ports: a port of UDP is none of TCP, but no two processes have the same.
static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// An address of TCP that is free now and stays so, and so does the one a hundred ports above it.
///
/// # Panics
/// When there is none.
pub(crate) fn free_address() -> SocketAddr {
    let mut held = HELD.lock().expect("no test panics in here");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // Somewhere: whoever looks at the same time begins elsewhere.
    let seed = now.expect("after 1970").subsec_nanos() ^ std::process::id().rotate_left(12);
    let count = u32::from(PORTS.end - PORTS.start);
    for step in 0..count {
        let port = PORTS.start + ((seed % count + step) % count) as u16;
        if let (Some(one), Some(other)) = (hold(port), hold(port + CONTROLLER)) {
            held.extend([one, other]);
            return SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        }
    }
    panic!("no free port in {PORTS:?}");
}

/// Takes a port if nobody else has it and nothing listens there.
fn hold(port: u16) -> Option<UdpSocket> {
    let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(held)
}
