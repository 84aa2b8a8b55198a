//! Old segments go by age, but never where somebody's state is kept.

use bytes::Bytes;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;

use crate::configs::create_with;
use crate::groups::commit_request;
use crate::harness::{PATIENCE, Server, batch};

/// One old record with a key, as compacted topics want it.
fn keyed() -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder
        .append(1000, Some(b"key"), Some(b"old"), &[])
        .unwrap();
    builder.build().unwrap()
}

#[tokio::test]
async fn retention_spares_compacted_topics_and_the_brokers_own() {
    let server = Server::start_with(|settings| {
        settings.log.retention_ms = 1;
        settings.log.retention_bytes = 1;
        settings.log.retention_check_interval_ms = 1;
    })
    .await;
    let mut client = server.connect().await;
    let compacted = [("cleanup.policy", "compact")];
    let both = [("cleanup.policy", "compact,delete")];
    for (name, configs) in [
        ("compacted", &compacted[..]),
        ("both", &both[..]),
        ("plain", &[][..]),
        // What groups commit is about this one.
        ("t", &[][..]),
        // A state topic is kept even if a client made it, with other settings.
        ("__consumer_offsets", &[][..]),
    ] {
        create_with(&mut client, name, configs).await;
    }
    for name in ["compacted", "both"] {
        assert_eq!(client.produce(name, 1, keyed()).await.error_code, 0);
    }
    let committed = client.ask(8, &commit_request("g", 0, 5)).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    // Those that may lose their records do.
    client.produce("plain", 1, batch(&["old"])).await;
    let gone = async {
        while client.offset("plain", -2).await.0 == 0 || client.offset("both", -2).await.0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("retained");
    // That round may have passed the others before they had records: the next one has not.
    client.produce("plain", 1, batch(&["old"])).await;
    let again = async {
        while client.offset("plain", -2).await.0 == 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again)
        .await
        .expect("retained");
    assert_eq!(client.offset("compacted", -2).await.0, 0);
    assert_eq!(client.offset("__consumer_offsets", -2).await.0, 0);
    assert!(client.offset("__consumer_offsets", -1).await.0 > 0);
    // And the metadata log, from which everything else is known, begins where it began.
    let first = "__cluster_metadata-0/00000000000000000000.log";
    assert!(server.folder.path().join(first).exists());
}
