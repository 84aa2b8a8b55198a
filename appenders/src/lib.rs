//! Log appenders for applications: `tracing` events go to a Kafka topic, and the application never
//! notices whether there is a broker.
//!
//! ```no_run
//! use tracing_subscriber::prelude::*;
//!
//! let (layer, guard) = logway_appenders::layer("127.0.0.1:9092")
//!     .topic("app")
//!     .service("user-service")
//!     .build()?;
//! tracing_subscriber::registry().with(layer).init();
//! tracing::info!(user = "ada", "signed in");
//! drop(guard); // sends what is buffered
//! # Ok::<(), logway_appenders::BuildError>(())
//! ```
//!
//! An event becomes one record: logstash JSON with the field names of logstash-logback-encoder, or a
//! line after a logback pattern. It is encoded on the caller's thread into that thread's own batch;
//! a worker with a runtime of its own seals the batches and hands them to the client. Memory is bounded
//! in bytes, what does not fit follows a stated [`FullPolicy`], and what is lost is counted and told as
//! a record in the stream.
//!
//! Step 4′ of the hallway. **Invariant:** a log call does no I/O, takes no lock that another thread of
//! the application takes, and in steady state allocates nothing; what the appender itself and its
//! client log never comes back to it.
//!
//! Modules in the order of an event's way: a front ([`layer`](LogwayLayer), later one for `log`) makes
//! an entry of it, `appender` encodes it by a `layout` and stores it in the thread's `shard`, the
//! `worker` takes it to the `sink`.

mod appender;
mod budget;
mod builder;
mod event;
mod guard;
mod keyed;
mod layer;
mod layout;
mod local;
mod loss;
mod metrics;
mod shard;
mod sink;
mod span_fields;
mod stamp;
mod status;
mod worker;

pub use appender::Keying;
pub use budget::FullPolicy;
pub use builder::{BuildError, Builder};
pub use guard::{FlushReport, Guard, Handle, flush_all, flush_on_panic};
pub use layer::LogwayLayer;
pub use layout::{CustomValue, PatternError};
pub use logway_client::{Acks, Compression};
pub use metrics::{Dropped, Metrics};
pub use stamp::{HOST_HEADER, ORIGIN_HEADER, POSITION_HEADER};

/// Begins the description of a layer that sends to the cluster behind `bootstrap`: one `HOST:PORT`, or
/// several with commas between them.
pub fn layer(bootstrap: &str) -> Builder {
    Builder::new(bootstrap)
}

#[cfg(test)]
mod tests;
