//! How a command ends when it does not succeed: one line and an exit code.

use std::fmt;
use std::process::ExitCode;

use crate::stop::Stop;

/// Why a command failed, with the code the process ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// The work failed (exit code 1); `doing` says what was tried, the cause chain follows.
    pub(crate) fn failed(error: impl Into<anyhow::Error>, doing: &str) -> Self {
        let error = error.into().context(doing.to_owned());
        Self {
            message: format!("{error:#}"),
            code: 1,
        }
    }

    /// The command line asks for something that makes no sense (exit code 2).
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 2,
        }
    }

    /// A signal cut the work off (exit code 130 or 143); whoever sent it need not be told.
    pub(crate) fn stopped(stop: Stop) -> Self {
        Self {
            message: String::new(),
            code: stop.exit_code(),
        }
    }

    /// Whether there is something to tell.
    pub(crate) fn is_told(&self) -> bool {
        !self.message.is_empty()
    }

    /// A settings file is wrong (exit code 64, as sysexits' EX_USAGE).
    pub(crate) fn settings(error: impl fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            code: 64,
        }
    }

    /// The code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
