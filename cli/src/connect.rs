//! From command-line words to the client's settings.

use logway_client::{Admin, ClientConfig};

use crate::args::Cluster;
use crate::failure::Failure;
use crate::profiles;

/// Where a broker is where nothing else is said.
const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

impl Cluster {
    /// Settings of a client for this cluster: what the command line says, else its profile.
    pub(crate) fn client(&self) -> Result<ClientConfig, Failure> {
        let profile = if self.bootstrap.is_empty() {
            profiles::find(self.profile.as_deref())?
        } else {
            None
        };
        let client_id = profile
            .as_ref()
            .and_then(|profile| profile.client_id.clone());
        let bootstrap = match profile {
            Some(profile) => profile.bootstrap,
            None if self.bootstrap.is_empty() => vec![DEFAULT_BOOTSTRAP.to_owned()],
            None => self.bootstrap.clone(),
        };
        Ok(ClientConfig {
            client_id: client_id.unwrap_or_else(|| "logway-cli".to_owned()),
            ..ClientConfig::new(bootstrap)
        })
    }

    /// An administrator of this cluster; connects with its first call.
    pub(crate) fn admin(&self) -> Result<Admin, Failure> {
        Admin::new(self.client()?).map_err(|error| Failure::usage(error.to_string()))
    }
}
