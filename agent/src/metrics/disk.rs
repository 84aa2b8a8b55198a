//! Room on mounted file systems, with Telegraf's `disk` fields and tags. Step 2 of the hallway, for metrics.
//!
//! File systems that hold no data of their own are left out, as in Telegraf's sample configuration; the root
//! is always reported, so that a container shows something.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use procfs::{FromRead, MountEntry, ProcError};

use super::line_protocol::Point;
use super::source::Source;

/// Telegraf's `ignore_fs`.
const IGNORED: [&str; 7] = [
    "tmpfs", "devtmpfs", "devfs", "iso9660", "overlay", "aufs", "squashfs",
];

pub(crate) fn collect(source: &Source) -> Result<Vec<Point>, ProcError> {
    let mounts = Vec::<MountEntry>::from_file(source.mounts())?;
    let mut points = Vec::new();
    let mut seen = HashSet::new();
    // A later mount hides an earlier one at the same place.
    for mount in mounts.iter().rev() {
        let shown = shown_path(source, &mount.fs_file);
        let is_root = shown == Path::new("/");
        let ignored = IGNORED.contains(&mount.fs_vfstype.as_str()) && !is_root;
        if ignored || !seen.insert(shown.clone()) {
            continue;
        }
        points.extend(usage(source, mount, &shown));
    }
    points.reverse();
    Ok(points)
}

/// The mount's path as the host knows it.
fn shown_path(source: &Source, mounted: &str) -> PathBuf {
    let path = Path::new(mounted);
    let Some(prefix) = &source.mount_prefix else {
        return path.to_owned();
    };
    path.strip_prefix(prefix)
        .map_or(path.to_owned(), |rest| Path::new("/").join(rest))
}

fn usage(source: &Source, mount: &MountEntry, shown: &Path) -> Option<Point> {
    let looked_at = match &source.mount_prefix {
        Some(prefix) => prefix.join(shown.strip_prefix("/").unwrap_or(shown)),
        None => shown.to_owned(),
    };
    // A mount that cannot be looked at (another user's FUSE) is left out, as pseudo file systems are.
    let stat = rustix::fs::statvfs(&looked_at)
        .ok()
        .filter(|stat| stat.f_blocks > 0)?;
    let total = stat.f_blocks * stat.f_frsize;
    let free = stat.f_bavail * stat.f_frsize;
    let used = (stat.f_blocks - stat.f_bfree.min(stat.f_blocks)) * stat.f_frsize;
    let inodes_used = stat.f_files - stat.f_ffree.min(stat.f_files);
    let percent = |part: u64, whole: u64| {
        if whole == 0 {
            0.0
        } else {
            100.0 * part as f64 / whole as f64
        }
    };
    let mode = if mount.fs_mntops.contains_key("ro") {
        "ro"
    } else {
        "rw"
    };
    let point = Point::new("disk")
        .tag("path", shown.to_string_lossy())
        .tag("device", mount.fs_spec.replace("/dev/", ""))
        .tag("fstype", mount.fs_vfstype.as_str())
        .tag("mode", mode)
        .field("total", total)
        .field("free", free)
        .field("used", used)
        .float("used_percent", percent(used, used + free))
        .field("inodes_total", stat.f_files)
        .field("inodes_free", stat.f_ffree)
        .field("inodes_used", inodes_used)
        .float("inodes_used_percent", percent(inodes_used, stat.f_files));
    Some(point)
}
