//! Kafka's small text files: a version line, a count line, then one line per entry.
//!
//! Invariant: a file is replaced as a whole, by renaming a finished one over it.
//! Hallway: step 8, beside the segments.
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::DiskError;

/// Suffix of a file that is not finished; removed when found.
pub(crate) const TMP_SUFFIX: &str = ".tmp";
const VERSION: &str = "0";

/// Whether the new content must survive a power failure when the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Yes: the file and its directory are synced.
    Synced,
    /// No: a later sync does that; until then the old or the new content is there after a crash of
    /// the process.
    Later,
}

/// Writes `lines` under a version and a count line.
pub(crate) fn write(
    disk: &dyn Disk,
    path: &Path,
    lines: &[String],
    durability: Durability,
) -> Result<(), DiskError> {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    replace(disk, path, text.as_bytes(), durability)
}

/// Replaces a small file as a whole.
pub(crate) fn replace(
    disk: &dyn Disk,
    path: &Path,
    content: &[u8],
    durability: Durability,
) -> Result<(), DiskError> {
    let tmp = with_suffix(path, TMP_SUFFIX);
    let file = disk.file(&tmp);
    let written = file
        .create()
        .and_then(|()| file.write_at([content, &[]], 0));
    written.map_err(DiskError::of("write", &tmp))?;
    if durability == Durability::Synced {
        file.sync_data().map_err(DiskError::of("sync", &tmp))?;
    }
    file.release();
    disk.rename(&tmp, path)
        .map_err(DiskError::of("replace", path))?;
    if durability == Durability::Synced {
        let dir = path.parent().unwrap_or(path);
        disk.sync_dir(dir).map_err(DiskError::of("sync", dir))?;
    }
    Ok(())
}

/// The entry lines of a file; none if there is no file, or its lines do not follow the format.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Content, DiskError> {
    let bytes = match disk.read_file(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Missing),
        Err(error) => return Err(DiskError::of("read", path)(error)),
    };
    Ok(parse(&bytes).map_or(Content::Damaged, Content::Lines))
}

/// What a checkpoint file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Missing,
    Damaged,
    Lines(Vec<String>),
}

fn parse(bytes: &[u8]) -> Option<Vec<String>> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    if lines.next()? != VERSION {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let entries: Vec<String> = lines.map(str::to_owned).collect();
    (entries.len() == count && bytes.ends_with(b"\n")).then_some(entries)
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
