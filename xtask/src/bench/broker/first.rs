//! From exec on an empty folder to the first acknowledged record, by a client that asks all the time.

use serde_json::json;

use super::stage::{Stage, TOPIC};
use super::{Case, Figures};
use crate::bench::load::topics;
use crate::bench::server::{Setup, System};

/// The case that something must be reached in.
pub(super) const FIRST: &str = "start on an empty folder";

/// The only one.
pub(super) fn cases() -> Vec<Case> {
    vec![Case::new(FIRST, json!({}), measure)]
}

fn measure(stage: &mut Stage, system: System, figures: &mut Figures) -> anyhow::Result<()> {
    stage.rest()?;
    let mut server = stage.fresh(system, Setup::PLAIN)?;
    let begun = server.launch()?;
    let address = server.bootstrap.clone();
    let answered = server.wait_until(begun, || topics::answers(&address))?;
    let mut made = false;
    let acknowledged = server.wait_until(begun, || {
        if !made {
            topics::create_once(&address, TOPIC, 1)?;
            made = true;
        }
        topics::takes_record(&address, TOPIC)
    })?;
    figures.push(("exec to first answer, ms", answered.as_secs_f64() * 1e3));
    let acknowledged = acknowledged.as_secs_f64() * 1e3;
    figures.push(("exec to first acknowledged record, ms", acknowledged));
    Ok(())
}
