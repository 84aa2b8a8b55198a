//! Which files the patterns name now. Step 2 of the hallway.
//!
//! **Invariant:** a scan that could not see everything says so (`complete` is false): what it did not find
//! may still exist. One inode comes out once, however many names match. Paths are bytes, not text.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use thiserror::Error;
use walkdir::WalkDir;

use super::evidence::Locator;

/// Folders below a `**` are followed this deep, so that a tree that grows for ever ends somewhere.
const DEPTH_MAX: usize = 32;

/// Why a pattern is refused.
#[derive(Debug, Error)]
pub(crate) enum PatternError {
    #[error("input path pattern `{pattern}` is not a valid glob")]
    Glob {
        pattern: String,
        #[source]
        source: globset::Error,
    },
    #[error("input path pattern `{pattern}`: the current folder cannot be read")]
    Base {
        pattern: String,
        #[source]
        source: io::Error,
    },
}

/// A file that a pattern names.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    pub(crate) locator: Locator,
    pub(crate) metadata: Metadata,
}

/// Why an entry was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Rejection {
    /// A FIFO, device or socket.
    NotAFile,
    /// It may not be looked at.
    Denied,
    /// A folder that contains itself by a link.
    Loop,
    /// Anything else.
    Failed,
}

impl Rejection {
    pub(crate) fn of(error: &io::Error) -> Rejection {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Rejection::Denied,
            _ => Rejection::Failed,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Rejection::NotAFile => "not_a_file",
            Rejection::Denied => "denied",
            Rejection::Loop => "loop",
            Rejection::Failed => "failed",
        }
    }
}

/// What a scan saw.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) candidates: Vec<Candidate>,
    /// Entries that match and were not taken.
    pub(crate) rejected: Vec<(PathBuf, Rejection)>,
    /// Whether everything that the patterns can name was seen.
    pub(crate) complete: bool,
}

/// The compiled patterns of one input.
#[derive(Debug)]
pub(crate) struct Patterns {
    includes: Vec<Include>,
    exclude: GlobSet,
}

#[derive(Debug)]
struct Include {
    /// The longest part of the pattern without wildcards.
    base: PathBuf,
    /// The rest; `None` when the pattern is a plain path.
    rest: Option<GlobMatcher>,
    depth_max: usize,
}

impl Patterns {
    /// Compiles the patterns; relative ones are taken from the current folder.
    pub(crate) fn new(paths: &[String], exclude: &[String]) -> Result<Patterns, PatternError> {
        let includes = paths.iter().map(|pattern| Include::new(pattern));
        let mut set = GlobSetBuilder::new();
        for pattern in exclude {
            set.add(glob(pattern, pattern)?);
            if !pattern.contains('/') {
                let anywhere = format!("**/{pattern}");
                set.add(glob(&anywhere, pattern)?);
            }
        }
        let refused = |source| PatternError::Glob {
            pattern: exclude.join(" "),
            source,
        };
        Ok(Patterns {
            includes: includes.collect::<Result<_, _>>()?,
            exclude: set.build().map_err(refused)?,
        })
    }

    /// Looks at the file system.
    pub(crate) fn scan(&self) -> Scan {
        let mut scan = Scan {
            complete: true,
            ..Scan::default()
        };
        let mut seen = HashMap::new();
        for include in &self.includes {
            include.scan(&self.exclude, &mut scan);
        }
        scan.candidates
            .retain(|candidate| seen.insert(candidate.locator.key(), ()).is_none());
        scan
    }
}

fn glob(pattern: &str, shown: &str) -> Result<globset::Glob, PatternError> {
    let mut builder = GlobBuilder::new(pattern);
    let built = builder
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    built.map_err(|source| PatternError::Glob {
        pattern: shown.to_owned(),
        source,
    })
}

impl Include {
    fn new(pattern: &str) -> Result<Include, PatternError> {
        let failed = |source| PatternError::Base {
            pattern: pattern.to_owned(),
            source,
        };
        let wild = |part: &Component<'_>| {
            part.as_os_str()
                .to_string_lossy()
                .contains(['*', '?', '[', '{', '\\'])
        };
        let path = Path::new(pattern);
        let base: PathBuf = path.components().take_while(|part| !wild(part)).collect();
        let rest: PathBuf = path.components().skip_while(|part| !wild(part)).collect();
        let base = std::path::absolute(base_or_here(&base)).map_err(failed)?;
        if rest.as_os_str().is_empty() {
            return Ok(Include {
                base,
                rest: None,
                depth_max: 0,
            });
        }
        let rest = rest.to_string_lossy();
        let depth_max = if rest.contains("**") {
            DEPTH_MAX
        } else {
            rest.matches('/').count() + 1
        };
        let matcher = glob(&rest, pattern)?.compile_matcher();
        Ok(Include {
            base,
            rest: Some(matcher),
            depth_max,
        })
    }

    fn scan(&self, exclude: &GlobSet, scan: &mut Scan) {
        // `..` in the pattern would otherwise stay in every path that people read.
        let base = if self
            .base
            .components()
            .any(|part| part == Component::ParentDir)
        {
            fs::canonicalize(&self.base).unwrap_or_else(|_| self.base.clone())
        } else {
            self.base.clone()
        };
        let Some(rest) = &self.rest else {
            if !exclude.is_match(&base) {
                take(base.clone(), fs::metadata(&base), scan);
            }
            return;
        };
        let walk = WalkDir::new(&base)
            .follow_links(true)
            .min_depth(1)
            .max_depth(self.depth_max);
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => {
                    let path = entry.path();
                    let relative = path.strip_prefix(&base).unwrap_or(path);
                    if rest.is_match(relative) && !exclude.is_match(path) {
                        take(
                            path.to_owned(),
                            entry.metadata().map_err(io::Error::from),
                            scan,
                        );
                    }
                }
                Err(error) => self.note(&error, rest, &base, scan),
            }
        }
    }

    /// Books an error of the walk: a name that vanished or leads nowhere is none.
    fn note(&self, error: &walkdir::Error, rest: &GlobMatcher, base: &Path, scan: &mut Scan) {
        let path = error.path().unwrap_or(base).to_owned();
        if error.loop_ancestor().is_some() {
            scan.rejected.push((path, Rejection::Loop));
            return;
        }
        let kind = error
            .io_error()
            .map_or(io::ErrorKind::Other, io::Error::kind);
        // A base that is gone may be a volume that is not mounted: absence proves nothing then.
        if kind == io::ErrorKind::NotFound && path != base {
            return;
        }
        scan.complete = false;
        let matches = path
            .strip_prefix(base)
            .is_ok_and(|relative| rest.is_match(relative));
        if kind != io::ErrorKind::NotFound || matches {
            let rejection = error.io_error().map_or(Rejection::Failed, Rejection::of);
            scan.rejected.push((path, rejection));
        }
    }
}

fn base_or_here(base: &Path) -> &Path {
    if base.as_os_str().is_empty() {
        Path::new(".")
    } else {
        base
    }
}

fn take(path: PathBuf, metadata: io::Result<Metadata>, scan: &mut Scan) {
    match metadata {
        Ok(metadata) if metadata.is_file() => {
            let locator = Locator::of(&metadata);
            scan.candidates.push(Candidate {
                path,
                locator,
                metadata,
            });
        }
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => scan.rejected.push((path, Rejection::NotAFile)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            scan.complete = false;
            scan.rejected.push((path, Rejection::of(&error)));
        }
    }
}
