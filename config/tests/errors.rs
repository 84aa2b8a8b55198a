//! What a person reads after a mistake in a settings file.
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests fail by panicking"
)]

use std::{fs, path::Path};

use expect_test::{Expect, expect};
use logway_config::{ConfigError, agent::Agent, broker::Broker, pipeline::Pipeline};

/// Loads `text` as `name` and compares the error, with the folder taken off.
fn check<S>(load: fn(&Path) -> Result<S, ConfigError>, name: &str, text: &str, expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    let error = load(&file).err().expect("the file is wrong").to_string();
    expected.assert_eq(&error.replace(&format!("{}/", folder.path().display()), ""));
}

fn agent(text: &str, expected: Expect) {
    check(Agent::load, "agent.toml", text, expected);
}

fn broker(text: &str, expected: Expect) {
    check(Broker::load, "broker.toml", text, expected);
}

fn pipeline(text: &str, expected: Expect) {
    check(Pipeline::load, "pipeline.toml", text, expected);
}

#[test]
fn unknown_keys() {
    agent(
        "version = 1\n\n[[inputs]]\npaths = [\"a\"]\ntpic = \"logs\"\n",
        expect!["unknown key `tpic` in agent.toml line 5: did you mean `topic`?"],
    );
    agent(
        "[output]\ncomperssion = \"lz4\"\n",
        expect!["unknown key `comperssion` in agent.toml line 2: did you mean `compression`?"],
    );
    agent(
        "[metrics]\nqqq = 1\n",
        expect![
            "unknown key `qqq` in agent.toml line 2: the keys here are topic, interval_ms, collect"
        ],
    );
    broker(
        "log_segment_bytes = 1\n",
        expect![
            "unknown key `log_segment_bytes` in broker.toml line 1: did you mean `segment_bytes` in the section [log]?"
        ],
    );
    pipeline(
        "[stor]\n",
        expect!["unknown key `stor` in pipeline.toml line 1: did you mean `store`?"],
    );
}

#[test]
fn wrong_types() {
    broker(
        "num_partitions = \"many\"\n",
        expect![[
            r#"broker.toml line 1, column 18: `num_partitions`: invalid type: string "many", expected a whole number up to 2147483647"#
        ]],
    );
    broker(
        "num_partitions = 99999999999\n",
        expect![
            "broker.toml line 1, column 18: `num_partitions`: invalid value: integer `99999999999`, expected a whole number up to 2147483647"
        ],
    );
    broker(
        "auto_create_topics_enable = 1\n",
        expect![
            "broker.toml line 1, column 29: `auto_create_topics_enable`: invalid type: integer `1`, expected true or false"
        ],
    );
    broker(
        "listen = \"localhost:9092\"\n",
        expect![[
            r#"broker.toml line 1, column 10: `listen`: "localhost:9092" is not an address to listen on; write IP:PORT, such as "127.0.0.1:9092""#
        ]],
    );
    broker(
        "[log]\nretention_ms = \"7 weeks\"\n",
        expect![[
            r#"broker.toml line 2, column 16: `log.retention_ms`: "7 weeks" is not a number of milliseconds such as 10000 or "10s"; the units are ms, s, m, h, d"#
        ]],
    );
    broker(
        "[log]\nsegment_bytes = \"8GiB\"\n",
        expect![[
            r#"broker.toml line 2, column 17: `log.segment_bytes`: 8589934592 is out of range; expected a number of bytes such as 1048576 or "1MiB""#
        ]],
    );
    agent(
        "[output]\nacks = 0\n",
        expect![[r#"agent.toml line 2, column 8: `output.acks`: acks is "all" or "1", not "0""#]],
    );
    agent(
        "[output]\ncompression = \"lzma\"\n",
        expect![
            "agent.toml line 2, column 15: `output.compression`: unknown variant `lzma`, expected one of `none`, `gzip`, `snappy`, `lz4`, `zstd`"
        ],
    );
    agent(
        "[[inputs]]\npaths = \"/var/log/*.log\"\n",
        expect![[
            r#"agent.toml line 2, column 9: `inputs.0.paths`: invalid type: string "/var/log/*.log", expected a list in brackets"#
        ]],
    );
    agent(
        "[metrics]\ncollect = [\"cpu\", \"gpu\"]\n",
        expect![
            "agent.toml line 2, column 19: `metrics.collect`: unknown variant `gpu`, expected one of `cpu`, `mem`, `disk`, `net`, `load`"
        ],
    );
}

#[test]
fn out_of_range() {
    broker(
        "version = 2\n",
        expect!["broker.toml line 1, column 11: `version` must be from 1 to 1, is 2"],
    );
    broker(
        "num_partitions = 0\n",
        expect!["broker.toml line 1, column 18: `num_partitions` must be from 1 to 100000, is 0"],
    );
    broker(
        "advertised = \"broker-1\"\n",
        expect![[
            r#"broker.toml line 1, column 14: `advertised` must be "HOST:PORT", is "broker-1""#
        ]],
    );
    broker(
        "node_id = 1\n[log]\n\nsegment_bytes = 12\n",
        expect![
            "broker.toml line 4, column 17: `log.segment_bytes` must be from 1024 to 2147483647, is 12"
        ],
    );
    broker(
        "group_max_session_timeout_ms = 10\n",
        expect![
            "broker.toml line 1, column 32: `group_max_session_timeout_ms` must not be below group_min_session_timeout_ms (6000), is 10"
        ],
    );
    broker(
        "queued_max_bytes = 5000000\n",
        expect![
            "broker.toml line 1, column 20: `queued_max_bytes` must hold one request of socket_request_max_bytes (104857600)"
        ],
    );
}

#[test]
fn out_of_range_in_agent_and_pipeline() {
    agent(
        "[[inputs]]\npaths = [\"a\"]\n\n[[inputs]]\npaths = []\n",
        expect![
            "agent.toml line 5, column 9: `inputs.1.paths` must name at least one file pattern"
        ],
    );
    agent(
        "[[inputs]]\ntopic = \"logs\"\n",
        expect![
            "agent.toml line 1, column 1: `inputs.0.paths` must name at least one file pattern"
        ],
    );
    agent(
        "[[inputs]]\npaths = [\"a\"]\ntopic = \"my topic\"\n",
        expect![[
            r#"agent.toml line 3, column 9: `inputs.0.topic` must be a topic name: 1 to 249 of the characters a-z A-Z 0-9 . _ -, is "my topic""#
        ]],
    );
    agent(
        "state_dir = \"/tmp/x\"\n",
        expect![
            "agent.toml line 1, column 1: `inputs` is empty and there is no [metrics]: the agent would have nothing to do"
        ],
    );
    agent(
        "bootstrap = [\"a:1\", \"b\"]\n[metrics]\n",
        expect![[r#"agent.toml line 1, column 21: `bootstrap.1` must be "HOST:PORT", is "b""#]],
    );
    pipeline(
        "[topics]\nlogs = [\"x\"]\nmetrics = [\"y\", \"x\"]\n",
        expect![
            "pipeline.toml line 3, column 17: `topics.metrics.1` is also under `topics.logs`; a topic holds one kind of record"
        ],
    );
    pipeline(
        "bootstrap = []\n",
        expect![[
            r#"pipeline.toml line 1, column 13: `bootstrap` must name at least one broker as "HOST:PORT""#
        ]],
    );
}

#[test]
fn not_toml() {
    broker(
        "listen = 127.0.0.1\n",
        expect!["broker.toml line 1, column 15: not valid TOML: invalid float, expected nothing"],
    );
    broker(
        "data_dir = \"/x\n",
        expect![[
            r#"broker.toml line 1, column 15: not valid TOML: invalid basic string, expected `"`"#
        ]],
    );
    broker(
        "node_id = 1\nnode_id = 2\n",
        expect!["broker.toml line 2, column 1: not valid TOML: duplicate key"],
    );
}

#[test]
fn missing_file() {
    let error = Broker::load(Path::new("/nowhere/broker.toml")).unwrap_err();
    expect![
        "cannot read the settings file /nowhere/broker.toml: No such file or directory (os error 2)"
    ]
    .assert_eq(&error.to_string());
}

#[test]
fn columns_count_characters() {
    agent(
        "client_id = \"로그웨이\" # 로그\nhttp = \"x\"\n",
        expect![[
            r#"agent.toml line 2, column 8: `http`: "x" is not an address to listen on; write IP:PORT, such as "127.0.0.1:9092""#
        ]],
    );
    agent(
        "metrics = { topic = \"메트릭\", interval_ms = 1 }\n",
        expect![[
            r#"agent.toml line 1, column 21: `metrics.topic` must be a topic name: 1 to 249 of the characters a-z A-Z 0-9 . _ -, is "메트릭""#
        ]],
    );
}

#[test]
fn quantities_with_units() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.toml");
    let text = "message_max_bytes = \"2MiB\"\n[log]\nretention_ms = \"36h\"\nroll_ms = \"90s\"\n\
                segment_bytes = \"64 MiB\"\nretention_bytes = \"1TiB\"\n[flush]\nms = \"1s\"\n";
    fs::write(&file, text).unwrap();
    let broker = Broker::load(&file).unwrap();
    assert_eq!(broker.message_max_bytes, 2 << 20);
    assert_eq!(
        (broker.log.retention_ms, broker.log.roll_ms),
        (129_600_000, 90_000)
    );
    assert_eq!(
        (broker.log.segment_bytes, broker.log.retention_bytes),
        (64 << 20, 1 << 40)
    );
    assert_eq!(broker.flush.ms, Some(1000));
}
