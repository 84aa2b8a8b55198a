//! Errors under the names that scripts look for in the output of Kafka's tools.
//!
//! Invariant: one table from the protocol's codes to names and words; what the broker itself says
//! goes before the words of the table.

use std::fmt;

use logway_client::{AdminError, ErrorCode, RequestError};

/// An error with the class that Kafka's tools would name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exception {
    /// Name of the class, with its package.
    pub(super) class: String,
    /// What happened.
    pub(super) message: String,
}

const ERRORS: &str = "org.apache.kafka.common.errors.";

impl Exception {
    pub(super) fn new(class: &str, message: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            message: message.into(),
        }
    }

    /// The command line or a file asks for what cannot be.
    pub(super) fn illegal_argument(message: impl Into<String>) -> Self {
        Self::new("java.lang.IllegalArgumentException", message)
    }

    /// An option's value is not of its kind.
    pub(super) fn conversion(message: impl Into<String>) -> Self {
        Self::new("joptsimple.OptionArgumentConversionException", message)
    }

    /// A broker's refusal.
    pub(super) fn of_code(code: ErrorCode, detail: Option<&str>) -> Self {
        let detail = detail.filter(|text| !text.is_empty());
        Self {
            class: class_of(code),
            message: detail.map_or_else(|| words(code), str::to_owned),
        }
    }

    /// `Ok`, or the refusal that the number stands for.
    pub(super) fn check(code: i16, detail: Option<&str>) -> Result<(), Self> {
        ErrorCode::check(code).map_err(|code| Self::of_code(code, detail))
    }

    /// No answer in time to the call of that name.
    pub(super) fn no_node(call: &str) -> Self {
        Self::new(
            &format!("{ERRORS}TimeoutException"),
            format!("Timed out waiting for a node assignment. Call: {call}"),
        )
    }

    /// A failed call; `call` is the name that Kafka's administrator gives it.
    pub(super) fn of_call(error: &AdminError, call: &str) -> Self {
        match error {
            AdminError::Rejected { code, detail, .. } => Self::of_code(*code, detail.as_deref()),
            AdminError::Request {
                source: RequestError::Unsupported { .. },
                ..
            } => Self::new(
                &format!("{ERRORS}UnsupportedVersionException"),
                format!("The node does not support {call}"),
            ),
            AdminError::TimedOut { .. } => Self::no_node(call),
            error => Self::new("org.apache.kafka.common.KafkaException", error.to_string()),
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

/// The class of a code: its name with `Exception` behind, but for those that are called otherwise.
fn class_of(code: ErrorCode) -> String {
    let name = match code {
        ErrorCode::TopicAlreadyExists => "TopicExists",
        ErrorCode::InvalidConfig => "InvalidConfiguration",
        ErrorCode::NonEmptyGroup => "GroupNotEmpty",
        ErrorCode::InvalidTopicException => "InvalidTopic",
        ErrorCode::RequestTimedOut => "Timeout",
        ErrorCode::MessageTooLarge => "RecordTooLarge",
        ErrorCode::NetworkException => "Network",
        ErrorCode::TopicAuthorizationFailed => "TopicAuthorization",
        ErrorCode::GroupAuthorizationFailed => "GroupAuthorization",
        ErrorCode::ClusterAuthorizationFailed => "ClusterAuthorization",
        ErrorCode::UnknownServerError => "UnknownServer",
        other => return format!("{ERRORS}{}Exception", camel(other.name())),
    };
    format!("{ERRORS}{name}Exception")
}

fn camel(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{first}{}", rest.to_lowercase())
    };
    name.split('_').map(word).collect()
}

/// What a code says where the broker adds nothing.
pub(super) fn words(code: ErrorCode) -> String {
    let text = match code {
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::OffsetOutOfRange => {
            "The requested offset is not within the range of offsets maintained by the server."
        }
        ErrorCode::NonEmptyGroup => "The group is not empty.",
        ErrorCode::GroupIdNotFound => "The group id does not exist.",
        ErrorCode::GroupSubscribedToTopic => {
            "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."
        }
        ErrorCode::UnknownMemberId => "The coordinator is not aware of this member.",
        other => return other.to_string(),
    };
    text.to_owned()
}
