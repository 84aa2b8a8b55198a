//! The broker seen from its socket: every test starts one on a free port and a fresh folder, and
//! speaks Kafka's protocol to it, well or badly.
#![allow(clippy::unwrap_used)] // The harness panics like the tests it serves.

mod abuse;
mod admin;
mod alter;
mod compaction;
mod configs;
mod consumer_groups;
mod delete_records;
mod fetch;
mod fetch_sessions;
mod group_kills;
mod groups;
mod harness;
mod isolation;
mod many;
#[path = "../odd/mod.rs"]
mod odd;
mod odd_batches;
mod page;
mod produce;
mod quotas;
#[path = "../requests/mod.rs"]
mod requests;
mod restart;
mod retention;
mod topics;
mod transactions;
