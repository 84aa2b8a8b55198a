//! Bad settings are named before anything is connected.

use std::time::Duration;

use super::{Acks, ClientConfig, ConsumerConfig, ProducerConfig};

fn client() -> ClientConfig {
    ClientConfig::new(["127.0.0.1:9092"])
}

#[test]
fn defaults_with_an_address_are_fine() {
    assert_eq!(
        ProducerConfig {
            client: client(),
            ..Default::default()
        }
        .check(),
        Ok(())
    );
    assert_eq!(
        ConsumerConfig {
            client: client(),
            ..Default::default()
        }
        .check(),
        Ok(())
    );
}

#[test]
fn addresses_need_host_and_port() {
    for bad in [
        "",
        "host",
        "host:",
        ":9092",
        "host:0",
        "host:70000",
        "host:x",
    ] {
        let error = ClientConfig::new([bad]).check().unwrap_err();
        assert_eq!(error.name, "bootstrap.servers", "{bad}");
    }
    assert_eq!(
        ClientConfig::default().check().unwrap_err().name,
        "bootstrap.servers"
    );
    assert_eq!(ClientConfig::new(["[::1]:9092"]).check(), Ok(()));
}

#[test]
fn idempotence_has_its_conditions() {
    let config = ProducerConfig {
        client: client(),
        acks: Acks::Leader,
        ..Default::default()
    };
    assert_eq!(config.check().unwrap_err().name, "enable.idempotence");
    let config = ProducerConfig {
        client: client(),
        max_in_flight: 6,
        ..Default::default()
    };
    assert_eq!(
        config.check().unwrap_err().to_string(),
        "client setting max.in.flight.requests.per.connection: is 6, allowed is 1 to 5"
    );
}

#[test]
fn heartbeats_must_fit_into_the_session() {
    let config = ConsumerConfig {
        client: client(),
        heartbeat_interval: Duration::from_secs(45),
        ..Default::default()
    };
    assert_eq!(config.check().unwrap_err().name, "heartbeat.interval.ms");
}

#[test]
fn transactions_and_groups_have_their_conditions() {
    let config = ProducerConfig {
        client: client(),
        enable_idempotence: false,
        transactional_id: Some("id".to_owned()),
        ..Default::default()
    };
    assert_eq!(config.check().unwrap_err().name, "transactional.id");
    let config = ConsumerConfig {
        client: client(),
        group_remote_assignor: Some("range".to_owned()),
        ..Default::default()
    };
    assert_eq!(config.check().unwrap_err().name, "group.remote.assignor");
    let config = ConsumerConfig {
        client: client(),
        group_instance_id: Some(String::new()),
        ..Default::default()
    };
    assert_eq!(config.check().unwrap_err().name, "group.instance.id");
}
