//! Brings what is known in line with what a scan saw: same, renamed, replaced, copied, new, gone. Step 2 of
//! the hallway.
//!
//! **Invariant:** nothing is given up because a scan did not see it unless the scan saw everything; a new
//! file's id is on disk before a byte of it is read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tracing::{debug, info, warn};

use super::copies::Copies;
use super::discovery::{Candidate, Rejection};
use super::engine::{Clock, Engine};
use super::evidence::{Fingerprint, Frontier, Locator, Tail};
use super::tailed::{Look, Phase, Proof, Tailed, open, prove};
use crate::checkpoint::{FileId, FileRecord};
use crate::shipper::Stamp;
use crate::telemetry::Telemetry;

/// How often a file's `seen_ms` is brought up to date.
const SEEN_EVERY_MS: u64 = 3_600_000;

/// A file that no known one stands for.
#[derive(Debug)]
struct Stranger {
    candidate: Candidate,
    input: usize,
    /// Where to begin: not at 0 when a known file's beginning is proven to be acknowledged.
    from: (u64, Tail),
}

/// A new file, opened.
#[derive(Debug)]
struct Newcomer {
    stranger: Stranger,
    file: File,
    fingerprint: Fingerprint,
    before: Option<FileId>,
}

impl Engine {
    /// Takes over what the store remembers.
    pub(super) fn load(&mut self, clock: Clock) {
        let records: Vec<FileRecord> = self.store.files().cloned().collect();
        for record in records {
            let stamp = self.stamp(record.id, &record.path);
            let tailed = Tailed::unproven(&record, stamp, clock.now);
            self.own_inode(record.locator, record.id);
            self.files.insert(record.id, tailed);
        }
    }

    fn stamp(&self, id: FileId, path: &Path) -> Stamp {
        Stamp {
            origin: id.to_string(),
            path: path.to_string_lossy().into_owned(),
            host: self.host.clone(),
        }
    }

    /// Looks for files and sorts what it finds.
    pub(super) fn scan(&mut self, clock: Clock) {
        let started = Instant::now();
        self.scans += 1;
        let mut complete = true;
        let mut found = Vec::new();
        for (input, settings) in self.inputs.iter().enumerate() {
            let scan = settings.patterns.scan();
            complete &= scan.complete;
            found.extend(
                scan.candidates
                    .into_iter()
                    .map(|candidate| (candidate, input)),
            );
            for (path, rejection) in scan.rejected {
                Telemetry::count(&self.telemetry.files_rejected, rejection.name(), 1);
                if self.reported.len() < 10_000 && self.reported.insert((path.clone(), rejection)) {
                    warn!(path = %path.display(), reason = rejection.name(), "not reading this; trying again");
                }
            }
        }
        let owners = self.owners_of_paths();
        let mut strangers = Vec::new();
        for (candidate, input) in found {
            let recognised = self.recognise(&candidate, input, clock);
            strangers.extend(recognised.map(|from| Stranger {
                candidate,
                input,
                from,
            }));
        }
        self.welcome(strangers, &owners, complete, clock);
        if complete {
            self.miss(clock);
        } else {
            self.telemetry.scans_incomplete.inc();
        }
        let took = started.elapsed();
        let wait = self.timing.scan_every.max(took * self.timing.scan_share);
        self.next_scan = (!self.once).then(|| clock.now + wait);
        self.report(took.as_secs_f64());
    }

    fn report(&self, seconds: f64) {
        let telemetry = &self.telemetry;
        telemetry.scans.inc();
        telemetry.scan_seconds.set(seconds);
        telemetry.files_known.set(self.store.len() as i64);
        telemetry.files_held.set(self.held.len() as i64);
        telemetry.files_open.set(
            self.files
                .values()
                .filter(|file| file.file.is_some())
                .count() as i64,
        );
        let lag: u64 = self.files.values().map(Tailed::lag).sum();
        telemetry
            .lag_bytes
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
    }

    fn owners_of_paths(&self) -> HashMap<PathBuf, FileId> {
        let named = self
            .files
            .values()
            .filter(|file| matches!(file.phase, Phase::Live | Phase::Unproven));
        named.map(|file| (file.path.clone(), file.id)).collect()
    }

    pub(super) fn own_inode(&mut self, locator: Locator, id: FileId) {
        self.by_inode.entry(locator.key()).or_default().push(id);
    }

    pub(super) fn disown_inode(&mut self, id: FileId) {
        let Some(tailed) = self.files.get(&id) else {
            return;
        };
        if let Some(ids) = self.by_inode.get_mut(&tailed.locator.key()) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_inode.remove(&tailed.locator.key());
            }
        }
    }

    /// Finds the known file that a candidate is; `Some` when it is none, with the position to begin at.
    fn recognise(
        &mut self,
        candidate: &Candidate,
        input: usize,
        clock: Clock,
    ) -> Option<(u64, Tail)> {
        let mut from = (0, Tail::default());
        let owners = self
            .by_inode
            .get(&candidate.locator.key())
            .cloned()
            .unwrap_or_default();
        for id in owners {
            match self.check(id, candidate, clock) {
                Ok(Proof::Same(_)) => {
                    self.see(id, candidate, input, clock);
                    return None;
                }
                Ok(Proof::SameUpToAcked(tail)) => {
                    from = (
                        self.store.get(id).map_or(0, |known| known.acked.offset),
                        tail,
                    );
                    self.lose(id, clock);
                }
                Ok(Proof::Other) => self.lose(id, clock),
                Err(error) => {
                    // It is there but cannot be looked at: it stays what it was.
                    self.reject(&candidate.path, &error);
                    if let Some(tailed) = self.files.get_mut(&id) {
                        tailed.scan = self.scans;
                    }
                    return None;
                }
            }
        }
        Some(from)
    }

    /// Compares a candidate with a known file of the same inode.
    fn check(&mut self, id: FileId, candidate: &Candidate, clock: Clock) -> io::Result<Proof> {
        let (Some(tailed), Some(record)) = (self.files.get_mut(&id), self.store.get(id)) else {
            return Ok(Proof::Other);
        };
        if !tailed.locator.matches(candidate.locator) {
            return Ok(Proof::Other);
        }
        let look = Look::of(&candidate.metadata);
        if let Some(file) = &tailed.file {
            let unchanged = !tailed.suspect && tailed.read_at == Some(look);
            if unchanged || tailed.still_holds(file)? {
                return Ok(Proof::Same(tailed.cursor.tail));
            }
            // What was sent and is not acknowledged may be gone while what is acknowledged stands.
            let again =
                tailed.is_resending() && matches!(prove(record, file)?, Proof::SameUpToAcked(_));
            return if again {
                prove(record, file)
            } else {
                Ok(Proof::Other)
            };
        }
        // Closed when idle and unchanged since: still the same without being opened.
        if tailed.phase == Phase::Unproven && tailed.read_at == Some(look) {
            return Ok(Proof::Same(tailed.cursor.tail));
        }
        let file = open(&candidate.path)?;
        if !tailed.locator.matches(Locator::of(&file.metadata()?)) {
            return Err(io::Error::other("replaced during the scan"));
        }
        let proof = prove(record, &file)?;
        if let Proof::Same(tail) = proof {
            tailed.resume(file, tail, clock.now);
            self.enqueue(id, clock);
        }
        Ok(proof)
    }

    /// Books that a known file was seen under a path.
    fn see(&mut self, id: FileId, candidate: &Candidate, input: usize, clock: Clock) {
        let Some(tailed) = self.files.get_mut(&id) else {
            return;
        };
        let first = std::mem::replace(&mut tailed.scan, self.scans) == 0;
        if first {
            tailed.input = input;
        }
        tailed.suspect = false;
        tailed.size = candidate.metadata.len();
        if matches!(tailed.phase, Phase::Leaving { .. }) {
            tailed.phase = Phase::Live;
            tailed.ending = false;
        }
        let renamed = tailed.path != candidate.path;
        if renamed {
            debug!(from = %tailed.path.display(), to = %candidate.path.display(), "file was renamed");
            tailed.path.clone_from(&candidate.path);
        }
        let seen_ms = self.store.get(id).map_or(0, |known| known.seen_ms);
        if renamed || clock.wall_ms.saturating_sub(seen_ms) >= SEEN_EVERY_MS {
            self.store.change(id, |known| {
                known.path.clone_from(&candidate.path);
                known.seen_ms = clock.wall_ms;
            });
        }
        let changed = tailed.read_at != Some(Look::of(&candidate.metadata));
        if changed && !tailed.queued {
            self.enqueue(id, clock);
        }
    }

    /// A known file's inode holds another content.
    pub(super) fn lose(&mut self, id: FileId, clock: Clock) {
        self.disown_inode(id);
        let Some(tailed) = self.files.get_mut(&id) else {
            return;
        };
        info!(path = %tailed.path.display(), origin = %id, position = tailed.cursor.line_start,
            "file was truncated or replaced; what it holds now is a new file");
        self.telemetry.generations.inc();
        tailed.phase = Phase::Lost { since: clock.now };
        tailed.file = None;
        tailed.suspect = false;
    }

    pub(super) fn reject(&mut self, path: &Path, error: &io::Error) {
        let rejection = Rejection::of(error);
        Telemetry::count(&self.telemetry.files_rejected, rejection.name(), 1);
        if self.reported.len() < 10_000 && self.reported.insert((path.to_owned(), rejection)) {
            warn!(path = %path.display(), %error, "cannot read a file; trying again");
        }
    }

    /// Takes in the files that no known one stands for.
    fn welcome(
        &mut self,
        strangers: Vec<Stranger>,
        owners: &HashMap<PathBuf, FileId>,
        complete: bool,
        clock: Clock,
    ) {
        let mut still_held = HashMap::new();
        let mut newcomers = Vec::new();
        let strangers = strangers
            .into_iter()
            .filter(|stranger| self.is_wanted(stranger, clock));
        let strangers: Vec<Stranger> = strangers.collect();
        let copies = (!strangers.is_empty()).then(|| Copies::new(self.files.values()));
        for stranger in strangers {
            let path = stranger.candidate.path.clone();
            let file = match open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.reject(&path, &error);
                    continue;
                }
            };
            let copies = copies.as_ref().expect("made when there are strangers");
            match self.place(&stranger, &file, (copies, complete), clock) {
                Ok(Place::New(fingerprint)) => {
                    let before = owners.get(&path).copied();
                    newcomers.push(Newcomer {
                        stranger,
                        file,
                        fingerprint,
                        before,
                    });
                }
                Ok(Place::Continues(id)) => self.adopt(id, &stranger, file, clock),
                Ok(Place::Held(entry)) => {
                    still_held.insert(stranger.candidate.locator.key(), entry);
                }
                Ok(Place::Changing) => {}
                Err(error) => self.reject(&path, &error),
            }
        }
        self.held = still_held;
        self.begin(newcomers, clock);
    }

    /// Empty files have nothing to know them by yet; old ones may be left alone.
    fn is_wanted(&self, stranger: &Stranger, clock: Clock) -> bool {
        let metadata = &stranger.candidate.metadata;
        let input = &self.inputs[stranger.input];
        let modified_ms = u64::try_from(metadata.mtime()).unwrap_or(0) * 1000;
        let age_ms = u128::from(clock.wall_ms.saturating_sub(modified_ms));
        metadata.len() > 0
            && input
                .ignore_older
                .is_none_or(|limit| age_ms <= limit.as_millis())
    }

    /// Decides what a stranger is.
    fn place(
        &self,
        stranger: &Stranger,
        file: &File,
        (copies, complete): (&Copies, bool),
        clock: Clock,
    ) -> io::Result<Place> {
        let metadata = file.metadata()?;
        let candidate = &stranger.candidate;
        if Locator::of(&metadata) != candidate.locator || metadata.len() == 0 {
            return Ok(Place::Changing);
        }
        if stranger.from.0 == 0 {
            if let Some(id) = self.original_of(copies, candidate, file, complete)? {
                return Ok(Place::Continues(id));
            }
            if !self.once && self.scans > 1 && self.is_copy(copies, candidate, file)? {
                let fresh = (clock.now, metadata.len());
                let known = self
                    .held
                    .get(&candidate.locator.key())
                    .copied()
                    .unwrap_or(fresh);
                let entry = if known.1 == metadata.len() {
                    known
                } else {
                    fresh
                };
                if clock.now.duration_since(entry.0) < self.timing.copy_hold {
                    return Ok(Place::Held(entry));
                }
            }
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.grow(file, metadata.len())?;
        Ok(if fingerprint.len == 0 {
            Place::Changing
        } else {
            Place::New(fingerprint)
        })
    }

    /// The known file that lost its inode and whose content this is, unless more of it is proven to be that
    /// of a file that still has its own.
    fn original_of(
        &self,
        copies: &Copies,
        candidate: &Candidate,
        file: &File,
        complete: bool,
    ) -> io::Result<Option<FileId>> {
        let mut best = None;
        for id in copies.alike(file)? {
            let Some(record) = self.store.get(id) else {
                continue;
            };
            // Of a file of which nothing was sent there is nothing to go on with.
            let proven = record.sent.offset > 0 && matches!(prove(record, file)?, Proof::Same(_));
            let orphan = self.is_orphan(id, candidate, complete);
            best = best.max(proven.then_some((record.sent.offset, orphan, id)));
        }
        Ok(best.and_then(|(_, orphan, id)| orphan.then_some(id)))
    }

    /// Whether a known file has lost its inode, so that a file like it may be its continuation.
    fn is_orphan(&self, id: FileId, candidate: &Candidate, complete: bool) -> bool {
        let Some(tailed) = self.files.get(&id) else {
            return false;
        };
        match tailed.phase {
            Phase::Lost { .. } => true,
            // Not seen at all: moved to another file system, or deleted and written anew with the same
            // beginning. Only much evidence tells which.
            Phase::Unproven if tailed.scan < self.scans && complete => {
                let known_place =
                    tailed.locator.ino == candidate.locator.ino && tailed.path == candidate.path;
                known_place || tailed.sent.offset >= super::evidence::FINGERPRINT_BYTES_MAX
            }
            _ => false,
        }
    }

    /// Whether all of a file stands at the beginning of another that is being read: a rotation by copying may
    /// be on its way.
    fn is_copy(&self, copies: &Copies, candidate: &Candidate, file: &File) -> io::Result<bool> {
        for id in copies
            .alike(file)?
            .into_iter()
            .chain(copies.longer(&candidate.path))
        {
            let Some(tailed) = self.files.get(&id) else {
                continue;
            };
            if tailed.scan == self.scans && Copies::is_prefix(file, tailed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A copy goes on where its original was cut off.
    fn adopt(&mut self, id: FileId, stranger: &Stranger, file: File, clock: Clock) {
        let candidate = &stranger.candidate;
        let Some(tailed) = self.files.get(&id) else {
            return;
        };
        let committed = tailed.acks.committed().0;
        info!(path = %candidate.path.display(), origin = %id, was = %tailed.path.display(),
            "file continues a known one that was truncated or moved");
        self.disown_inode(id);
        self.own_inode(candidate.locator, id);
        let tail = Tail::read(&file, committed).unwrap_or_default();
        let Some(tailed) = self.files.get_mut(&id) else {
            return;
        };
        tailed.locator = candidate.locator;
        tailed.superseded = true;
        tailed.queued = false;
        tailed.resume(file, tail, clock.now);
        self.store
            .change(id, |known| known.locator = candidate.locator);
        self.ready.retain(|other| *other != id);
        self.see(id, candidate, stranger.input, clock);
    }

    /// Gives new files their ids, on disk, and begins to read them.
    fn begin(&mut self, newcomers: Vec<Newcomer>, clock: Clock) {
        if newcomers.is_empty() {
            return;
        }
        let mut begun = Vec::new();
        for Newcomer {
            stranger,
            file,
            fingerprint,
            before,
        } in newcomers
        {
            let id = self.store.fresh_id();
            let (offset, tail) = stranger.from;
            let candidate = stranger.candidate;
            let frontier = Frontier::new(offset, &tail);
            let record = FileRecord {
                id,
                locator: candidate.locator,
                fingerprint,
                acked: frontier,
                sent: frontier,
                seen_ms: clock.wall_ms,
                path: candidate.path.clone(),
            };
            let mut tailed = Tailed::unproven(&record, self.stamp(id, &candidate.path), clock.now);
            self.store.put(record);
            tailed.resume(file, tail, clock.now);
            tailed.input = stranger.input;
            tailed.scan = self.scans;
            tailed.size = candidate.metadata.len();
            tailed.after = before;
            begun.push((tailed, candidate.path, before));
        }
        let synced = self.store.sync();
        self.note_state(&synced);
        for (tailed, path, before) in begun {
            let id = tailed.id;
            if synced.is_err() {
                // Without a durable id its lines could not be recognised after a crash: next scan again.
                self.store.forget(id);
                continue;
            }
            info!(path = %path.display(), origin = %id, "reading a new file");
            self.telemetry.files_started.inc();
            if let Some(before) = before {
                if let Some(old) = self.files.get_mut(&before) {
                    old.superseded = true;
                }
                self.enqueue(before, clock);
            }
            self.own_inode(tailed.locator, id);
            self.files.insert(id, tailed);
            self.enqueue(id, clock);
        }
    }
}

/// What a stranger turned out to be.
#[derive(Debug)]
enum Place {
    New(Fingerprint),
    Continues(FileId),
    Held((Instant, u64)),
    /// It changed during the scan; the next one decides.
    Changing,
}
