//! What the suites share: processes that are waited for by what they say, ports, HTTP, the store.

pub mod http;
mod port;
pub mod process;
pub mod store;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything here may take before a test gives up; far beyond what a healthy run needs,
/// on a machine that is busy with other things too.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// An address for a process that must come back at the same place; see `port`.
///
/// # Panics
/// When there is none.
pub fn free_address() -> std::net::SocketAddr {
    port::free_address()
}

/// A binary of the workspace, built by `cargo test --workspace` beside this test.
///
/// # Panics
/// When it is not there, with what to run.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/<profile>/deps");
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run the suite with `cargo test --workspace`, which builds it",
        path.display()
    );
    path
}

/// Looks again and again until `look` finds something; the pause between two looks is no
/// synchronization, only politeness.
///
/// # Panics
/// After [`DEADLINE`], with what was waited for and what was last seen.
pub fn eventually<T, S: std::fmt::Debug>(what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() > end => panic!("waited for {what}; last seen: {seen:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
