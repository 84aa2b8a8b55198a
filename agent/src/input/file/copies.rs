//! Which known files a new one may be a copy of. Step 2 of the hallway.
//!
//! **Invariant:** only names suspects, cheaply: one pass over a file's first bytes whatever the number of
//! known files. The proof is elsewhere.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::evidence::{FINGERPRINT_BYTES_MAX, Fingerprint, fill};
use super::tailed::{Tailed, open};
use crate::checkpoint::FileId;

/// Places at which a possible copy is compared with its original.
const SAMPLE_BYTES: usize = 256;
/// Suspects that are looked at for one file.
const SUSPECTS_MAX: usize = 64;

/// Known files by fingerprint and by folder.
#[derive(Debug)]
pub(super) struct Copies {
    by_fingerprint: HashMap<Fingerprint, Vec<FileId>>,
    by_folder: HashMap<PathBuf, Vec<FileId>>,
    lengths: BTreeSet<u64>,
}

impl Copies {
    pub(super) fn new<'a>(known: impl Iterator<Item = &'a Tailed>) -> Copies {
        let mut copies = Copies {
            by_fingerprint: HashMap::new(),
            by_folder: HashMap::new(),
            lengths: BTreeSet::new(),
        };
        for tailed in known.filter(|tailed| tailed.fingerprint.len > 0) {
            copies.lengths.insert(tailed.fingerprint.len);
            copies
                .by_fingerprint
                .entry(tailed.fingerprint)
                .or_default()
                .push(tailed.id);
            let folder = tailed.path.parent().unwrap_or(Path::new("")).to_owned();
            copies.by_folder.entry(folder).or_default().push(tailed.id);
        }
        copies
    }

    /// Known files that begin like `file` as far as their fingerprints reach.
    pub(super) fn alike(&self, file: &File) -> io::Result<Vec<FileId>> {
        let mut beginning = [0; FINGERPRINT_BYTES_MAX as usize];
        let filled = fill(file, &mut beginning, 0)?;
        let (mut seen, mut found) = (Fingerprint::default(), Vec::new());
        for length in self.lengths.range(..=filled as u64) {
            seen.extend(&beginning[seen.len as usize..*length as usize]);
            found.extend(
                self.by_fingerprint
                    .get(&seen)
                    .into_iter()
                    .flatten()
                    .copied(),
            );
        }
        found.truncate(SUSPECTS_MAX);
        Ok(found)
    }

    /// Known files in the folder of `path`: a copy in the making may still be shorter than a fingerprint.
    pub(super) fn longer(&self, path: &Path) -> Vec<FileId> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let ids = self.by_folder.get(folder).into_iter().flatten();
        ids.copied().take(SUSPECTS_MAX).collect()
    }

    /// Whether all of `file` stands at the beginning of a known one, as far as samples tell.
    pub(super) fn is_prefix(file: &File, known: &Tailed) -> io::Result<bool> {
        let reopened;
        let original = match &known.file {
            Some(original) => original,
            None => match open(&known.path) {
                Ok(opened) => {
                    reopened = opened;
                    &reopened
                }
                Err(_) => return Ok(false),
            },
        };
        let size = file.metadata()?.len();
        if size == 0 || original.metadata()?.len() < size {
            return Ok(false);
        }
        let last = size.saturating_sub(SAMPLE_BYTES as u64);
        for at in [0, size / 4, size / 2, last] {
            let (mut here, mut there) = ([0; SAMPLE_BYTES], [0; SAMPLE_BYTES]);
            let wanted = (size - at).min(SAMPLE_BYTES as u64) as usize;
            let read = fill(file, &mut here[..wanted], at)?;
            if fill(original, &mut there[..read], at)? < read || here != there {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
