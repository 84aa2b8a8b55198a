//! From a tool's command line to an administrator of the cluster.
//!
//! Invariant: nothing is connected here; the first call of the administrator does it.

use logway_client::Admin;

use super::exception::Exception;
use super::options::{Opt, Parsed, value};
use super::output::err;
use super::properties::{self, Properties};

/// Options that say where the cluster is.
pub(super) const CLUSTER: [Opt; 3] = [
    value(
        "bootstrap-server",
        "Brokers to ask first: host:port, several with commas.",
    ),
    value(
        "command-config",
        "File of client settings, name=value per line.",
    ),
    value(
        "zookeeper",
        "The option of old: its hosts are taken as --bootstrap-server.",
    ),
];

/// The brokers that the command line names: `--bootstrap-server`, or what it was once called.
pub(super) fn bootstrap(parsed: &Parsed) -> Option<String> {
    if let Some(named) = parsed.get("bootstrap-server") {
        return Some(named.to_owned());
    }
    if let Some(hosts) = parsed.get("zookeeper") {
        err(
            "--zookeeper was replaced by --bootstrap-server: brokers are asked at its hosts, paths are left out",
        );
        let hosts = hosts.split('/').next().unwrap_or(hosts);
        return Some(hosts.to_owned());
    }
    None
}

/// The client settings that the command line names.
///
/// # Errors
/// Their file cannot be read.
pub(super) fn settings(parsed: &Parsed) -> Result<Properties, Exception> {
    parsed
        .get("command-config")
        .map_or_else(|| Ok(Properties::new()), properties::read)
}

/// An administrator of the cluster at these addresses.
///
/// # Errors
/// An address or a setting cannot be used.
pub(super) fn admin(bootstrap: &str, parsed: &Parsed) -> Result<Admin, Exception> {
    let created = |error: String| Exception::new("org.apache.kafka.common.KafkaException", error);
    let config = properties::client(bootstrap, &settings(parsed)?, "adminclient-1")?;
    Admin::new(config).map_err(|error| created(error.to_string()))
}
