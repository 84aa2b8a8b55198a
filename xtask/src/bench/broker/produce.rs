//! Produce as fast as the server takes it: sizes, acknowledgements, compression, partitions, connections;
//! and with every acknowledged batch on disk.

use logway_protocol::compression::Compression;
use serde_json::json;

use super::stage::{Stage, TOPIC, add_moved};
use super::{Case, Figures};
use crate::bench::load::{self, Batch, Shape};
use crate::bench::server::System;

/// Batches as a tuned producer sends them.
pub(super) const LARGE: Shape = Shape {
    record_bytes: 1024,
    batch_bytes: 256 << 10,
    compression: Compression::None,
};
/// Batches as a producer with Kafka's defaults sends them.
pub(super) const SMALL: Shape = Shape {
    record_bytes: 100,
    batch_bytes: 16 << 10,
    compression: Compression::None,
};
const HUGE_RECORDS: Shape = Shape {
    record_bytes: 10 << 10,
    ..LARGE
};

/// When a batch that is acknowledged with acks=all is on disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Durable {
    /// Some time later, as Kafka does it by default.
    Later,
    /// Before it is acknowledged: our default, Kafka with `flush.messages=1`.
    Before,
}

/// One produce case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Produce {
    pub(super) shape: Shape,
    pub(super) partitions: i32,
    pub(super) connections: usize,
    pub(super) acks: i16,
    pub(super) durable: Durable,
}

impl Produce {
    /// 3 partitions, acks=1.
    pub(super) const fn of(shape: Shape, connections: usize) -> Self {
        Self {
            shape,
            partitions: 3,
            connections,
            acks: 1,
            durable: Durable::Later,
        }
    }

    pub(super) const fn with_fsync(shape: Shape, durable: Durable) -> Self {
        Self {
            acks: -1,
            durable,
            ..Self::of(shape, 8)
        }
    }

    /// Its name in the report.
    pub(super) fn name(&self) -> String {
        let record = match self.shape.record_bytes {
            bytes if bytes >= 1024 => format!("{} KiB", bytes >> 10),
            bytes => format!("{bytes} B"),
        };
        let compression = match self.shape.compression {
            Compression::None => String::new(),
            other => format!(", {}", other.name()),
        };
        let acks = match (self.acks, self.durable) {
            (1, _) => "acks=1",
            (_, Durable::Later) => "acks=all",
            (_, Durable::Before) => "acks=all with fsync",
        };
        format!(
            "produce {record} records in {} KiB batches{compression}, {}, {}, {acks}",
            self.shape.batch_bytes >> 10,
            counted(self.partitions, "partition"),
            counted(i32::try_from(self.connections).unwrap_or(0), "connection"),
        )
    }

    fn case(self) -> Case {
        let parameters = json!({
            "record_bytes": self.shape.record_bytes, "batch_bytes": self.shape.batch_bytes,
            "compression": self.shape.compression.name(), "partitions": self.partitions,
            "connections": self.connections, "acks": self.acks,
            "fsync": self.durable == Durable::Before,
        });
        Case::new(self.name(), parameters, move |stage, system, figures| {
            measure(stage, system, &self, figures)
        })
    }
}

fn counted(count: i32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The cases that say most, or all combinations.
pub(super) fn cases(matrix: bool) -> Vec<Case> {
    let mut runs: Vec<Produce> = Vec::new();
    for shape in [LARGE, SMALL] {
        runs.extend([1, 3, 8].map(|connections| Produce::of(shape, connections)));
    }
    runs.push(Produce::of(HUGE_RECORDS, 1));
    for compression in [Compression::Lz4, Compression::Zstd] {
        for shape in [LARGE, SMALL] {
            let shape = Shape {
                compression,
                ..shape
            };
            runs.push(Produce::of(shape, 3));
        }
    }
    for shape in [LARGE, SMALL] {
        for partitions in [1, 100] {
            runs.push(Produce {
                partitions,
                ..Produce::of(shape, 3)
            });
        }
        runs.extend([1, 8].map(|connections| Produce {
            acks: -1,
            ..Produce::of(shape, connections)
        }));
    }
    let asked: Vec<String> = runs.iter().map(Produce::name).collect();
    if matrix {
        runs.extend(combinations().filter(|run| !asked.contains(&run.name())));
    }
    runs.into_iter().map(Produce::case).collect()
}

fn combinations() -> impl Iterator<Item = Produce> {
    let mut runs = Vec::new();
    for shape in [LARGE, SMALL, HUGE_RECORDS] {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            for partitions in [1, 3, 100] {
                for connections in [1, 3, 8] {
                    runs.extend([1, -1].map(|acks| Produce {
                        shape: Shape {
                            compression,
                            ..shape
                        },
                        partitions,
                        acks,
                        ..Produce::of(shape, connections)
                    }));
                }
            }
        }
    }
    runs.into_iter()
}

/// `acks=all` with every acknowledged batch on disk, and the same without.
pub(super) fn fsync_cases() -> Vec<Case> {
    let runs = [
        // Without fsync the small batches are among the produce cases, as are the large ones.
        Produce::with_fsync(SMALL, Durable::Before),
        Produce::with_fsync(LARGE, Durable::Before),
    ];
    runs.into_iter().map(Produce::case).collect()
}

fn measure(
    stage: &mut Stage,
    system: System,
    run: &Produce,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let fsync = run.durable == Durable::Before;
    // Only acks=all is told apart by the server's own setting.
    let target = stage.warm(system, fsync || run.acks == 1)?;
    let settings: &[(&str, &str)] = match system {
        System::Kafka if fsync => &[("flush.messages", "1")],
        _ => &[],
    };
    let batch = Batch::encode(&run.shape, &[])?;
    let limit = stage.limit();
    let moved = target.on_topic(run.partitions, settings, || {
        target.with_cpu(|| {
            let over = (run.connections, run.acks);
            load::produce(
                &target.address,
                (TOPIC, run.partitions),
                &batch,
                over,
                limit,
            )
        })
    })?;
    add_moved(figures, moved);
    Ok(())
}
