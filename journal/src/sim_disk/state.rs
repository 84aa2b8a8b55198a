//! What a simulated disk holds: what processes see, what is durable, and what lies between.
//!
//! Invariant: applying all pending changes to the durable side gives what processes see.
//! Hallway: stands in for the disk of step 8.
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::change::{Change, Choice, NameChange, Node, Surviving, apply, apply_names};
use crate::disk::DirEntry;

/// Which operations a [`Fault`] hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Every changing one.
    Any,
    /// Writes and resizes of files.
    Write,
    /// Syncs of files and folders.
    Sync,
    /// Creations, renames and removals.
    Directory,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No room: half of a write is made. Removals and cuts still work.
    DiskFull,
    /// A broken device: nothing of the operation is made; a sync loses what it should have kept.
    Broken,
    /// The power is gone: nothing happens any more, and [`super::SimDisk::crash`] shows what is left.
    Halted,
}

/// Operations that fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Which ones.
    pub operation: Operation,
    /// How.
    pub kind: FaultKind,
    /// How many of them succeed before.
    pub after: u64,
    /// How many fail; `u64::MAX` = all from then on.
    pub times: u64,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    inodes: Vec<Inode>,
    seen: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    pending: Vec<NameChange>,
    faults: Vec<Fault>,
    operations: u64,
}

impl State {
    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let files = self.seen.iter();
        let files = files.filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let inode = self.inode(path).ok()?;
        self.inodes.get(inode).map(|inode| inode.seen.clone())
    }

    pub(super) fn put(&mut self, path: &Path, content: Vec<u8>) {
        for dir in path.ancestors().skip(1) {
            self.seen.insert(dir.to_path_buf(), Node::Dir);
            self.durable.insert(dir.to_path_buf(), Node::Dir);
        }
        let node = Node::File(self.inodes.len());
        self.inodes.push(Inode {
            seen: content.clone(),
            durable: content,
            pending: Vec::new(),
        });
        self.seen.insert(path.to_path_buf(), node);
        self.durable.insert(path.to_path_buf(), node);
    }

    /// Counts a changing operation and says how it fails, if it does.
    fn count(&mut self, operation: Operation) -> Option<FaultKind> {
        self.operations += 1;
        let mut kind = None;
        for fault in &mut self.faults {
            // A full disk fails syncs only where that is asked for: its errors belong to the writes.
            let full_sync = fault.kind == FaultKind::DiskFull && operation == Operation::Sync;
            let any = fault.operation == Operation::Any && !full_sync;
            let hit = any || fault.operation == operation;
            if !hit || fault.times == 0 {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else {
                fault.times -= u64::from(fault.times < u64::MAX);
                kind = Some(fault.kind);
            }
        }
        kind
    }

    fn fail(&mut self, operation: Operation) -> io::Result<()> {
        match self.count(operation) {
            Some(kind) => Err(error(kind)),
            None => Ok(()),
        }
    }

    /// As [`State::fail`], for operations that a full disk still does.
    fn fail_unless_full(&mut self, operation: Operation) -> io::Result<()> {
        match self.count(operation) {
            None | Some(FaultKind::DiskFull) => Ok(()),
            Some(kind) => Err(error(kind)),
        }
    }

    pub(super) fn inode(&self, path: &Path) -> io::Result<usize> {
        match self.seen.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn inode_mut(&mut self, path: &Path) -> io::Result<&mut Inode> {
        let inode = self.inode(path)?;
        let inode = self.inodes.get_mut(inode);
        inode.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change_names(&mut self, change: NameChange) {
        apply_names(&mut self.seen, &change);
        self.pending.push(change);
    }

    pub(super) fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(path == Path::new("/") || self.seen.contains_key(path))
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        if !self.exists(dir)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        let below = self
            .seen
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, node): (&PathBuf, &Node)| {
            let name = path.file_name()?.to_str()?.to_owned();
            let len = match node {
                Node::File(inode) => self.inodes.get(*inode)?.seen.len() as u64,
                Node::Dir => 0,
            };
            let is_dir = *node == Node::Dir;
            Some(DirEntry { name, len, is_dir })
        };
        Ok(below.filter_map(entry).collect())
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        self.fail(Operation::Directory)?;
        let dir = self.parent(path)?;
        if self.seen.contains_key(path) {
            return Ok(());
        }
        let come = vec![(path.to_path_buf(), Node::Dir)];
        self.change_names(NameChange {
            dir,
            gone: Vec::new(),
            come,
        });
        Ok(())
    }

    fn parent(&self, path: &Path) -> io::Result<PathBuf> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        if self.exists(parent)? {
            Ok(parent.to_path_buf())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<()> {
        self.fail(Operation::Directory)?;
        if self.inode(path).is_ok() {
            let inode = self.inode_mut(path)?;
            inode.seen.clear();
            inode.pending.push(Change::SetLen(0));
            return Ok(());
        }
        let dir = self.parent(path)?;
        let come = vec![(path.to_path_buf(), Node::File(self.inodes.len()))];
        self.inodes.push(Inode::default());
        self.change_names(NameChange {
            dir,
            gone: Vec::new(),
            come,
        });
        Ok(())
    }

    pub(super) fn write(&mut self, path: &Path, position: u64, bytes: &[u8]) -> io::Result<()> {
        let fault = self.count(Operation::Write);
        let len = match fault {
            None => bytes.len(),
            Some(FaultKind::DiskFull) => bytes.len() / 2,
            Some(FaultKind::Broken | FaultKind::Halted) => 0,
        };
        let change = Change::Write {
            position: position as usize,
            bytes: bytes.iter().copied().take(len).collect(),
        };
        let inode = self.inode_mut(path)?;
        if len > 0 {
            apply(&mut inode.seen, &change);
            inode.pending.push(change);
        }
        fault.map_or(Ok(()), |kind| Err(error(kind)))
    }

    pub(super) fn set_len(&mut self, path: &Path, len: u64) -> io::Result<()> {
        self.fail_unless_full(Operation::Write)?;
        let inode = self.inode_mut(path)?;
        let change = Change::SetLen(len as usize);
        apply(&mut inode.seen, &change);
        inode.pending.push(change);
        Ok(())
    }

    pub(super) fn sync_data(&mut self, inode: io::Result<usize>) -> io::Result<()> {
        let failed = self.count(Operation::Sync);
        if failed == Some(FaultKind::Halted) {
            return Err(error(FaultKind::Halted));
        }
        let inode = self.inodes.get_mut(inode?).ok_or(io::ErrorKind::NotFound)?;
        inode.pending.clear();
        if let Some(kind) = failed {
            // The system has dropped the pages: the next sync would succeed and keep nothing.
            return Err(error(kind));
        }
        inode.durable.clone_from(&inode.seen);
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.fail(Operation::Sync)?;
        let (synced, rest) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|change| change.dir == dir);
        self.pending = rest;
        let synced: Vec<NameChange> = synced;
        for change in &synced {
            apply_names(&mut self.durable, change);
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.fail(Operation::Directory)?;
        let dir = self.parent(to)?;
        let moved = self.seen.iter().filter_map(|(path, node)| {
            let rest = path.strip_prefix(from).ok()?;
            let target = if rest.as_os_str().is_empty() {
                to.to_path_buf()
            } else {
                to.join(rest)
            };
            Some((path.clone(), (target, *node)))
        });
        let (gone, come): (Vec<_>, Vec<_>) = moved.unzip();
        if gone.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change_names(NameChange { dir, gone, come });
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.fail_unless_full(Operation::Directory)?;
        self.inode(path)?;
        let dir = self.parent(path)?;
        let gone = vec![path.to_path_buf()];
        self.change_names(NameChange {
            dir,
            gone,
            come: Vec::new(),
        });
        Ok(())
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        self.fail(Operation::Directory)?;
        let dir = self.parent(path)?;
        let below = self.seen.keys().filter(|name| name.starts_with(path));
        let gone: Vec<PathBuf> = below.cloned().collect();
        self.change_names(NameChange {
            dir,
            gone,
            come: Vec::new(),
        });
        Ok(())
    }

    pub(super) fn read(
        &self,
        inode: usize,
        out: &mut Vec<u8>,
        position: u64,
        len: usize,
    ) -> io::Result<usize> {
        let inode = self.inodes.get(inode).ok_or(io::ErrorKind::NotFound)?;
        let bytes = inode.seen.get(position as usize..).unwrap_or_default();
        let bytes = bytes.get(..len).unwrap_or(bytes);
        out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    pub(super) fn len_of(&self, inode: usize) -> io::Result<u64> {
        let inode = self.inodes.get(inode).ok_or(io::ErrorKind::NotFound)?;
        Ok(inode.seen.len() as u64)
    }

    pub(super) fn after_kill(&self) -> State {
        State {
            inodes: self.inodes.clone(),
            seen: self.seen.clone(),
            durable: self.durable.clone(),
            pending: self.pending.clone(),
            ..State::default()
        }
    }

    pub(super) fn after_crash(&self, surviving: Surviving) -> State {
        let mut choice = Choice::new(surviving);
        let mut names = self.durable.clone();
        for change in self.pending.iter().filter(|_| choice.keeps()) {
            apply_names(&mut names, change);
        }
        let inodes = self.inodes.iter().map(|inode| {
            let mut content = inode.durable.clone();
            for change in &inode.pending {
                choice.apply(&mut content, change);
            }
            Inode {
                seen: content.clone(),
                durable: content,
                pending: Vec::new(),
            }
        });
        let inodes = inodes.collect();
        // What lies in a folder that was lost is lost.
        let is_reachable = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            above.all(|dir| dir == Path::new("/") || names.contains_key(dir))
        };
        let reachable = names.iter().filter(|(path, _)| is_reachable(path));
        let seen: BTreeMap<PathBuf, Node> = reachable.map(|(p, n)| (p.clone(), *n)).collect();
        State {
            inodes,
            durable: seen.clone(),
            seen,
            ..State::default()
        }
    }
}

fn error(kind: FaultKind) -> io::Error {
    match kind {
        FaultKind::DiskFull => io::ErrorKind::StorageFull.into(),
        FaultKind::Broken => io::Error::other("injected: the device is broken"),
        FaultKind::Halted => io::Error::other("injected: the power is gone"),
    }
}
