//! Commands against a broker of their own.

mod broker;
mod consume;
mod groups;
mod signals;
