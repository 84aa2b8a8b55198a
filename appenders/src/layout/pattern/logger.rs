//! `%logger{36}`: shortening a path such as `user_service::api::users` to a width.
//!
//! **Invariant:** the last segment is never shortened, and no other to less than its first letter.

/// Appends `path`, its leftmost segments shortened to one letter until it has at most `length`
/// characters; 0 leaves only the last segment.
pub(super) fn write_short(path: &str, length: Option<usize>, out: &mut Vec<u8>) {
    let Some(length) = length else {
        return out.extend_from_slice(path.as_bytes());
    };
    let separator = if path.contains("::") { "::" } else { "." };
    if length == 0 {
        let last = path.rsplit(separator).next().unwrap_or(path);
        return out.extend_from_slice(last.as_bytes());
    }
    let mut surplus = path.chars().count().saturating_sub(length);
    let mut segments = path.split(separator).peekable();
    while let Some(segment) = segments.next() {
        let first = segment.chars().next().map_or(0, char::len_utf8);
        let last = segments.peek().is_none();
        let shown = if surplus > 0 && !last {
            &segment[..first]
        } else {
            segment
        };
        surplus = surplus.saturating_sub(segment[shown.len()..].chars().count());
        out.extend_from_slice(shown.as_bytes());
        if !last {
            out.extend_from_slice(separator.as_bytes());
        }
    }
}
