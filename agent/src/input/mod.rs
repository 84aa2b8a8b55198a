//! Inputs: what brings events into the agent. Step 2 of the hallway.

pub(crate) mod file;
