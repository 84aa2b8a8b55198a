//! `logway install-kafka-tools`: links by the names of Kafka's tools to this program.
//!
//! Invariant: only links of our own are replaced; a file that somebody put there stays.

use std::path::Path;

use super::TOOLS;
use crate::failure::Failure;
use crate::table::print;

/// Makes the links in `folder`, with and without `.sh`.
pub(crate) fn install(folder: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(error, "find this program's file"))?;
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::failed(error, &format!("create {}", folder.display())))?;
    let mut made = String::new();
    for tool in TOOLS {
        for name in [format!("{}.sh", tool.name), tool.name.to_owned()] {
            let link = folder.join(name);
            if link.is_symlink() {
                std::fs::remove_file(&link)
                    .map_err(|e| Failure::failed(e, &format!("replace {}", link.display())))?;
            }
            std::os::unix::fs::symlink(&program, &link)
                .map_err(|e| Failure::failed(e, &format!("link {}", link.display())))?;
            made.push_str(&format!("{}\n", link.display()));
        }
    }
    print(made.as_bytes())
}
