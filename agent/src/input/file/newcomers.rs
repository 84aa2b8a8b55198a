//! Files that no known one stands for: the continuation of a known one, perhaps a copy, or new. Step 2 of the
//! hallway.
//!
//! **Invariant:** a line too many is better than one too few: what is not proven to be a copy is read in the
//! end. A new file's id is on disk before a byte of it is read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

use tracing::info;

use super::copies::Copies;
use super::discovery::Candidate;
use super::engine::{Clock, Engine};
use super::evidence::{FINGERPRINT_BYTES_MAX, Fingerprint, Frontier, Home, Locator, Tail};
use super::scan::Stranger;
use super::tailed::{Phase, Proof, Tailed, open, prove};
use crate::checkpoint::{FileId, FileRecord};

/// A new file, opened.
#[derive(Debug)]
struct Newcomer {
    stranger: Stranger,
    file: File,
    fingerprint: Fingerprint,
    home: Home,
    /// The known file that had its path until now.
    owner: Option<FileId>,
}

impl Engine {
    /// Takes in the files that no known one stands for.
    pub(super) fn welcome(
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
                    newcomers.push(Newcomer {
                        stranger,
                        file,
                        fingerprint,
                        home: self.lineage.home_of(&path),
                        owner: owners.get(&path).copied(),
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
                known_place || tailed.sent.offset >= FINGERPRINT_BYTES_MAX
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

    /// The order in which new files of one home came to be: those rotated away first, the oldest first.
    fn age_in_its_home(&self, newcomer: &Newcomer) -> (bool, i64, i64) {
        let Candidate { path, metadata, .. } = &newcomer.stranger.candidate;
        if self.lineage.is_at_home(path, newcomer.home) {
            (true, 0, 0)
        } else {
            (false, metadata.mtime(), metadata.mtime_nsec())
        }
    }

    /// Gives new files their ids, on disk, and begins to read them.
    fn begin(&mut self, mut newcomers: Vec<Newcomer>, clock: Clock) {
        if newcomers.is_empty() {
            return;
        }
        newcomers.sort_by_key(|newcomer| self.age_in_its_home(newcomer));
        let mut begun = Vec::new();
        for Newcomer {
            stranger,
            file,
            fingerprint,
            home,
            owner,
        } in newcomers
        {
            let id = self.store.fresh_id();
            let before = self.lineage.follow(home, id).or(owner);
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
                home,
                before,
            };
            let mut tailed = Tailed::unproven(&record, self.stamp(id, &candidate.path), clock.now);
            self.store.put(record);
            tailed.resume(file, tail, clock.now);
            tailed.input = stranger.input;
            tailed.scan = self.scans;
            tailed.size = candidate.metadata.len();
            begun.push((tailed, candidate.path, before));
        }
        let synced = self.store.sync();
        self.note_state(&synced);
        for (tailed, path, before) in begun {
            let id = tailed.id;
            if synced.is_err() {
                // Without a durable id its lines could not be recognised after a crash: next scan again.
                self.store.forget(id);
                self.lineage.load(self.store.files());
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
