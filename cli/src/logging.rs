//! Logs of every part go to standard error, so that standard output stays for results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging at warnings and notices (0), debug (1) or trace (2 and more).
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => "info",
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
