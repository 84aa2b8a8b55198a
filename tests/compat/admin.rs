//! The admin requests of one node, well and badly asked for: Logway and a real Apache Kafka give the
//! same codes, the same texts and the same state afterwards. Ids, times, sizes of disks and the order of
//! lists that have none are left out.

use std::fmt::Debug;

use logway_protocol::{ErrorCode, Request, Text};

use crate::admin_cases::{self, Case};
use crate::node::Kafka;
use crate::odd::exchange::Connection;
use crate::{broker, peers, steady};

/// A broker that is asked, and what it said.
pub(crate) struct Asked {
    pub(crate) at: Connection,
    pub(crate) said: Vec<(String, String)>,
    marks: u32,
}

impl Asked {
    /// Asks, and notes what `shown` makes of the answer.
    pub(crate) async fn ask<R: Request + Debug>(
        &mut self,
        version: i16,
        request: &R,
        shown: impl FnOnce(R::Response) -> Vec<String>,
    ) {
        let said = match self.at.ask(version, request).await {
            Some(answer) => {
                let mut lines = shown(answer);
                lines.sort();
                lines.join("; ")
            }
            None => "no answer".to_owned(),
        };
        self.said.push((format!("v{version} {request:?}"), said));
    }

    /// Waits until everybody who is asked sees what was changed: at once in Logway, soon in Kafka.
    pub(crate) async fn settle(&mut self) {
        steady::changes(&mut self.at, &mut self.marks).await;
    }
}

/// A code by its name, and a text.
pub(crate) fn verdict(code: i16, message: Option<&Text>) -> String {
    let code = ErrorCode::from_code(code).name();
    // Kafka says nothing now with null, now with an empty text.
    let text = message.map_or("", |message| message.as_str());
    format!("{code} {text}")
}

pub(crate) async fn run(addr: &str, cases: &[Case]) -> Vec<(String, String)> {
    let mut asked = Asked {
        at: Connection::open(addr.parse().expect("IP:PORT")).await,
        said: Vec::new(),
        marks: 0,
    };
    for case in cases {
        case(&mut asked).await;
        asked.settle().await;
    }
    asked.said
}

/// What Kafka said and Logway did not, or otherwise.
pub(crate) fn differences(
    theirs: Vec<(String, String)>,
    ours: Vec<(String, String)>,
) -> Vec<String> {
    let pairs = theirs.into_iter().zip(ours);
    let found = pairs.filter(|((_, theirs), (_, ours))| theirs != ours);
    let found = found.map(|((what, theirs), (_, ours))| {
        format!("{what}\n    kafka:  {theirs}\n    logway: {ours}")
    });
    found.collect()
}

#[test]
fn admin_requests_are_answered_as_by_kafka() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(script) = peers::kafka() else { return };
    let kafka = Kafka::start(script, folder.path());
    let logway = broker(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cases = admin_cases::all();
    let theirs = runtime.block_on(run(&kafka.address(), &cases));
    let ours = runtime.block_on(run(&logway.address("kafka"), &cases));
    let found = differences(theirs, ours);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(logway.stop().success());
}
