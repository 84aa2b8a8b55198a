//! `logway bench`: the perf tests under a shorter name.
//!
//! Invariant: measured is what the tools of Kafka's names measure, so that figures can be compared.

use std::process::ExitCode;

use crate::args::BenchAction;
use crate::failure::Failure;
use crate::kafka_tools;

/// Runs the measurement to its end.
pub(crate) fn run(action: BenchAction) -> Result<ExitCode, Failure> {
    let (tool, mut words, cluster) = match action {
        BenchAction::Produce {
            topic,
            count,
            size,
            rate,
            cluster,
        } => {
            let rate = rate.map_or_else(|| "-1".to_owned(), |rate| rate.to_string());
            let words = vec![
                format!("--topic={topic}"),
                format!("--num-records={count}"),
                format!("--record-size={size}"),
                format!("--throughput={rate}"),
            ];
            ("kafka-producer-perf-test", words, cluster)
        }
        BenchAction::Consume {
            topic,
            count,
            cluster,
        } => {
            let words = vec![format!("--topic={topic}"), format!("--num-records={count}")];
            ("kafka-consumer-perf-test", words, cluster)
        }
    };
    let bootstrap = cluster.client()?.bootstrap_servers.join(",");
    words.push(format!("--bootstrap-server={bootstrap}"));
    kafka_tools::called_as(tool.as_ref())
        .map(|tool| kafka_tools::run_with_progress(tool, &words))
        .ok_or_else(|| Failure::usage(format!("{tool} is not part of this program")))
}
