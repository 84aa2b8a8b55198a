//! The few fields of an answer that the generator looks at, where they lie; nothing is allocated.

use anyhow::Context;

/// Reads big-endian fields one after the other.
#[derive(Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// So many bytes.
    pub(crate) fn take(&mut self, count: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("a short answer")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// 16 bits.
    pub(crate) fn i16(&mut self) -> anyhow::Result<i16> {
        Ok(i16::from_be_bytes(self.number()?))
    }

    /// 32 bits.
    pub(crate) fn i32(&mut self) -> anyhow::Result<i32> {
        Ok(i32::from_be_bytes(self.number()?))
    }

    /// 64 bits.
    pub(crate) fn i64(&mut self) -> anyhow::Result<i64> {
        Ok(i64::from_be_bytes(self.number()?))
    }

    /// A length or count of a flexible version: one more than it says, 0 for null; both come out as 0.
    pub(crate) fn count(&mut self) -> anyhow::Result<usize> {
        let (mut value, mut shift) = (0usize, 0u32);
        loop {
            let [byte] = self.number()?;
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 28 {
                return Ok(value.saturating_sub(1));
            }
        }
    }
}
