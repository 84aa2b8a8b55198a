//! Producer states, snapshots, waiting, and what a failing disk does to one partition.

mod disk;
mod from_kafka;
mod histories;
mod lives;
mod producers;
mod transactions;
mod waiters;
