//! Profiles: clusters under names, in the user's configuration folder.
//!
//! Invariant: a file that is missing is no profile; one that cannot be read is an error that names it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::failure::Failure;

/// Where the brokers of a cluster are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Brokers to ask first, `host:port` each.
    pub(crate) bootstrap: Vec<String>,
    /// The client id that brokers see.
    pub(crate) client_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The profile that is used where none is named.
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// The profile of that name, or the default one, if there is one.
pub(crate) fn find(name: Option<&str>) -> Result<Option<Profile>, Failure> {
    let Some(path) = path() else {
        return Ok(None);
    };
    let place = path.display();
    let file: File = match std::fs::read_to_string(&path) {
        Ok(text) => {
            toml::from_str(&text).map_err(|error| Failure::settings(format!("{place}: {error}")))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
        Err(error) => return Err(Failure::settings(format!("read {place}: {error}"))),
    };
    let Some(name) = name.or(file.default.as_deref()) else {
        return Ok(None);
    };
    match file.profiles.get(name) {
        Some(profile) => Ok(Some(profile.clone())),
        None => Err(Failure::settings(format!(
            "{place} has no profile `{name}`: write [profiles.{name}] with bootstrap = [\"host:port\"]"
        ))),
    }
}

/// `LOGWAY_CLI_CONFIG`, or `logway/cli.toml` in the user's configuration folder.
fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LOGWAY_CLI_CONFIG") {
        return Some(path.into());
    }
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    Some(folder.or_else(home)?.join("logway/cli.toml"))
}
