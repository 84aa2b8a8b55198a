//! The disk between two runs: what was deleted is really gone, what was written is really out, and a
//! topic's pages are out of memory where a run is to read from disk.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::fs::{Advice, fadvise, statvfs, syncfs};

/// Free space that a run may need.
const FREE_BYTES_MIN: u64 = 12_000_000_000;
/// How long freeing and writing may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Fails if the disk of a folder has too little space for one more run.
pub(crate) fn has_space(folder: &Path, more: u64) -> anyhow::Result<()> {
    let disk = statvfs(folder).context("ask for free space")?;
    let free = disk.f_bavail * disk.f_frsize;
    let needed = FREE_BYTES_MIN + more;
    ensure!(
        free >= needed,
        "{free} bytes are free at {}, {needed} are needed",
        folder.display()
    );
    Ok(())
}

/// Waits until the folders of a deleted topic are gone and the disk is quiet.
pub(crate) fn settle(data: &Path, topic: &str) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    let prefix = format!("{topic}-");
    loop {
        let left = std::fs::read_dir(data).context("list partitions")?;
        // A deleted partition's folder keeps the topic's name and gets `-delete` at its end.
        let left = left
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .count();
        if left == 0 {
            break;
        }
        ensure!(
            Instant::now() < end,
            "{left} folders of the deleted topic {topic} are still there"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    write_out(data)
}

/// Writes out what waits in the page cache for this folder's disk, so that the kernel does not do it
/// during a run.
pub(crate) fn write_out(folder: &Path) -> anyhow::Result<()> {
    syncfs(File::open(folder).context("open the folder")?).context("write the disk's pages out")
}

/// Writes a topic's files out and drops them from the page cache.
pub(crate) fn drop_pages(data: &Path, topic: &str) -> anyhow::Result<()> {
    let prefix = format!("{topic}-");
    for folder in std::fs::read_dir(data).context("list partitions")? {
        let folder = folder.context("list partitions")?;
        if !folder.file_name().to_string_lossy().starts_with(&prefix) {
            continue;
        }
        for file in std::fs::read_dir(folder.path()).context("list segments")? {
            let file = File::open(file.context("list segments")?.path()).context("a segment")?;
            // Pages that are not written yet would stay.
            file.sync_all().context("sync a segment")?;
            fadvise(&file, 0, None, Advice::DontNeed).context("drop a segment's pages")?;
        }
    }
    Ok(())
}
