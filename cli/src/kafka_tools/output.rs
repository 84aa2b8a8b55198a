//! How a tool speaks: results on standard output, what went wrong on standard error.
//!
//! Invariant: a reader that went away (`| head`) ends nothing and is no failure.

use std::io::Write;

use super::exception::Exception;

/// Why a tool ends early.
#[derive(Debug)]
pub(super) enum End {
    /// The command line makes no sense: these words, then the option table.
    Usage(String),
    /// The command line makes no sense: these words alone.
    Refused(String),
    /// The work failed.
    Failed(Exception),
    /// Everything was said already; end with this code.
    Code(u8),
}

impl From<Exception> for End {
    fn from(exception: Exception) -> Self {
        Self::Failed(exception)
    }
}

/// Writes a line to standard output.
pub(super) fn out(line: impl AsRef<str>) {
    let mut text = line.as_ref().to_owned();
    text.push('\n');
    write_out(text.as_bytes());
}

/// Writes bytes to standard output.
pub(super) fn write_out(bytes: &[u8]) {
    let mut to = std::io::stdout().lock();
    let written = to.write_all(bytes).and_then(|()| to.flush());
    if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        // Nobody reads on: as for other tools this is the end, and no failure.
        std::process::exit(0);
    }
}

/// Writes a line to standard error.
pub(super) fn err(line: impl AsRef<str>) {
    eprintln!("{}", line.as_ref());
}

/// A line in the form of a tool's log.
pub(super) fn log(level: &str, message: impl AsRef<str>, class: &str) {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S,%3f");
    eprintln!("[{now}] {level} {} ({class})", message.as_ref());
}
