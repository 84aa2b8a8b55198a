//! The product as its users meet it: `logway up` over files, the commands, and what it says when
//! something is wrong.

mod commands;
mod hostile;
mod mistakes;
mod open_files;
mod up;
mod wire;

use std::path::Path;

use harness::binary;
use harness::process::Process;

/// A broker of its own for one test, with an HTTP address.
fn broker(folder: &Path) -> Process {
    let data = folder.join("broker");
    let args = [
        "broker",
        "--data-dir",
        data.to_str().expect("UTF-8"),
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ];
    Process::start(&binary("logway"), &args, folder)
}
