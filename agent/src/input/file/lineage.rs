//! Which files follow each other as one log: those that came to be in the same place. Step 2 of the hallway.
//!
//! A rotated file's last lines must be stored before its successor's first ones, over restarts and refusals
//! too. So each file knows the one before it, on disk, and all files of one home go to one partition.
//!
//! **Invariant:** the file before one is always older than it, so nobody waits in a circle.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::evidence::Home;
use crate::checkpoint::{FileId, FileRecord};

/// The newest file of each home, and what has left its home since the last scan.
#[derive(Debug)]
pub(super) struct Lineage {
    host: Arc<str>,
    newest: HashMap<Home, FileId>,
    vacated: Vec<PathBuf>,
}

impl Lineage {
    pub(super) fn new(host: Arc<str>) -> Lineage {
        Lineage {
            host,
            newest: HashMap::new(),
            vacated: Vec::new(),
        }
    }

    /// Takes over what the store remembers.
    pub(super) fn load<'a>(&mut self, records: impl Iterator<Item = &'a FileRecord> + Clone) {
        let followed: HashSet<FileId> = records.clone().filter_map(|file| file.before).collect();
        let newest = records.filter(|file| !followed.contains(&file.id));
        self.newest = newest.map(|file| (file.home, file.id)).collect();
    }

    /// A known file has another name now than `path`.
    pub(super) fn left(&mut self, path: &Path, home: Home) {
        // What is renamed again, from `.1` to `.2`, left its home before.
        if Home::of(&self.host, path) == home {
            self.vacated.push(path.to_owned());
        }
    }

    /// The home of a new file at `path`. A file that was rotated away before any scan saw it is at home where
    /// it came from, as far as its name tells.
    pub(super) fn home_of(&self, path: &Path) -> Home {
        let home = Home::of(&self.host, path);
        if self.newest.contains_key(&home) {
            return home;
        }
        let mut origins = self.vacated.iter();
        origins
            .find(|origin| is_rotated_name(path, origin))
            .map_or(home, |origin| Home::of(&self.host, origin))
    }

    /// Whether a file at `path` is where it came to be.
    pub(super) fn is_at_home(&self, path: &Path, home: Home) -> bool {
        Home::of(&self.host, path) == home
    }

    /// Puts a new file behind the newest of its home; gives that one.
    pub(super) fn follow(&mut self, home: Home, id: FileId) -> Option<FileId> {
        self.newest.insert(home, id)
    }

    /// Forgets a file.
    pub(super) fn forget(&mut self, home: Home, id: FileId) {
        if self.newest.get(&home) == Some(&id) {
            self.newest.remove(&home);
        }
    }

    /// The next scan begins.
    pub(super) fn scanned(&mut self) {
        self.vacated.clear();
    }
}

/// Whether `path` may be what a rotation made of `origin`: in the same folder, its name the other's with a
/// number or a date behind it or before the extension (`app.log.1`, `app-2026-11-25.log`).
fn is_rotated_name(path: &Path, origin: &Path) -> bool {
    let rest = |path: &Path| -> Option<String> {
        let (name, stem) = (path.file_name()?.to_str()?, origin.file_stem()?.to_str()?);
        name.strip_prefix(stem).map(str::to_owned)
    };
    path.parent() == origin.parent()
        && path != origin
        && rest(path).is_some_and(|rest| {
            let separated = rest.starts_with(|first: char| !first.is_alphanumeric());
            separated && rest.contains(|digit: char| digit.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotations_give() {
        let origin = Path::new("/var/log/app.log");
        for rotated in [
            "/var/log/app.log.1",
            "/var/log/app.log-20261125",
            "/var/log/app-2026-11-25.log",
            "/var/log/app.2026-11-25.0.log",
            "/var/log/app_7.log",
        ] {
            assert!(is_rotated_name(Path::new(rotated), origin), "{rotated}");
        }
        for other in [
            "/var/log/app.log",
            "/var/log/app2.log",
            "/var/log/app.err",
            "/var/log/application.log.1",
            "/var/log/old/app.log.1",
            "/var/log/web.log.1",
        ] {
            assert!(!is_rotated_name(Path::new(other), origin), "{other}");
        }
    }
}
