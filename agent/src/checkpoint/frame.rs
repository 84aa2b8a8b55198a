//! Frames of the state files: mark, length, CRC32C, payload. Beside step 5 of the hallway.
//!
//! **Invariant:** a frame is either read back exactly as written or not at all; damage in one frame does not
//! hide the frames after it, since reading goes on at the next mark that checks out.

use logway_protocol::crc::crc32c;

/// Begins every frame, so that reading can find its feet again after damage.
const MARK: [u8; 2] = [0xa7, 0x4c];
const HEAD_BYTES: usize = 2 + 2 + 4;
/// Longest payload; a path is at most 4096 bytes on Linux.
pub(super) const PAYLOAD_BYTES_MAX: usize = 8 * 1024;

/// Appends a frame around `payload`, which is cut off at [`PAYLOAD_BYTES_MAX`] by its makers.
pub(super) fn push(out: &mut Vec<u8>, payload: &[u8]) {
    let length = u16::try_from(payload.len()).expect("payloads are at most PAYLOAD_BYTES_MAX");
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32c(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// What reading a state file found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sound {
    /// Frames read.
    pub(super) frames: u64,
    /// Bytes that belong to no sound frame and lie before one: damage.
    pub(super) damaged_bytes: u64,
    /// Bytes at the end that belong to no sound frame: a torn write, or damage.
    pub(super) torn_bytes: u64,
}

/// Calls `each` with the payload of every sound frame.
pub(super) fn read(bytes: &[u8], mut each: impl FnMut(&[u8])) -> Sound {
    let mut sound = Sound::default();
    let (mut at, mut sound_end) = (0, 0);
    while at < bytes.len() {
        if let Some(payload) = frame_at(bytes, at) {
            sound.damaged_bytes += (at - sound_end) as u64;
            sound.frames += 1;
            each(payload);
            at += HEAD_BYTES + payload.len();
            sound_end = at;
        } else {
            at += 1;
            at += memchr::memchr(MARK[0], &bytes[at..]).unwrap_or(bytes.len() - at);
        }
    }
    sound.torn_bytes = (bytes.len() - sound_end) as u64;
    sound
}

fn frame_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let head = bytes.get(at..at + HEAD_BYTES)?;
    let (mark, rest) = head.split_first_chunk::<2>()?;
    let (length, crc) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_le_bytes(*length));
    if *mark != MARK || length > PAYLOAD_BYTES_MAX {
        return None;
    }
    let payload = bytes.get(at + HEAD_BYTES..at + HEAD_BYTES + length)?;
    (crc32c(payload).to_le_bytes() == crc).then_some(payload)
}
