//! Which bytes of a file are in memory, and how to bring them there.
//!
//! Invariant: `is_resident` and `read_resident` never wait for a disk; `warm` does, and belongs on
//! a thread that may. Where the system cannot tell, bytes count as resident.
//! Hallway: the journal's part of step 10.
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};

use crate::disk::FileHandle;

/// Distance of the bytes that are looked at: the system reads ahead by as much.
const PROBE_STEP: usize = 128 * 1024;
/// Smallest unit that may be missing.
const PAGE_BYTES: usize = 4096;

impl FileHandle {
    /// Whether `len` bytes from `position` on can be read without waiting for a disk, as far as a
    /// look at some of them shows.
    #[must_use]
    pub fn is_resident(&self, position: u64, len: usize) -> bool {
        let FileHandle::System(file) = self else {
            return true;
        };
        let Some(last) = len.checked_sub(1) else {
            return true;
        };
        (0..last)
            .step_by(PROBE_STEP)
            .chain([last])
            .all(|at| is_byte_resident(file, position + at as u64))
    }

    /// Appends `len` bytes from `position` on to `out` if that needs no disk. False: nothing was
    /// appended.
    ///
    /// # Errors
    /// The file cannot be read, or ends before that.
    pub fn read_resident(&self, out: &mut Vec<u8>, position: u64, len: usize) -> io::Result<bool> {
        let start = out.len();
        let FileHandle::System(file) = self else {
            return whole(self.read_into(out, position, len)?, len);
        };
        out.resize(start + len, 0);
        let mut filled = 0;
        while filled < len {
            let room = out.get_mut(start + filled..).unwrap_or_default();
            let read = rustix::io::preadv2(
                file,
                &mut [IoSliceMut::new(room)],
                position + filled as u64,
                ReadWriteFlags::NOWAIT,
            );
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    out.truncate(start);
                    return Ok(false);
                }
                Err(Errno::OPNOTSUPP) => {
                    out.truncate(start);
                    return whole(self.read_into(out, position, len)?, len);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
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
        // Advice may be refused: then the reads below bring the bytes in by themselves.
        for (at, len) in [(position, len), (position + len as u64, ahead)] {
            if let Some(len) = NonZeroU64::new(len as u64) {
                rustix::fs::fadvise(file, at, Some(len), Advice::WillNeed).ok();
            }
        }
        let mut byte = Vec::with_capacity(1);
        for at in (0..len).step_by(PAGE_BYTES) {
            byte.clear();
            if self.read_into(&mut byte, position + at as u64, 1)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

fn is_byte_resident(file: &File, position: u64) -> bool {
    let mut byte = [0];
    let read = rustix::io::preadv2(
        file,
        &mut [IoSliceMut::new(&mut byte)],
        position,
        ReadWriteFlags::NOWAIT,
    );
    // The end of the file and other faults show when the bytes are read.
    !matches!(read, Err(Errno::AGAIN))
}

fn whole(read: usize, len: usize) -> io::Result<bool> {
    if read < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}
