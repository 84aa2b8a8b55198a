//! Tests of the file input without a broker. Step 2 of the hallway.

mod framing;
mod rig;
mod stories;
