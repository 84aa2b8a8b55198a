//! Fetch as fast as the server sends: what lies in the page cache, and what must come from disk.

use std::time::Duration;

use logway_protocol::compression::Compression;
use serde_json::json;

use super::produce::{LARGE, SMALL};
use super::stage::{Stage, TOPIC, add_moved};
use super::{Case, Figures};
use crate::bench::load::{self, Batch, Fetch, Limit, Shape, Until};
use crate::bench::server::System;
use crate::bench::{disk, process};

/// Partitions of the topic; a connection reads one of them.
const PARTITIONS: i32 = 3;
/// Bytes in the topic for a run in the page cache, and from disk for each connection.
const CACHED_BYTES: u64 = 1_000_000_000;
const COLD_BYTES: u64 = 500_000_000;

/// Name of the case in the page cache.
pub(super) fn name(connections: usize) -> String {
    format!(
        "fetch 1 MiB a request, 1 KiB records, page cache, {}",
        counted(connections)
    )
}

fn counted(connections: usize) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    format!("{connections} connection{plural}")
}

/// From memory and from disk, one and three connections.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for connections in [1, 3] {
        cases.push(cached(name(connections), LARGE, connections));
    }
    let small = "fetch 1 MiB a request, 100 B records in 16 KiB batches, page cache, 3 connections";
    cases.push(cached(small.to_owned(), SMALL, 3));
    for connections in [1, 3] {
        let name = format!(
            "fetch 1 MiB a request, 1 KiB records, disk, {}",
            counted(connections)
        );
        let parameters = json!({ "connections": connections, "batch_bytes": LARGE.batch_bytes,
            "bytes": COLD_BYTES * connections as u64 });
        cases.push(Case::new(
            name,
            parameters,
            move |stage, system, figures| from_disk(stage, system, connections, figures),
        ));
    }
    cases
}

fn cached(name: String, shape: Shape, connections: usize) -> Case {
    let parameters = json!({ "connections": connections, "batch_bytes": shape.batch_bytes,
        "record_bytes": shape.record_bytes, "bytes": CACHED_BYTES });
    Case::new(name, parameters, move |stage, system, figures| {
        from_cache(stage, system, (&shape, connections), figures)
    })
}

/// Fills the topic's first `partitions` partitions.
fn fill(address: &str, partitions: i32, batch: &Batch, bytes: u64) -> anyhow::Result<()> {
    let limit = Limit {
        time: Duration::from_secs(60),
        bytes,
    };
    // One connection: it gives every partition the same.
    load::produce(address, (TOPIC, partitions), batch, (1, 1), limit)?;
    Ok(())
}

fn from_cache(
    stage: &mut Stage,
    system: System,
    (shape, connections): (&Shape, usize),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    debug_assert_eq!(
        shape.compression,
        Compression::None,
        "fetches count batches"
    );
    let target = stage.warm(system, true)?;
    let batch = Batch::encode(shape, &[])?;
    let run = Fetch {
        topic: TOPIC,
        batch: &batch,
        connections,
        read_all: stage.read_all,
    };
    let moved = target.on_topic(PARTITIONS, &[], || {
        fill(&target.address, PARTITIONS, &batch, CACHED_BYTES)?;
        disk::write_out(&target.data)?;
        target.with_cpu(|| load::fetch(&target.address, run, Until::Time(stage.time)))
    })?;
    add_moved(figures, moved);
    Ok(())
}

fn from_disk(
    stage: &mut Stage,
    system: System,
    connections: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let target = stage.warm(system, true)?;
    let batch = Batch::encode(&LARGE, &[])?;
    let run = Fetch {
        topic: TOPIC,
        batch: &batch,
        connections,
        read_all: stage.read_all,
    };
    let partitions = i32::try_from(connections)?;
    let (moved, read) = target.on_topic(partitions, &[], || {
        let bytes = COLD_BYTES * connections as u64;
        fill(&target.address, partitions, &batch, bytes)?;
        disk::drop_pages(&target.data, TOPIC)?;
        let before = process::disk_read_bytes(target.pid)?;
        let moved = target.with_cpu(|| load::fetch(&target.address, run, Until::End))?;
        Ok((moved, process::disk_read_bytes(target.pid)? - before))
    })?;
    figures.push(("read from disk, %", read / moved.0.bytes as f64 * 100.0));
    add_moved(figures, moved);
    Ok(())
}
