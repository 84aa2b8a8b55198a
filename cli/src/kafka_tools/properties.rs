//! Settings of clients as Kafka's tools take them: files of `name=value` lines, and single pairs.
//!
//! Invariant: the last word wins; a setting that this client does not have changes nothing.

use std::time::Duration;

use logway_client::ClientConfig;

use super::exception::Exception;

/// Names and values, in order.
pub(super) type Properties = Vec<(String, String)>;

/// Reads a file of settings.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(path: &str) -> Result<Properties, Exception> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let class = match error.kind() {
            std::io::ErrorKind::NotFound => "java.nio.file.NoSuchFileException",
            _ => "java.io.IOException",
        };
        Exception::new(class, path)
    })?;
    Ok(text.lines().filter_map(pair_of_line).collect())
}

fn pair_of_line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', '!']) {
        return None;
    }
    let (name, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// Splits `name=value`, or `name` for an empty value.
pub(super) fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}

/// The last value of a setting.
pub(super) fn get<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    let found = properties.iter().rev().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// The last value of a setting as milliseconds.
pub(super) fn millis(properties: &Properties, name: &str) -> Option<Duration> {
    get(properties, name)?
        .parse()
        .ok()
        .map(Duration::from_millis)
}

/// How to reach the cluster, with what the settings say about it.
///
/// # Errors
/// The settings ask for a protocol that this client does not speak, or an address has no port.
pub(super) fn client(
    bootstrap: &str,
    properties: &Properties,
    client_id: &str,
) -> Result<ClientConfig, Exception> {
    if let Some(protocol) = get(properties, "security.protocol")
        && protocol != "PLAINTEXT"
    {
        return Err(Exception::new(
            "org.apache.kafka.common.config.ConfigException",
            format!("security.protocol {protocol} is not spoken, only PLAINTEXT"),
        ));
    }
    let addresses: Vec<String> = bootstrap
        .split(',')
        .map(str::trim)
        .filter(|address| !address.is_empty())
        .map(|address| {
            address
                .rsplit_once("://")
                .map_or(address, |(_, rest)| rest)
                .to_owned()
        })
        .collect();
    for address in &addresses {
        let port = address.rsplit_once(':').map(|(_, port)| port);
        if port.and_then(|port| port.parse::<u16>().ok()).is_none() {
            return Err(Exception::new(
                "org.apache.kafka.common.config.ConfigException",
                format!("Invalid url in bootstrap.servers: {address}"),
            ));
        }
    }
    let mut config = ClientConfig::new(addresses);
    config.client_id = get(properties, "client.id").unwrap_or(client_id).to_owned();
    for (name, to) in [
        ("request.timeout.ms", &mut config.request_timeout),
        ("default.api.timeout.ms", &mut config.default_api_timeout),
        ("metadata.max.age.ms", &mut config.metadata_max_age),
        ("reconnect.backoff.ms", &mut config.reconnect_backoff),
        (
            "reconnect.backoff.max.ms",
            &mut config.reconnect_backoff_max,
        ),
        ("retry.backoff.ms", &mut config.retry_backoff),
        ("retry.backoff.max.ms", &mut config.retry_backoff_max),
    ] {
        if let Some(value) = millis(properties, name) {
            *to = value;
        }
    }
    Ok(config)
}
