//! `kafka-broker-api-versions`: which requests each broker answers, in which versions.
//!
//! Invariant: "usable" speaks of clients of the release that the tools stand for.

use std::time::Duration;

use logway_client::{Admin, ClientConfig, Destination};
use logway_protocol::api_key::ApiKey;
use logway_protocol::message::api_versions::ApiVersionsRequest;

use super::connect::{self, CLUSTER};
use super::exception::Exception;
use super::options::Parsed;
use super::output::{End, out};
use super::properties;
use super::{Misread, Tool, ended};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-broker-api-versions",
    options: &[&CLUSTER],
    run: |parsed| Box::pin(run(parsed)),
    ended,
    misread: Misread::Class,
};

/// Requests that only brokers and controllers send each other, and some that are no more.
const NOT_OF_CLIENTS: [i16; 16] = [4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82];
/// This tool asks once and does not wait for a broker that is away.
const PATIENCE: Duration = Duration::from_secs(5);

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let bootstrap = connect::bootstrap(parsed)
        .ok_or_else(|| End::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    let config = properties::client(&bootstrap, &connect::settings(parsed)?, "admin-1")?;
    let config = ClientConfig {
        default_api_timeout: PATIENCE.min(config.default_api_timeout),
        ..config
    };
    let admin = Admin::new(config)
        .map_err(|e| Exception::new("org.apache.kafka.common.KafkaException", e.to_string()))?;
    let cluster = admin.describe_cluster().await.map_err(|_| {
        let brokers: Vec<String> = bootstrap
            .split(',')
            .zip(1..)
            .map(|(address, i)| format!("{address} (id: -{i} rack: null isFenced: false)"))
            .collect();
        Exception::new(
            "java.lang.RuntimeException",
            format!(
                "Request METADATA failed on brokers [{}]",
                brokers.join(", ")
            ),
        )
    })?;
    for broker in cluster.brokers {
        let (id, host, port) = (broker.id, &broker.host, broker.port);
        let rack = broker.rack.as_deref().unwrap_or("null");
        let head = format!("{host}:{port} (id: {id} rack: {rack} isFenced: false) -> ");
        let answer = admin
            .request(
                Destination::Broker(id),
                |_| ApiVersionsRequest {
                    client_software_name: "logway-cli".into(),
                    client_software_version: env!("CARGO_PKG_VERSION").into(),
                },
                |_| 0,
            )
            .await;
        match answer {
            Ok(response) => {
                let served: Vec<_> = response
                    .api_keys
                    .iter()
                    .map(|api| (api.api_key, api.min_version, api.max_version))
                    .collect();
                out(format!("{head}(\n\t{}\n)", lines(&served).join(",\n\t")));
            }
            Err(error) => out(format!(
                "{head}ERROR: {}",
                Exception::of_call(&error, "apiVersions")
            )),
        }
    }
    Ok(0)
}

fn lines(served: &[(i16, i16, i16)]) -> Vec<String> {
    let known = ApiKey::ALL.iter().map(|key| key.code());
    let mut keys: Vec<i16> = known.filter(|key| !NOT_OF_CLIENTS.contains(key)).collect();
    keys.extend(served.iter().map(|(key, ..)| *key));
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| {
            let name = ApiKey::from_code(key).map_or("UNKNOWN", ApiKey::name);
            match served.iter().find(|(served, ..)| *served == key) {
                None => format!("{name}({key}): UNSUPPORTED"),
                Some((_, min, max)) if min == max => {
                    format!("{name}({key}): {min} [usable: {max}]")
                }
                Some((_, min, max)) => format!("{name}({key}): {min} to {max} [usable: {max}]"),
            }
        })
        .collect()
}
