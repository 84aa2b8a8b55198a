//! Brings what is known in line with what a scan saw: same, renamed, replaced; the rest is for `newcomers`
//! and `retire`. Step 2 of
//! the hallway.
//!
//! **Invariant:** nothing is given up because a scan did not see it unless the scan saw everything.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tracing::{debug, info, warn};

use super::discovery::{Candidate, Rejection};
use super::engine::{Clock, Engine};
use super::evidence::{Locator, Tail};
use super::tailed::{Look, Phase, Proof, Tailed, open, prove};
use crate::checkpoint::{FileId, FileRecord};
use crate::shipper::Stamp;
use crate::telemetry::Telemetry;

/// How often a file's `seen_ms` is brought up to date.
const SEEN_EVERY_MS: u64 = 3_600_000;

/// A file that no known one stands for.
#[derive(Debug)]
pub(super) struct Stranger {
    pub(super) candidate: Candidate,
    pub(super) input: usize,
    /// Where to begin: not at 0 when a known file's beginning is proven to be acknowledged.
    pub(super) from: (u64, Tail),
}

impl Engine {
    /// Takes over what the store remembers.
    pub(super) fn load(&mut self, clock: Clock) {
        self.lineage.load(self.store.files());
        let records: Vec<FileRecord> = self.store.files().cloned().collect();
        for record in records {
            let stamp = self.stamp(record.id, &record.path);
            let tailed = Tailed::unproven(&record, stamp, clock.now);
            self.own_inode(record.locator, record.id);
            self.files.insert(record.id, tailed);
        }
    }

    pub(super) fn stamp(&self, id: FileId, path: &Path) -> Stamp {
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
        self.lineage.scanned();
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
    pub(super) fn see(&mut self, id: FileId, candidate: &Candidate, input: usize, clock: Clock) {
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
            self.lineage.left(&tailed.path, tailed.home);
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
}
