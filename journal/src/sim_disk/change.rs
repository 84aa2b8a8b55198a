//! Changes to a simulated disk, and which of them a power failure keeps.
//!
//! Invariant: the same seed keeps the same changes.
//! Hallway: stands in for the disk of step 8.
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Bytes that a disk writes as one.
const SECTOR: usize = 512;

/// What a power failure leaves of changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surviving {
    /// Nothing.
    None,
    /// Each change or not, as the seed decides; of a write perhaps only some sectors.
    Some {
        /// Chooses; the same seed makes the same choice.
        seed: u64,
    },
    /// Everything.
    All,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { position: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(usize),
    Dir,
}

/// A change of names below one folder.
#[derive(Debug, Clone)]
pub(super) struct NameChange {
    pub(super) dir: PathBuf,
    pub(super) gone: Vec<PathBuf>,
    pub(super) come: Vec<(PathBuf, Node)>,
}

/// Decides what a crash keeps.
pub(super) struct Choice {
    surviving: Surviving,
    random: u64,
}

impl Choice {
    pub(super) fn new(surviving: Surviving) -> Choice {
        let random = match surviving {
            Surviving::Some { seed } => seed,
            Surviving::None | Surviving::All => 0,
        };
        Choice { surviving, random }
    }

    /// SplitMix64: small, and good enough to choose.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn keeps(&mut self) -> bool {
        match self.surviving {
            Surviving::None => false,
            Surviving::All => true,
            Surviving::Some { .. } => self.next() & 1 == 0,
        }
    }

    pub(super) fn apply(&mut self, content: &mut Vec<u8>, change: &Change) {
        match (self.surviving, change) {
            (Surviving::Some { .. }, Change::Write { position, bytes }) => match self.next() % 4 {
                0 => {}
                1 => self.apply_sectors(content, *position, bytes),
                _ => apply(content, change),
            },
            _ if self.keeps() => apply(content, change),
            _ => {}
        }
    }

    fn apply_sectors(&mut self, content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
        for (at, sector) in bytes.chunks(SECTOR).enumerate() {
            if self.keeps() {
                let change = Change::Write {
                    position: position + at * SECTOR,
                    bytes: sector.to_vec(),
                };
                apply(content, &change);
            }
        }
    }
}

pub(super) fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { position, bytes } => {
            let end = position + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            if let Some(target) = content.get_mut(*position..end) {
                target.copy_from_slice(bytes);
            }
        }
        Change::SetLen(len) => content.resize(*len, 0),
    }
}

pub(super) fn apply_names(names: &mut BTreeMap<PathBuf, Node>, change: &NameChange) {
    for path in &change.gone {
        names.remove(path);
    }
    for (path, node) in &change.come {
        names.insert(path.clone(), *node);
    }
}
