//! Tests of the file input without a broker. Step 2 of the hallway.

mod framing;
mod model;
mod order;
mod rig;
mod stories;
