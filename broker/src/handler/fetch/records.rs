//! The reply as parts: encoded fields around ranges of segment files.
//! Invariant: records stay in their file until the socket takes them. Step 10 of the hallway.

use logway_journal::FetchSlice;
use logway_protocol::RecordsField;
use logway_protocol::header::encode_response_outline;
use logway_protocol::message::fetch::FetchResponse;

use crate::context::Context;
use crate::handler::{Header, Reply, unwritable};
use crate::net::{FileRange, Part};

/// The field that stands for a slice; its range of the file goes to `ranges`.
pub(super) fn field(slice: &FetchSlice, ranges: &mut Vec<FileRange>) -> RecordsField {
    if let Some(file) = slice.file() {
        ranges.push(FileRange {
            file: file.clone(),
            position: slice.position(),
            len: slice.len(),
        });
    }
    RecordsField::Elsewhere(slice.len())
}

/// The reply: `response` with `ranges` where its records are elsewhere.
pub(super) async fn reply(
    context: &Context,
    header: &Header,
    response: &FetchResponse,
    ranges: Vec<FileRange>,
) -> Reply {
    let outline =
        encode_response_outline(header.api, header.version, header.correlation_id, response);
    let outline = match outline {
        Ok(outline) => outline,
        Err(source) => return unwritable(header, source),
    };
    let budget = &context.reply_budget;
    let permit = match budget.try_take(outline.bytes.len()) {
        Some(permit) => permit,
        None => budget.take(outline.bytes.len()).await,
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
    Reply::Parts {
        parts,
        permit: Some(permit),
    }
}
