//! Load, processors, users and uptime, with Telegraf's `system` fields. Step 2 of the hallway, for metrics.
//!
//! One line where Telegraf writes two of the same series and time: whoever keeps one value per series and
//! time keeps all fields.

use std::collections::HashSet;
use std::fs;
use std::io;

use super::line_protocol::{Point, Value};
use super::source::Source;

/// Size of a record of `utmp` on Linux, and where type and user stand in it.
const UTMP_BYTES: usize = 384;
const UTMP_USER: std::ops::Range<usize> = 44..76;
const UTMP_USER_PROCESS: u8 = 7;

pub(crate) fn collect(source: &Source) -> io::Result<Vec<Point>> {
    let load = fs::read_to_string(source.proc.join("loadavg"))?;
    let mut point = Point::new("system");
    for (name, text) in ["load1", "load5", "load15"]
        .into_iter()
        .zip(load.split_whitespace())
    {
        point = point.float(name, text.parse().unwrap_or(f64::NAN));
    }
    let stat = fs::read_to_string(source.proc.join("stat"))?;
    let is_cpu = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let cpus = stat.lines().filter(is_cpu).count() as u64;
    point = point.field("n_cpus", cpus);
    if let Ok(utmp) = fs::read(source.var.join("run/utmp")) {
        let users = users(&utmp);
        let unique: HashSet<&[u8]> = users.iter().copied().collect();
        point = point
            .field("n_users", users.len() as u64)
            .field("n_unique_users", unique.len() as u64);
    }
    let uptime = fs::read_to_string(source.proc.join("uptime"))?;
    let whole = uptime
        .split(['.', ' '])
        .next()
        .and_then(|text| text.parse().ok());
    if let Some(seconds) = whole {
        point = point.field("uptime", Value::Integer(seconds));
    }
    Ok(vec![point])
}

/// The names of the users that are logged in.
pub(super) fn users(utmp: &[u8]) -> Vec<&[u8]> {
    let (records, _torn) = utmp.as_chunks::<UTMP_BYTES>();
    let logged_in = records
        .iter()
        .filter(|record| record[..2] == [UTMP_USER_PROCESS, 0]);
    let name = |record: &'_ [u8]| {
        record
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(record.len())
    };
    logged_in
        .map(|record| &record[UTMP_USER])
        .map(|user| &user[..name(user)])
        .collect()
}
