//! A Kafka Streams application, unmodified: counts words with `exactly_once_v2` through a repartition and
//! a changelog topic, is cut off in the middle, and comes to the same exact counts on both brokers.

use std::path::Path;
use std::process::Command;

use crate::node::Kafka;
use crate::{broker, peers};

/// What the two lives of the application print.
fn count_words(script: &Path, at: &str, folder: &Path) -> String {
    let classpath = peers::ok(Command::new(script).arg("classpath"), "");
    let mut said = String::new();
    for life in ["first", "second"] {
        let mut java = Command::new("java");
        // For programs that run for seconds: no long compilation.
        java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.args(["-cp", classpath.trim()]);
        java.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/compat/WordCount.java"
        ));
        java.args([at, folder.to_str().expect("UTF-8"), life]);
        said.push_str(&peers::ok(&mut java, ""));
    }
    said
}

#[test]
fn streams_count_words_exactly_once() {
    let Some(script) = peers::kafka() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let logway = broker(folder.path());
    let state = folder.path().join("state-logway");
    let ours = count_words(&script, &logway.address("kafka"), &state);
    assert!(ours.ends_with("complete\n"), "{ours}");
    assert!(
        !ours.contains("TORN") && !ours.contains("TOO LATE"),
        "{ours}"
    );
    for line in [
        "all 2000\n",
        "word-count-by-word-repartition\n",
        "word-count-counted-changelog\n",
    ] {
        assert!(ours.contains(line), "{ours}");
    }
    assert!(logway.stop().success());
    let kafka = Kafka::start(script.clone(), folder.path());
    let state = folder.path().join("state-kafka");
    assert_eq!(ours, count_words(&script, &kafka.address(), &state));
}
