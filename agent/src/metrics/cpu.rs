//! Processor time by state, with Telegraf's `cpu` fields. Step 2 of the hallway, for metrics.
//!
//! **Invariant:** percentages are of the time between two readings, so the first reading gives none. Time of
//! guests is counted in `user` and `nice` by the kernel and taken out of them here, as Telegraf does.

use procfs::{CpuTime, FromReadSI, KernelStats, ProcError};

use super::line_protocol::Point;
use super::source::Source;

/// Remembers the last reading.
#[derive(Debug, Default)]
pub(crate) struct Cpu {
    last: Vec<(String, Ticks)>,
}

/// Ticks since boot by state.
#[derive(Debug, Clone, Copy, Default)]
struct Ticks {
    user: u64,
    system: u64,
    idle: u64,
    nice: u64,
    iowait: u64,
    irq: u64,
    softirq: u64,
    steal: u64,
    guest: u64,
    guest_nice: u64,
}

impl Cpu {
    pub(crate) fn collect(&mut self, source: &Source) -> Result<Vec<Point>, ProcError> {
        let info = procfs::current_system_info();
        let stats = KernelStats::from_file(source.proc.join("stat"), info)?;
        let mut now = vec![("cpu-total".to_owned(), Ticks::of(&stats.total))];
        let each = stats.cpu_time.iter().enumerate();
        now.extend(each.map(|(number, time)| (format!("cpu{number}"), Ticks::of(time))));
        let before = std::mem::replace(&mut self.last, now);
        let point = |(name, ticks): &(String, Ticks)| {
            let (_, earlier) = before.iter().find(|(other, _)| other == name)?;
            ticks.usage_since(earlier, name)
        };
        Ok(self.last.iter().filter_map(point).collect())
    }
}

impl Ticks {
    fn of(time: &CpuTime) -> Ticks {
        Ticks {
            user: time.user,
            system: time.system,
            idle: time.idle,
            nice: time.nice,
            iowait: time.iowait.unwrap_or(0),
            irq: time.irq.unwrap_or(0),
            softirq: time.softirq.unwrap_or(0),
            steal: time.steal.unwrap_or(0),
            guest: time.guest.unwrap_or(0),
            guest_nice: time.guest_nice.unwrap_or(0),
        }
    }

    /// All of the time; that of guests is part of `user` and `nice`.
    fn total(&self) -> u64 {
        self.user
            + self.system
            + self.nice
            + self.iowait
            + self.irq
            + self.softirq
            + self.steal
            + self.idle
    }

    fn usage_since(&self, before: &Ticks, cpu: &str) -> Option<Point> {
        let total = self
            .total()
            .checked_sub(before.total())
            .filter(|total| *total > 0)? as f64;
        // Single counters may step back (iowait does).
        let share = |now: u64, then: u64| 100.0 * (now as f64 - then as f64) / total;
        let guest = share(self.guest, before.guest);
        let guest_nice = share(self.guest_nice, before.guest_nice);
        let point = Point::new("cpu")
            .tag("cpu", cpu)
            .float("usage_user", share(self.user, before.user) - guest)
            .float("usage_system", share(self.system, before.system))
            .float("usage_idle", share(self.idle, before.idle))
            .float("usage_nice", share(self.nice, before.nice) - guest_nice)
            .float("usage_iowait", share(self.iowait, before.iowait))
            .float("usage_irq", share(self.irq, before.irq))
            .float("usage_softirq", share(self.softirq, before.softirq))
            .float("usage_steal", share(self.steal, before.steal))
            .float("usage_guest", guest)
            .float("usage_guest_nice", guest_nice);
        Some(point)
    }
}
