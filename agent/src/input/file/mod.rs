//! The file input: finds files by patterns, follows them through every kind of rotation, cuts them into
//! lines. Step 2 of the hallway.
//!
//! Reading order: `discovery` (which files), `evidence` (what proves a file), `tailed` (one file), `frame`
//! (lines), `engine` and `poll` (the loop body), `scan`, `newcomers`, `lineage`, `copies` and `retire` (how a
//! scan changes what is known), `settle` (what an acknowledgement changes), `thread` (the loop).

mod copies;
pub(crate) mod discovery;
pub(crate) mod engine;
pub(crate) mod evidence;
pub(crate) mod frame;
mod lineage;
mod newcomers;
mod poll;
mod retire;
mod scan;
mod settle;
mod tailed;
#[cfg(test)]
mod tests;
pub(crate) mod thread;
