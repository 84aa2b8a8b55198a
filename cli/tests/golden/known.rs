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
            let known = known.trim();
            let is_it = match known.strip_prefix("* ") {
                // On every broker.
                Some(rest) => place
                    .split_once(' ')
                    .is_some_and(|(_, place)| place == rest),
                None => known == place,
            };
            is_it.then_some(reason.trim())
        })
}
