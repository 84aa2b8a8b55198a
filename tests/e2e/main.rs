//! The product as its users meet it: `logway up` over files, the commands, and what it says when
//! something is wrong.

mod commands;
mod mistakes;
mod up;
