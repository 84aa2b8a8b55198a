//! What the scenarios share: the cluster's address and names that do not meet.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use logway_client::{ClientConfig, ProducerConfig};

mod produce;

/// Longest a step of a scenario may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster to test against; says what is not run when there is none.
pub(crate) fn client(scenario: &str) -> Option<ClientConfig> {
    match std::env::var("LOGWAY_TEST_BOOTSTRAP") {
        Ok(servers) => Some(ClientConfig::new(servers.split(','))),
        Err(_) => {
            println!("NOT RUN: {scenario} (set LOGWAY_TEST_BOOTSTRAP=host:port to run it)");
            None
        }
    }
}

/// A name that no other test and no earlier run uses.
pub(crate) fn fresh(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{name}-{}-{}", now.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A producer's settings for that cluster.
pub(crate) fn producer(client: &ClientConfig) -> ProducerConfig {
    ProducerConfig { client: client.clone(), ..Default::default() }
}
