//! Topic filters of Kafka's tools: regular expressions, commas between alternatives.
//!
//! Invariant: a name matches as a whole.

use regex::Regex;

use super::exception::Exception;

/// A filter of topic names.
///
/// # Errors
/// It is no regular expression.
pub(super) fn topics(pattern: &str) -> Result<Regex, Exception> {
    let alternatives = pattern.trim().replace(',', "|");
    let alternatives = alternatives.replace(['"', ' '], "");
    Regex::new(&format!("^(?:{alternatives})$")).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default();
        Exception::new(
            "java.lang.RuntimeException",
            format!(
                "{pattern} is an invalid regex: {}",
                reason.trim_start_matches("error: ")
            ),
        )
    })
}
