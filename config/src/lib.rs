//! Logway room `config`: reads, checks and documents every part's settings.
//!
//! Each part has one module with one root struct (`broker::Broker`, `agent::Agent`, `pipeline::Pipeline`).
//! `load` reads a TOML file into it, refuses unknown keys with the nearest known one, and checks every range;
//! `Default` is the embedded start. The annotated samples beside this crate (`broker.toml`, `agent.toml`,
//! `pipeline.toml`) are the reference documents and are held to the code by a test.
//!
//! **Invariant:** knows no component, opens no port, reads no clock. Not a step of the hallway: it comes before it.

pub mod agent;
pub mod broker;
mod error;
mod load;
pub mod pipeline;
mod quantity;

pub use error::{ConfigError, Position, Violation};
