//! The broker's HTTP page, asked without an HTTP client.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Server, batch};

async fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn health_and_counters_are_served() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start_with(|settings| settings.http = Some(any)).await;
    let addr = server.broker.http_addr().unwrap();
    let mut client = server.connect().await;
    client.create_topic("t", 3).await;
    client.produce("t", -1, batch(&["a", "b"])).await;
    let health = get(addr, "/healthz").await;
    assert!(
        health.starts_with("HTTP/1.1 200") && health.ends_with("ok"),
        "{health}"
    );
    let metrics = get(addr, "/metrics").await;
    for line in [
        "logway_broker_requests_total{api=\"Produce\"} 1",
        "logway_broker_produced_records_total 2",
        "logway_broker_partitions 3",
        "logway_broker_topics 1",
        "logway_broker_connections 1",
        "logway_broker_sync_seconds_count 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "no `{line}` in {metrics}"
        );
    }
    assert!(metrics.ends_with("# EOF\n"));
    assert!(
        !server.broker.metrics_text().contains("# EOF"),
        "others' counters may follow"
    );
}
