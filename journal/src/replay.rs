//! Going through a log's headers, for whoever keeps a state that follows from its batches.
//!
//! Invariant: of data batches only headers are read, so that a replay costs a fraction of the log;
//! their checksums were verified when the log was opened, as far as they had to be.
//! Hallway: step 8, at start and after a truncation.
use logway_protocol::batch::BatchHeader;

use crate::error::ReadError;
use crate::reader::LogReader;
use crate::segment::SegmentView;
use crate::view::View;
use crate::walk::WalkError;

impl LogReader {
    /// Shows `visit` the header of every batch from the one that holds `offset` on, and the bytes of
    /// control batches, until it fails. The log must not be shortened meanwhile.
    ///
    /// The rest of a damaged segment is left out: its records cannot be read either.
    pub fn replay<E: From<ReadError>>(
        &self,
        offset: i64,
        mut visit: impl FnMut(&BatchHeader, Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let view = self.view();
        let view: &View = &view;
        for (segment, end_offset) in view.segments_from(offset) {
            if end_offset <= offset {
                continue;
            }
            match replay_segment(segment, offset, &mut visit) {
                Ok(()) => {}
                Err(Stopped::Visitor(error)) => return Err(error),
                Err(Stopped::Walk(WalkError::Fault(fault))) => {
                    tracing::error!(segment = segment.base_offset(), reason = %fault,
                        "a durable segment is damaged; what follows there is left out");
                }
                Err(Stopped::Walk(error)) => return Err(self.read_error(segment, error).into()),
            }
        }
        Ok(())
    }
}

/// Why a replay ends early.
enum Stopped<E> {
    Walk(WalkError),
    Visitor(E),
}

impl<E> From<WalkError> for Stopped<E> {
    fn from(error: WalkError) -> Self {
        Stopped::Walk(error)
    }
}

fn replay_segment<E>(
    segment: &SegmentView,
    offset: i64,
    visit: &mut impl FnMut(&BatchHeader, Option<&[u8]>) -> Result<(), E>,
) -> Result<(), Stopped<E>> {
    let mut walk = segment.headers()?;
    let mut position = 0;
    if segment.base_offset() < offset {
        match segment.find(&mut walk, offset)? {
            Some((found, _)) => position = found,
            None => return Ok(()),
        }
    }
    while let Some(header) = walk.header(position)? {
        let control = match header.is_control() {
            true => Some(walk.batch(position, &header)?),
            false => None,
        };
        visit(&header, control).map_err(Stopped::Visitor)?;
        position += header.total_size() as u32;
    }
    Ok(())
}
