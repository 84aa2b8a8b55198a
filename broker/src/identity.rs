//! Whose data folder this is: Kafka's `meta.properties` with cluster id and node id.
//! Invariant: written once, before anything else is stored; a folder of another node or cluster is
//! refused, never adopted. Beside the hallway.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use logway_config::broker::Broker as Settings;
use thiserror::Error;

use crate::random;

const FILE: &str = "meta.properties";

/// Why the data folder's identity cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder belongs to another node.
    #[error("{} says node.id={found}, the settings say {expected}; use the node's own data_dir", path.display())]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// Node id in the file.
        found: String,
        /// Node id in the settings.
        expected: i32,
    },
    /// The folder belongs to another cluster.
    #[error("{} says cluster.id={found}, the settings say {expected}; remove cluster_id from the settings or use another data_dir", path.display())]
    OtherCluster {
        /// The file.
        path: PathBuf,
        /// Cluster id in the file.
        found: String,
        /// Cluster id in the settings.
        expected: String,
    },
}

/// The cluster id of the data folder; a new folder gets one.
pub(crate) fn cluster_id(settings: &Settings) -> Result<String, IdentityError> {
    let path = settings.data_dir.join(FILE);
    let io = |source| IdentityError::Io {
        path: path.clone(),
        source,
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return create(settings, &path).map_err(io);
        }
        Err(error) => return Err(io(error)),
    };
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim().to_owned())
    };
    if let Some(found) = value("node.id").filter(|id| id.parse() != Ok(settings.node_id)) {
        return Err(IdentityError::OtherNode {
            path,
            found,
            expected: settings.node_id,
        });
    }
    match (value("cluster.id"), &settings.cluster_id) {
        (Some(found), Some(expected)) if found != *expected => {
            let expected = expected.clone();
            Err(IdentityError::OtherCluster {
                path,
                found,
                expected,
            })
        }
        (Some(found), _) => Ok(found),
        (None, _) => create(settings, &path).map_err(io),
    }
}

fn create(settings: &Settings, path: &Path) -> io::Result<String> {
    let cluster = match &settings.cluster_id {
        Some(id) => id.clone(),
        None => random::uuid()?.to_string(),
    };
    let directory = random::uuid()?;
    let node = settings.node_id;
    let text =
        format!("version=1\ncluster.id={cluster}\nnode.id={node}\ndirectory.id={directory}\n");
    let unfinished = path.with_extension("properties.tmp");
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(&settings.data_dir)?.sync_all()?;
    Ok(cluster)
}
