//! Memory and swap, with Telegraf's `mem` fields. Step 2 of the hallway, for metrics.
//!
//! `used` is total minus available, as Telegraf has it since 1.36; `cached` includes reclaimable slab.

use procfs::{FromRead, Meminfo, ProcError};

use super::line_protocol::Point;
use super::source::Source;

pub(crate) fn collect(source: &Source) -> Result<Vec<Point>, ProcError> {
    let mem = Meminfo::from_file(source.proc.join("meminfo"))?;
    let reclaimable = mem.s_reclaimable.unwrap_or(0);
    let cached = mem.cached + reclaimable;
    let available = mem
        .mem_available
        .unwrap_or(mem.mem_free + mem.buffers + cached);
    let used = mem.mem_total.saturating_sub(available);
    let percent = |part: u64| 100.0 * part as f64 / mem.mem_total as f64;
    let point = Point::new("mem")
        .field("total", mem.mem_total)
        .field("available", available)
        .field("used", used)
        .float("used_percent", percent(used))
        .float("available_percent", percent(available))
        .field("active", mem.active)
        .field("buffered", mem.buffers)
        .field("cached", cached)
        .field("commit_limit", mem.commit_limit.unwrap_or(0))
        .field("committed_as", mem.committed_as)
        .field("dirty", mem.dirty)
        .field("free", mem.mem_free)
        .field("high_free", mem.high_free.unwrap_or(0))
        .field("high_total", mem.high_total.unwrap_or(0))
        .field("huge_pages_free", mem.hugepages_free.unwrap_or(0))
        .field("huge_page_size", mem.hugepagesize.unwrap_or(0))
        .field("huge_pages_total", mem.hugepages_total.unwrap_or(0))
        .field("inactive", mem.inactive)
        .field("low_free", mem.low_free.unwrap_or(0))
        .field("low_total", mem.low_total.unwrap_or(0))
        .field("mapped", mem.mapped)
        .field("page_tables", mem.page_tables.unwrap_or(0))
        .field("shared", mem.shmem.unwrap_or(0))
        .field("slab", mem.slab)
        .field("sreclaimable", reclaimable)
        .field("sunreclaim", mem.s_unreclaim.unwrap_or(0))
        .field("swap_cached", mem.swap_cached)
        .field("swap_free", mem.swap_free)
        .field("swap_total", mem.swap_total)
        .field("vmalloc_chunk", mem.vmalloc_chunk)
        .field("vmalloc_total", mem.vmalloc_total)
        .field("vmalloc_used", mem.vmalloc_used)
        .field("write_back_tmp", mem.writeback_tmp.unwrap_or(0))
        .field("write_back", mem.writeback);
    Ok(vec![point])
}
