//! Reading what is in memory, and bringing there what is not.
//!
//! Invariant: `read_resident` never waits for a disk; `warm` does, and belongs on a thread that may.
//! Where the system cannot tell, bytes count as resident.
//! Hallway: the journal's part of step 10.
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};

use crate::disk::FileHandle;

/// How a search reads files: whether it may wait for a disk, and whether it would have had to.
#[derive(Debug, Default)]
pub(crate) struct Access {
    memory_only: bool,
    missed: bool,
}

impl Access {
    /// Reads only what is in memory.
    pub(crate) fn memory_only() -> Access {
        Access {
            memory_only: true,
            missed: false,
        }
    }

    /// A read was refused: what the search found since is worth nothing.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed
    }

    /// Appends up to `len` bytes to `out`. Fewer than `least` are a miss where only memory is read.
    pub(crate) fn read_into(
        &mut self,
        handle: &FileHandle,
        out: &mut Vec<u8>,
        position: u64,
        (least, len): (usize, usize),
    ) -> io::Result<usize> {
        if !self.memory_only {
            return handle.read_into(out, position, len);
        }
        let start = out.len();
        out.resize(start + len, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let read = handle.read_resident(room, position).unwrap_or(0);
        out.truncate(start + read);
        if read < least {
            self.missed = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(read)
    }
}

/// Smallest unit that may be missing.
const PAGE_BYTES: usize = 4096;

impl FileHandle {
    /// Fills `out` from `position` on as far as that needs no disk; returns the bytes read, which
    /// are none if the first of them is not in memory.
    ///
    /// # Errors
    /// The file cannot be read, or has no byte at `position`.
    pub fn read_resident(&self, out: &mut [u8], position: u64) -> io::Result<usize> {
        let FileHandle::System(file) = self else {
            return self.read_exact_at(out, position);
        };
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            let at = position + filled as u64;
            match rustix::io::preadv2(
                file,
                &mut [IoSliceMut::new(room)],
                at,
                ReadWriteFlags::NOWAIT,
            ) {
                Ok(0) if filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP) => return self.read_exact_at(out, position),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    /// Fills all of `out` from `position` on, and waits for the disk if it must.
    ///
    /// # Errors
    /// The file cannot be read, or ends before that.
    pub fn read_exact_at(&self, out: &mut [u8], position: u64) -> io::Result<usize> {
        match self {
            FileHandle::System(file) => file.read_exact_at(out, position)?,
            FileHandle::Other(file) => {
                let mut bytes = Vec::with_capacity(out.len());
                if file.read_into(&mut bytes, position, out.len())? < out.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                out.copy_from_slice(&bytes);
            }
        }
        Ok(out.len())
    }

    /// Brings `len` bytes from `position` on into memory and waits for them; the `ahead` bytes
    /// behind them are asked for and not waited for.
    ///
    /// # Errors
    /// The file cannot be read, or ends before that.
    pub fn warm(&self, position: u64, len: usize, ahead: usize) -> io::Result<()> {
        let FileHandle::System(file) = self else {
            return Ok(());
        };
        advise(file, position, len);
        advise(file, position + len as u64, ahead);
        for at in (0..len).step_by(PAGE_BYTES) {
            file.read_exact_at(&mut [0], position + at as u64)?;
        }
        Ok(())
    }
}

/// Asks for bytes. The advice may be refused: then whoever reads brings them in.
fn advise(file: &File, position: u64, len: usize) {
    if let Some(len) = NonZeroU64::new(len as u64) {
        rustix::fs::fadvise(file, position, Some(len), Advice::WillNeed).ok();
    }
}
