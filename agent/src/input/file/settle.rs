//! What follows from an outcome: the position moves, or the lines are sent again. Step 5 of the hallway.
//!
//! **Invariant:** a line is given up only when the broker refuses it alone as too large, and then counted and
//! named; every other refusal takes its files back to their acknowledged position.

use tracing::{error, warn};

use super::engine::{Clock, Engine};
use super::evidence::Frontier;
use crate::output::{Outcome, Refusal};
use crate::shipper::Settled;
use crate::telemetry::Telemetry;

impl Engine {
    pub(super) fn settle(&mut self, outcome: Outcome, clock: Clock) {
        let Some(settled) = self.shipper.settle(outcome) else {
            return;
        };
        match &settled.result {
            Ok(()) => {
                self.telemetry
                    .records_acked
                    .inc_by(settled.records.unsigned_abs().into());
                self.commit(&settled);
            }
            Err(Refusal::TooLarge) if settled.records <= 1 => {
                let covered = settled.covered.first();
                let tailed = covered.and_then(|covered| self.files.get(&covered.file));
                let path = tailed.map(|tailed| tailed.path.display().to_string());
                error!(
                    path, position = covered.map(|covered| covered.from), bytes = settled.bytes,
                    topic = %settled.topic,
                    "the broker refused a line as too large; it is given up, lower message_max_bytes"
                );
                Telemetry::count(&self.telemetry.records_dropped, "too_large", 1);
                Telemetry::count(
                    &self.telemetry.bytes_dropped,
                    "too_large",
                    settled.bytes as u64,
                );
                self.commit(&settled);
            }
            Err(Refusal::TooLarge) => self.send_again(&settled, "too_large"),
            Err(Refusal::Failed(problem)) => {
                warn!(topic = %settled.topic, problem, "a batch was refused; sending its lines again");
                self.hold_until = Some(clock.now + self.timing.resend_after);
                self.send_again(&settled, "refused");
            }
        }
    }

    fn commit(&mut self, settled: &Settled) {
        for covered in &settled.covered {
            let Some(tailed) = self.files.get_mut(&covered.file) else {
                continue;
            };
            if let Some((offset, tail)) = tailed.acks.acknowledge(covered.span) {
                let acked = Frontier::new(offset, &tail);
                self.store
                    .progress(covered.file, |known| known.acked = acked);
            }
        }
    }

    fn send_again(&mut self, settled: &Settled, reason: &'static str) {
        let recalled = self.shipper.recall(settled.lane);
        for covered in settled.covered.iter().chain(&recalled) {
            let Some(tailed) = self.files.get_mut(&covered.file) else {
                continue;
            };
            if !tailed.acks.knows(covered.span) {
                continue;
            }
            Telemetry::count(&self.telemetry.rewinds, reason, 1);
            tailed.rewind();
            if tailed.is_readable() && !tailed.queued && !self.draining {
                tailed.queued = true;
                self.ready.push_back(covered.file);
            }
        }
    }
}
