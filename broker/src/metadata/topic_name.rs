//! What may be a topic's name, by Kafka's rules. Invariant: an accepted name is safe as a folder
//! name. Pure; step 7 of the hallway.

use thiserror::Error;

/// Longest name: with partition number and suffix it must fit a file name.
const LENGTH_MAX: usize = 249;

/// Name of the topic that holds the groups' offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Folder name of the metadata log's topic.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";
/// Name of the topic that holds the transactions' states.
pub(crate) const TRANSACTION_TOPIC: &str = "__transaction_state";

/// Why a name is refused; the texts are Kafka's, tools show them.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TopicNameError {
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(String),
    #[error(
        "Topic name is invalid: the length of '{0}' is longer than the max allowed length {LENGTH_MAX}"
    )]
    TooLong(String),
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Characters(String),
}

/// Folder of the metadata log, below the data folder.
pub(crate) fn metadata_folder() -> String {
    format!("{METADATA_TOPIC}-0")
}

/// Checks a name.
pub(crate) fn check(name: &str) -> Result<(), TopicNameError> {
    if name.is_empty() {
        return Err(TopicNameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(TopicNameError::Dots(name.to_owned()));
    }
    if name.len() > LENGTH_MAX {
        return Err(TopicNameError::TooLong(name.to_owned()));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.bytes().all(legal) {
        Ok(())
    } else {
        Err(TopicNameError::Characters(name.to_owned()))
    }
}

/// Kafka's metric names replace dots: two topics that differ only there collide.
pub(crate) fn collides(one: &str, other: &str) -> bool {
    one != other
        && one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .all(|(a, b)| a == b || (matches!(a, b'.' | b'_') && matches!(b, b'.' | b'_')))
}

/// Topics that clients hide from users and must not write to by mistake.
pub(crate) fn is_internal(name: &str) -> bool {
    name == OFFSETS_TOPIC || name == TRANSACTION_TOPIC
}
