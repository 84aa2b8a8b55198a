//! Starts and ends: what a clean stop, a kill and a second broker on the folder lead to.

use std::io;
use std::path::Path;

use logway_broker::{Broker, StartError};
use logway_config::broker::Broker as Settings;
use logway_protocol::message::metadata::MetadataRequest;
use tempfile::TempDir;

use crate::harness::{Client, PATIENCE, Server, batch, sequenced, settings, values};
use crate::produce::idempotent;

pub(crate) async fn start(folder: &Path, change: impl FnOnce(&mut Settings)) -> (Broker, Client) {
    let mut settings = settings(folder);
    change(&mut settings);
    let broker = Broker::start(settings).await.unwrap();
    let client = Client::connect(broker.kafka_addr()).await;
    (broker, client)
}

/// Copies a folder as the disk would show it after a kill at this moment: open files, no clean mark.
/// What the broker removes meanwhile (a deleted topic's folder) may be there, in part, or not.
pub(crate) fn copy_as_killed(from: &Path, to: &Path) {
    let present = |result: io::Result<_>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        result => Some(result.unwrap()),
    };
    for entry in present(std::fs::read_dir(from)).into_iter().flatten() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_as_killed(&entry.path(), &target);
        } else if let Err(error) = std::fs::copy(entry.path(), target) {
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
        }
    }
}

#[tokio::test]
async fn everything_is_there_after_a_clean_stop() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let created = client.create_topic("t", 1).await;
    client.produce("t", 1, batch(&["a", "b"])).await;
    drop(client);
    let folder = server.stop().await;
    assert!(folder.path().join(".kafka_cleanshutdown").exists());
    let (broker, mut client) = start(folder.path(), |_| {}).await;
    assert!(!folder.path().join(".kafka_cleanshutdown").exists());
    assert_eq!(values(&client.fetch("t", 0).await), ["a", "b"]);
    let id = created.topics[0].topic_id;
    client.delete_topic(id).await;
    broker.shutdown(PATIENCE).await;
}

/// A folder that another cluster has written, be it Kafka's, brings producers whose ids nobody gave out
/// here. A new one with such an id would have its first records taken for the old one's, sent again.
#[tokio::test]
async fn ids_of_producers_that_a_folder_brings_along_are_not_given_out() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let old = client.produce("t", -1, sequenced(&["old"], 0, 0, 0)).await;
    assert_eq!((old.error_code, old.base_offset), (0, 0));
    // Far from what anybody gives out: the ids do not end because of it.
    let odd = sequenced(&["odd"], i64::MAX, 0, 0);
    assert_eq!(client.produce("t", -1, odd).await.error_code, 0);
    drop(client);
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), |_| {}).await;
    let id = client.ask(4, &idempotent()).await.producer_id;
    let new = client.produce("t", -1, sequenced(&["new"], id, 0, 0)).await;
    assert_eq!((new.error_code, new.base_offset), (0, 2));
    let all = values(&client.fetch("t", 0).await);
    assert_eq!(all, ["old", "odd", "new"]);
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_kill_loses_neither_records_nor_sequences_nor_ids() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let id = client.ask(4, &idempotent()).await.producer_id;
    for sequence in 0..4 {
        let sent = sequenced(&[&sequence.to_string()], id, 0, sequence);
        assert_eq!(client.produce("t", -1, sent).await.error_code, 0);
    }
    let killed = tempfile::tempdir().unwrap();
    copy_as_killed(server.folder.path(), killed.path());

    let (broker, mut client) = start(killed.path(), |_| {}).await;
    assert_eq!(values(&client.fetch("t", 0).await), ["0", "1", "2", "3"]);
    // The producer did not hear of its last batches and sends them again.
    for sequence in 1..4 {
        let sent = sequenced(&[&sequence.to_string()], id, 0, sequence);
        let answer = client.produce("t", -1, sent).await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, i64::from(sequence))
        );
    }
    let answer = client.produce("t", -1, sequenced(&["4"], id, 0, 4)).await;
    assert_eq!((answer.error_code, answer.base_offset), (0, 4));
    assert!(client.ask(4, &idempotent()).await.producer_id > id);
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn sequences_survive_a_clean_stop_too() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client
        .produce("t", -1, sequenced(&["a", "b"], 7, 0, 0))
        .await;
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), |_| {}).await;
    let again = client
        .produce("t", -1, sequenced(&["a", "b"], 7, 0, 0))
        .await;
    assert_eq!((again.error_code, again.base_offset), (0, 0));
    let next = client.produce("t", -1, sequenced(&["c"], 7, 0, 2)).await;
    assert_eq!((next.error_code, next.base_offset), (0, 2));
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_the_rest_kept() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.produce("t", -1, batch(&["kept"])).await;
    let killed = tempfile::tempdir().unwrap();
    copy_as_killed(server.folder.path(), killed.path());
    let log = killed.path().join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let half = bytes.len() / 2;
    bytes.extend_from_within(..half);
    std::fs::write(&log, bytes).unwrap();
    let (broker, mut client) = start(killed.path(), |_| {}).await;
    assert_eq!(values(&client.fetch("t", 0).await), ["kept"]);
    assert_eq!(
        client.produce("t", -1, batch(&["next"])).await.base_offset,
        1
    );
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_stop_answers_who_waits() {
    let server = Server::start().await;
    let mut consumer = server.connect().await;
    consumer.create_topic("t", 1).await;
    consumer
        .send(12, &crate::requests::fetch_request("t", 0, 120_000))
        .await;
    server
        .wait_for_metric("logway_broker_requests_total{api=\"Fetch\"} 1")
        .await;
    let (stopped, frame) = tokio::join!(server.stop(), consumer.receive_frame());
    assert!(!frame.is_empty(), "the long poll was answered, not cut");
    assert!(stopped.path().join(".kafka_cleanshutdown").exists());
}

#[tokio::test]
async fn a_second_broker_on_the_folder_is_told_so() {
    let server = Server::start().await;
    let error = Broker::start(settings(server.folder.path()))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::DataDir(_)));
    assert!(error.to_string().contains("in use"), "{error}");
}

#[tokio::test]
async fn wrong_settings_say_which() {
    let server = Server::start().await;
    let taken = server.broker.kafka_addr();
    let folder = tempfile::tempdir().unwrap();
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings(folder.path());
        change(&mut settings);
        settings
    };
    let cases: [(Settings, &str); 3] = [
        (with(&|s| s.listen = taken), "setting listen"),
        (with(&|s| s.http = Some(taken)), "setting http"),
        (with(&|s| s.num_partitions = 0), "num_partitions"),
    ];
    for (settings, expected) in cases {
        let error = Broker::start(settings).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let folder = server.stop().await;
    let mut other = settings(folder.path());
    other.node_id = 2;
    let error = Broker::start(other).await.unwrap_err().to_string();
    assert!(error.contains("node.id=1"), "{error}");
}

/// A folder that a broker with a topic `t` of three records left cleanly, with these lines for it
/// and its neighbours in place of what a checkpoint says.
async fn left_with_lines(checkpoint: &str, lines: &[&str]) -> TempDir {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for value in ["a", "b", "c"] {
        client.produce("t", -1, batch(&[value])).await;
    }
    drop(client);
    let folder = server.stop().await;
    let text = format!("0\n{}\n{}\n", lines.len(), lines.join("\n"));
    std::fs::write(folder.path().join(checkpoint), text).unwrap();
    folder
}

fn lines(folder: &Path, checkpoint: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(checkpoint)).unwrap();
    text.lines().skip(2).map(str::to_owned).collect()
}

const LOG_STARTS: &str = "log-start-offset-checkpoint";
const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";

#[tokio::test]
async fn a_topic_made_again_does_not_begin_where_the_deleted_one_did() {
    // `ghost` was deleted by someone who left its line behind.
    let left = left_with_lines(LOG_STARTS, &["ghost 0 7", "t 0 2"]).await;
    let (broker, mut client) = start(left.path(), |_| {}).await;
    assert_eq!(values(&client.fetch("t", 2).await), ["c"]);
    assert_eq!(client.offset("t", -2).await.0, 2);
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let id = client.ask(12, &request).await.topics[0].topic_id;
    client.delete_topic(id).await;
    assert_eq!(lines(left.path(), LOG_STARTS), ["ghost 0 7"]);
    for topic in ["t", "ghost"] {
        client.create_topic(topic, 1).await;
        let answer = client.produce(topic, -1, batch(&["new"])).await;
        assert_eq!((answer.error_code, answer.base_offset), (0, 0), "{topic}");
    }
    let killed = tempfile::tempdir().unwrap();
    copy_as_killed(left.path(), killed.path());
    let (after, mut client) = start(killed.path(), |_| {}).await;
    for topic in ["t", "ghost"] {
        assert_eq!(values(&client.fetch(topic, 0).await), ["new"], "{topic}");
    }
    after.shutdown(PATIENCE).await;
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_no_longer_promised_to_have_it() {
    let promises = ["__cluster_metadata 0 900", "t 0 900"];
    let left = left_with_lines(RECOVERY_POINTS, &promises).await;
    std::fs::remove_file(left.path().join(".kafka_cleanshutdown")).unwrap();
    let (broker, mut client) = start(left.path(), |_| {}).await;
    // Nothing was appended yet: from now on, a crash must not find the new records promised.
    for line in lines(left.path(), RECOVERY_POINTS) {
        let point: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(point < 100, "{line}");
    }
    assert_eq!(values(&client.fetch("t", 0).await), ["a", "b", "c"]);
    broker.shutdown(PATIENCE).await;
}
