//! From command-line words to the client's settings.

use logway_client::{Admin, ClientConfig};

use crate::args::Cluster;
use crate::failure::Failure;

impl Cluster {
    /// Settings of a client for this cluster.
    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig {
            client_id: "logway-cli".to_owned(),
            ..ClientConfig::new(self.bootstrap.iter().cloned())
        }
    }

    /// An administrator of this cluster; connects with its first call.
    pub(crate) fn admin(&self) -> Result<Admin, Failure> {
        Admin::new(self.client()).map_err(|error| Failure::usage(error.to_string()))
    }
}
