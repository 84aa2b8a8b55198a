//! The file input's one loop body: outcomes, scan, polls, slices, batches, state. Steps 2 and 4 of the hallway.
//!
//! Called again and again by one thread (or by a test, which then owns time). The source files are the
//! buffer: when the output takes nothing, nothing is read, but scans and polls go on, so that rotated files
//! are held before they vanish.
//!
//! **Invariant:** a line is sent only after its file's id and evidence are in the store; a position in the
//! store moves only on acknowledgements.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use super::discovery::{Patterns, Rejection};
use super::evidence::{FINGERPRINT_BYTES_MAX, Frontier, Home};
use super::frame::{Limits, Line, Pass, read_lines};
use super::lineage::Lineage;
use super::tailed::{Look, Phase, Tailed};
use crate::checkpoint::{FileId, Store};
use crate::output::Output;
use crate::shipper::{Batching, Event, Shipper};
use crate::telemetry::Telemetry;

/// Fresh bytes of one file before the next file has its turn.
const SLICE_BYTES: usize = 256 * 1024;
/// Slices between two looks at outcomes and clock.
const SLICES_PER_STEP: usize = 16;

/// Periods of the file input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) scan_every: Duration,
    /// The wait after a scan is at least this many times what it took, so that scanning stays cheap.
    pub(crate) scan_share: u32,
    pub(crate) close_inactive: Duration,
    /// First and longest wait between two looks at an open file.
    pub(crate) poll_first: Duration,
    pub(crate) poll_last: Duration,
    /// How long a file without a name must be quiet before it is let go.
    pub(crate) leaving_quiet: Duration,
    /// How long a possible copy of a known file is held back, and a lost file waits for its copy.
    pub(crate) copy_hold: Duration,
    /// How often the state is made to survive a power failure.
    pub(crate) sync_every: Duration,
    /// Wait after a refusal before the same lines are sent again.
    pub(crate) resend_after: Duration,
    /// State of a file not seen for this long is dropped.
    pub(crate) forget_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            scan_every: Duration::from_secs(1),
            scan_share: 100,
            close_inactive: Duration::from_mins(5),
            poll_first: Duration::from_millis(100),
            poll_last: Duration::from_millis(250),
            leaving_quiet: Duration::from_secs(10),
            copy_hold: Duration::from_secs(5),
            sync_every: Duration::from_secs(1),
            resend_after: Duration::from_secs(1),
            forget_after: Duration::from_hours(24),
        }
    }
}

/// The instant of a step, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now: Instant,
    /// Milliseconds since 1970.
    pub(crate) wall_ms: u64,
}

/// One input: its patterns and what is done with what they find.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) patterns: Patterns,
    pub(crate) topic: Arc<str>,
    pub(crate) line_bytes_max: usize,
    pub(crate) ignore_older: Option<Duration>,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) inputs: Vec<Input>,
    pub(crate) store: Store,
    pub(crate) output: Box<dyn Output>,
    pub(crate) batching: Batching,
    pub(crate) timing: Timing,
    pub(crate) telemetry: Telemetry,
    pub(crate) host: Arc<str>,
    pub(crate) once: bool,
}

/// What a step leaves to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// When the next step is due; earlier when the output has news.
    pub(crate) next: Instant,
    /// All that `once` asked for is acknowledged.
    pub(crate) finished: bool,
}

/// The state of the file input.
pub(crate) struct Engine {
    pub(super) inputs: Vec<Input>,
    pub(super) store: Store,
    output: Box<dyn Output>,
    pub(super) timing: Timing,
    pub(super) telemetry: Telemetry,
    pub(super) host: Arc<str>,
    pub(super) once: bool,
    pub(super) files: HashMap<FileId, Tailed>,
    /// Files that own their inode, by device and inode.
    pub(super) by_inode: HashMap<(u64, u64), Vec<FileId>>,
    pub(super) ready: VecDeque<FileId>,
    pub(super) lineage: Lineage,
    /// Possible copies: since when, and their size.
    pub(super) held: HashMap<(u64, u64), (Instant, u64)>,
    /// Entries already reported as rejected.
    pub(super) reported: HashSet<(std::path::PathBuf, Rejection)>,
    pub(super) shipper: Shipper,
    buf: Vec<u8>,
    pub(super) scans: u64,
    pub(super) next_scan: Option<Instant>,
    next_sync: Option<Instant>,
    /// Nothing is read until then, after a refusal.
    pub(super) hold_until: Option<Instant>,
    state_failing: bool,
    pub(super) draining: bool,
}

impl Engine {
    pub(crate) fn new(parts: Parts, clock: Clock) -> Engine {
        let mut engine = Engine {
            lineage: Lineage::new(parts.host.clone()),
            inputs: parts.inputs,
            store: parts.store,
            output: parts.output,
            timing: parts.timing,
            telemetry: parts.telemetry,
            host: parts.host,
            once: parts.once,
            files: HashMap::new(),
            by_inode: HashMap::new(),
            ready: VecDeque::new(),
            held: HashMap::new(),
            reported: HashSet::new(),
            shipper: Shipper::new(parts.batching),
            buf: Vec::new(),
            scans: 0,
            next_scan: Some(clock.now),
            next_sync: None,
            hold_until: None,
            state_failing: false,
            draining: false,
        };
        engine.load(clock);
        engine
    }

    /// Does what is to be done at `clock`, a bounded amount of it.
    pub(crate) fn step(&mut self, clock: Clock) -> Step {
        for outcome in self.output.outcomes() {
            self.settle(outcome, clock);
        }
        if !self.draining {
            if self.next_scan.is_some_and(|due| due <= clock.now) {
                self.scan(clock);
            }
            self.poll(clock);
        }
        let blocked = !self.read_slices(clock);
        let nothing_to_read = self.ready.is_empty();
        let all = self.draining || (self.once && nothing_to_read);
        self.shipper.close_due(clock.now, all);
        let blocked = !self.deliver() || blocked;
        self.retire(clock);
        self.save(clock, self.draining && self.shipper.is_idle());
        self.telemetry
            .batches_in_flight
            .set(self.shipper.in_flight() as i64);
        Step {
            next: self.next_step(clock, blocked),
            finished: self.is_finished(),
        }
    }

    /// Reads no more from now on; what is read goes out.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.ready.clear();
    }

    /// Whether everything handed over is acknowledged.
    pub(crate) fn is_drained(&self) -> bool {
        self.shipper.is_idle()
    }

    /// Writes the state for good; the last thing before the end.
    pub(crate) fn close(&mut self, clock: Clock) {
        self.save(clock, true);
    }

    fn is_finished(&self) -> bool {
        let reading = !self.ready.is_empty() || self.files.values().any(|file| file.suspect);
        self.once && self.scans > 0 && !reading && self.shipper.is_idle()
    }

    fn next_step(&self, clock: Clock, blocked: bool) -> Instant {
        if !self.ready.is_empty() && !blocked {
            return clock.now;
        }
        let polls = self
            .files
            .values()
            .filter(|file| file.is_readable() && !file.queued);
        let poll = if self.once {
            None
        } else {
            polls.map(|file| file.next_poll).min()
        };
        let linger = if blocked {
            None
        } else {
            self.shipper.next_due()
        };
        let retry = blocked.then(|| clock.now + self.timing.poll_last);
        let due = [
            self.next_scan,
            poll,
            linger,
            retry,
            self.next_sync,
            self.hold_until,
        ];
        let earliest = due.into_iter().flatten().min();
        // Looks are gathered: a thousand idle files must not wake the thread a thousand times.
        let soonest = clock.now + self.timing.poll_first / 4;
        earliest
            .unwrap_or(clock.now + Duration::from_secs(1))
            .max(soonest)
    }

    /// Reads slices in turn; false when the output or a refusal stands in the way.
    fn read_slices(&mut self, clock: Clock) -> bool {
        if self.hold_until.is_some_and(|until| until > clock.now) {
            return false;
        }
        self.hold_until = None;
        let mut waiting = 0;
        for _ in 0..SLICES_PER_STEP {
            if !self.deliver() {
                return false;
            }
            let Some(id) = self.ready.pop_front() else {
                return true;
            };
            if self.must_wait(id) {
                self.ready.push_back(id);
                waiting += 1;
                if waiting > self.ready.len() {
                    return false;
                }
                continue;
            }
            match self.read_slice(id, clock) {
                Slice::More => self.ready.push_back(id),
                Slice::Done => {
                    if let Some(tailed) = self.files.get_mut(&id) {
                        tailed.queued = false;
                        tailed.poll_every = Duration::ZERO;
                        tailed.next_poll = clock.now + self.timing.poll_first;
                    }
                }
                Slice::NoRoute => {
                    self.ready.push_front(id);
                    return false;
                }
            }
        }
        true
    }

    /// Whether lines of the file before it have to go out first.
    fn must_wait(&mut self, id: FileId) -> bool {
        let Some(tailed) = self.files.get(&id) else {
            return false;
        };
        let before = tailed.before.and_then(|before| self.files.get(&before));
        let wait = before.is_some_and(|before| {
            let has_more = before.queued && before.is_readable();
            has_more && (!tailed.caught_up || before.is_resending())
        });
        if !wait && let Some(tailed) = self.files.get_mut(&id) {
            tailed.caught_up = true;
        }
        wait
    }

    fn read_slice(&mut self, id: FileId, clock: Clock) -> Slice {
        let Some(tailed) = self.files.get_mut(&id) else {
            return Slice::Done;
        };
        if !tailed.is_readable() {
            return Slice::Done;
        }
        let input = &self.inputs[tailed.input];
        if tailed.lane.is_none() {
            let Some(partitions) = self.output.partitions(&input.topic) else {
                return Slice::NoRoute;
            };
            let partition = partition_of(tailed.home, partitions);
            tailed.lane = Some(self.shipper.lane(&input.topic, partition));
        }
        let Some(file) = tailed.file.take() else {
            return Slice::Done;
        };
        let limits = Limits {
            line_bytes_max: input.line_bytes_max,
            slice_bytes: SLICE_BYTES,
            end_is_line: self.once || tailed.ending,
        };
        let passed = self.pass(id, &file, limits, clock);
        let Some(tailed) = self.files.get_mut(&id) else {
            return Slice::Done;
        };
        match passed {
            Ok((pass, look)) => {
                tailed.file = Some(file);
                match pass {
                    Pass::More => return Slice::More,
                    Pass::End => tailed.read_at = Some(look),
                    Pass::Replaced => {
                        tailed.suspect = true;
                        self.next_scan = Some(clock.now);
                    }
                }
            }
            Err(error) => {
                // Closed now, and proven anew when a scan opens it again.
                warn!(path = %tailed.path.display(), %error, "cannot read a file; trying again");
                Telemetry::count(&self.telemetry.files_rejected, "read_failed", 1);
                tailed.phase = Phase::Unproven;
                tailed.read_at = None;
            }
        }
        Slice::Done
    }

    /// Cuts one slice of a file into lines and puts them into batches.
    fn pass(
        &mut self,
        id: FileId,
        file: &std::fs::File,
        limits: Limits,
        clock: Clock,
    ) -> std::io::Result<(Pass, Look)> {
        let tailed = self
            .files
            .get_mut(&id)
            .expect("the caller has just seen it");
        // Looked at before reading: what is written meanwhile makes the next look differ.
        let look = Look::of(&file.metadata()?);
        tailed.size = look.size;
        if tailed.cursor.scanned > look.size {
            tailed.cursor.scanned = tailed.cursor.line_start;
        }
        if tailed.needs_proof() && !tailed.still_holds(file)? {
            return Ok((Pass::Replaced, look));
        }
        let lane = tailed.lane.expect("set before the first pass");
        let (shipper, telemetry) = (&mut self.shipper, &self.telemetry);
        let (acks, stamp) = (&mut tailed.acks, &tailed.stamp);
        let timestamp_ms = i64::try_from(clock.wall_ms).unwrap_or(i64::MAX);
        let started = tailed.cursor.line_start;
        let (mut lines, mut cut) = (0, 0);
        let mut sink = |line: Line<'_>| {
            lines += 1;
            cut += u64::from(line.full_len > line.body.len() as u64);
            let event = Event {
                file: id,
                stamp,
                body: line.body,
                position: line.start,
                full_len: line.full_len,
                timestamp_ms,
                end: line.end,
                tail: line.tail,
            };
            shipper.append(lane, &event, acks, clock.now);
        };
        let pass = read_lines(file, &mut tailed.cursor, &mut self.buf, limits, &mut sink);
        telemetry.lines_read.inc_by(lines);
        telemetry.lines_truncated.inc_by(cut);
        let at = tailed.cursor.line_start;
        telemetry.bytes_read.inc_by(at - started);
        let grown = (at > tailed.fingerprint.len && tailed.fingerprint.len < FINGERPRINT_BYTES_MAX)
            .then(|| tailed.fingerprint.grow(file, at));
        let fingerprint = tailed.fingerprint;
        if at > tailed.sent.offset {
            let sent = Frontier::new(at, &tailed.cursor.tail);
            tailed.sent = sent;
            self.store.progress(id, |known| known.sent = sent);
        }
        if let Some(result) = grown {
            self.store
                .change(id, |known| known.fingerprint = fingerprint);
            result?;
        }
        Ok((pass?, look))
    }

    /// Hands batches over once the store knows what they carry; false when the output is full.
    fn deliver(&mut self) -> bool {
        if !self.shipper.has_waiting() {
            return true;
        }
        let flushed = self.store.flush();
        self.note_state(&flushed);
        self.shipper
            .hand_over(self.output.as_mut(), &self.telemetry)
    }

    /// Writes the state: to the kernel with every change, to the disk every now and then.
    fn save(&mut self, clock: Clock, last: bool) {
        let flushed = if last || self.next_sync.is_some_and(|due| due <= clock.now) {
            self.next_sync = None;
            self.store.sync()
        } else {
            self.store.flush()
        };
        if self.next_sync.is_none() && self.store.is_unsynced() {
            self.next_sync = Some(clock.now + self.timing.sync_every);
        }
        self.note_state(&flushed);
    }

    pub(super) fn note_state(&mut self, result: &std::io::Result<()>) {
        match result {
            Ok(()) => self.state_failing = false,
            Err(error) => {
                self.telemetry.state_errors.inc();
                if !std::mem::replace(&mut self.state_failing, true) {
                    warn!(%error, "cannot write the agent's state; trying again, a crash now would repeat lines");
                }
            }
        }
    }
}

/// How a slice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slice {
    More,
    Done,
    /// The topic's partitions are not known yet.
    NoRoute,
}

/// The partition of all files that came to be in one place: the same as long as the topic has as many.
fn partition_of(home: Home, partitions: i32) -> i32 {
    let count = u64::from(partitions.unsigned_abs().max(1));
    // The hash's low bits alone depend on the path's low bits alone.
    let mixed = home.0 ^ (home.0 >> 32);
    i32::try_from(mixed % count).expect("smaller than a partition count")
}
