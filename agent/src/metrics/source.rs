//! Where the host's figures are read: `/proc` and `/sys`, or where a container has them mounted. Step 2 of
//! the hallway, for metrics.

use std::path::{Path, PathBuf};

/// Folders that hold the host's figures.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// `HOST_PROC`, or `/proc`.
    pub(crate) proc: PathBuf,
    /// `HOST_SYS`, or `/sys`.
    pub(crate) sys: PathBuf,
    /// `HOST_VAR`, or `/var`.
    pub(crate) var: PathBuf,
    /// `HOST_MOUNT_PREFIX`: where the host's root is mounted; taken off the paths that are reported.
    pub(crate) mount_prefix: Option<PathBuf>,
}

impl Source {
    /// The folders that the environment names.
    pub(crate) fn from_env() -> Source {
        let folder = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Source {
            proc: folder("HOST_PROC").unwrap_or_else(|| PathBuf::from("/proc")),
            sys: folder("HOST_SYS").unwrap_or_else(|| PathBuf::from("/sys")),
            var: folder("HOST_VAR").unwrap_or_else(|| PathBuf::from("/var")),
            mount_prefix: folder("HOST_MOUNT_PREFIX"),
        }
    }

    /// The list of mounts: the host's when its `/proc` is given, else ours.
    pub(crate) fn mounts(&self) -> PathBuf {
        let of_init = self.proc.join("1/mounts");
        if self.proc != Path::new("/proc") && of_init.exists() {
            of_init
        } else {
            self.proc.join("self/mounts")
        }
    }
}
