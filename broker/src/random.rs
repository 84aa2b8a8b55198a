//! Random identifiers (topic ids, the cluster id). Invariant: bits come from the operating system,
//! so two brokers started at once never draw the same id. Serves metadata, beside the hallway.

use std::fs::File;
use std::io::{self, Read};

use logway_protocol::Uuid;

/// A random version-4 UUID that is none of Kafka's reserved ones and, written as text, does not
/// begin with `-` (Kafka's tools would take such an id for an option).
pub(crate) fn uuid() -> io::Result<Uuid> {
    let mut source = File::open("/dev/urandom")?;
    loop {
        let mut bytes = [0u8; 16];
        source.read_exact(&mut bytes)?;
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = Uuid::from_bytes(bytes);
        if !id.to_string().starts_with('-') {
            return Ok(id);
        }
    }
}

/// A random number; 0 if the operating system has none.
pub(crate) fn number() -> i32 {
    let mut bytes = [0u8; 4];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_or(0, |()| i32::from_ne_bytes(bytes))
}
