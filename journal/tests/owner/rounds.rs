//! Rounds of compaction with little memory, so that little data meets every bound.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use logway_journal::sim_disk::SimDisk;
use logway_journal::{
    CleanError, Cleanable, Cleaner, CleanerConfig, CompactConfig, LastRecord, Log, LogConfig,
    Round, RoundInputs,
};

/// A map of keys that holds all that a test has.
pub(crate) const MAP_BYTES: usize = 1 << 16;

/// A cleaner that reads and writes in pieces smaller than most batches.
pub(crate) fn cleaner(map_bytes: usize) -> Cleaner {
    Cleaner::new(CleanerConfig {
        dedupe_buffer_bytes: map_bytes,
        io_buffer_bytes: 300,
        unpacked_bytes_max: 1 << 20,
    })
}

/// A round at time 0 in which tombstones stay for no time.
pub(crate) fn inputs(config: &LogConfig) -> RoundInputs {
    RoundInputs {
        log: config.clone(),
        delete_retention_ms: 0,
        now_ms: 0,
    }
}

/// All that may be compacted of a log that never was.
pub(crate) fn cleanable(log: &Log) -> Cleanable {
    let all = CompactConfig::default();
    let found = log.reader().cleanable(None, log.log_end_offset(), &all, 0);
    found.expect("reads")
}

/// Begins a round without any pause.
pub(crate) fn begin(cleanable: Cleanable, inputs: RoundInputs) -> Result<Round, CleanError> {
    cleaner(MAP_BYTES).begin(cleanable, inputs, &mut |_| ControlFlow::Continue(()))
}

/// Writes the next group and has it take its place; false if there is none.
pub(crate) fn next_swap(
    log: &mut Log,
    round: &mut Round,
    producers: &HashMap<i64, LastRecord>,
) -> Result<bool, CleanError> {
    let pace = &mut |_| ControlFlow::Continue(());
    let Some(replacement) = round.next_group(producers, pace)? else {
        return Ok(false);
    };
    let swapped = log.begin_swap(replacement)?.run()?;
    log.finish_swap(swapped);
    Ok(true)
}

/// Files of unfinished work.
pub(crate) fn leftovers(disk: &SimDisk) -> Vec<PathBuf> {
    let mut files = disk.files();
    files.retain(|path| {
        let name = path.to_string_lossy();
        let endings = [".cleaned", ".swap", ".deleted"];
        endings.iter().any(|ending| name.ends_with(ending))
    });
    files
}
