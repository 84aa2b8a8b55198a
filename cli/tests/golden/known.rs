//! Differences that are known, each with its reason.
//!
//! Invariant: a difference without a reason is not known.

/// Why this command's output differs, if it may; `place` is broker, transcript and number.
pub(crate) fn reason(place: &str) -> Option<&'static str> {
    include_str!("known.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .find_map(|line| {
            let (known, reason) = line.split_once(':')?;
            (known.trim() == place).then_some(reason.trim())
        })
}
