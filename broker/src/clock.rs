//! Wall-clock time in Kafka's unit. The only place of the room that asks the system what time it is
//! for record timestamps; engines and the journal are handed the value. Serves steps 7 and 8.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC, the unit of record timestamps.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
