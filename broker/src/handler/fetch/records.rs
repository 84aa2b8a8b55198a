//! Where the records of a reply come from, and the reply as parts around them.
//! Invariant: large sets stay in their file until the socket takes them; small ones are read here,
//! unless they are not in memory: no worker waits for a disk. Step 10 of the hallway.

use std::io;

use bytes::Bytes;
use logway_journal::{FetchSlice, FileHandle};
use logway_protocol::RecordsField;
use logway_protocol::header::encode_response_outline;
use logway_protocol::message::fetch::FetchResponse;

use crate::handler::{Header, Reply, unwritable};
use crate::net::{BytePermit, FileRange, Part};

/// Sets of fewer bytes are copied: that costs less than handing them to the kernel by themselves.
pub(super) const SENDFILE_BYTES_MIN: usize = 8 * 1024;

/// The records of one partition's answer.
pub(super) enum Records {
    Here(Bytes),
    InFile(FileRange),
}

impl Records {
    /// The records of a slice.
    pub(super) fn of(slice: &FetchSlice) -> io::Result<Records> {
        let Some(file) = slice.file() else {
            return Ok(Records::Here(Bytes::new()));
        };
        let (position, len) = (slice.position(), slice.len());
        if matches!(file, FileHandle::Other(_)) {
            return Ok(Records::Here(slice.bytes()?));
        }
        if len < SENDFILE_BYTES_MIN {
            let mut bytes = Vec::with_capacity(len);
            if file.read_resident(&mut bytes, position, len)? {
                return Ok(Records::Here(bytes.into()));
            }
        }
        Ok(Records::InFile(FileRange {
            file: file.clone(),
            position,
            len,
        }))
    }

    /// The field of the response; a range goes to `ranges`.
    pub(super) fn into_field(self, ranges: &mut Vec<FileRange>) -> RecordsField {
        match self {
            Records::Here(bytes) => RecordsField::Bytes(bytes),
            Records::InFile(range) => {
                let len = range.len;
                ranges.push(range);
                RecordsField::Elsewhere(len)
            }
        }
    }
}

/// The reply: `response` with `ranges` where its records are elsewhere.
pub(super) fn reply(
    header: &Header,
    response: &FetchResponse,
    ranges: Vec<FileRange>,
    permit: Option<BytePermit>,
) -> Reply {
    let outline =
        encode_response_outline(header.api, header.version, header.correlation_id, response);
    let outline = match outline {
        Ok(outline) => outline,
        Err(source) => return unwritable(header, source),
    };
    let mut left = outline.bytes;
    let mut before = 0;
    let mut parts = Vec::with_capacity(ranges.len() * 2 + 1);
    for (hole, range) in outline.holes.iter().zip(ranges) {
        parts.push(Part::Bytes(left.split_to(hole.at - before)));
        parts.push(Part::File(range));
        before = hole.at;
    }
    if !left.is_empty() {
        parts.push(Part::Bytes(left));
    }
    Reply::Parts { parts, permit }
}
