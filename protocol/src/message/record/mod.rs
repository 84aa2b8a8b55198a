//! Messages that are no requests: records of internal topics and of the metadata log.

pub mod cluster;
pub mod consumer_group;
pub mod consumer_protocol;
pub mod offset;
pub mod transaction;
