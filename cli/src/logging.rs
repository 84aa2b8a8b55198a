//! Logs of every part go to standard error, so that standard output stays for results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging at warnings (0, and notices of what runs for long), debug (1) or trace (2 and
/// more).
pub(crate) fn start(verbose: u8, is_server: bool) {
    let level = match verbose {
        0 if is_server => "info",
        // A command's results say what happened; what its client does is no news.
        0 => "warn",
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("LOGWAY_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
