//! The appender from the layer to a sink that plays the broker: present, away, returning, refusing.
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests fail by panicking"
)]

mod broker;
mod fields;
mod limits;
mod road;
