//! Traffic of network interfaces and protocols, with Telegraf's `net` fields. Step 2 of the hallway, for
//! metrics.
//!
//! As Telegraf does by default: the loopback and interfaces that are down are left out, and the counters of
//! `/proc/net/snmp` come with `interface=all`.

use std::fs;

use procfs::net::InterfaceDeviceStatus;
use procfs::{FromRead, ProcError};

use super::line_protocol::{Point, Value};
use super::source::Source;

const FLAG_UP: u32 = 0x1;
const FLAG_LOOPBACK: u32 = 0x8;

pub(crate) fn collect(source: &Source) -> Result<Vec<Point>, ProcError> {
    let InterfaceDeviceStatus(devices) =
        InterfaceDeviceStatus::from_file(source.proc.join("net/dev"))?;
    let mut devices: Vec<_> = devices.into_values().collect();
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    let mut points = Vec::new();
    for device in devices
        .iter()
        .filter(|device| is_wanted(source, &device.name))
    {
        let point = Point::new("net")
            .tag("interface", device.name.as_str())
            .field("bytes_sent", device.sent_bytes)
            .field("bytes_recv", device.recv_bytes)
            .field("packets_sent", device.sent_packets)
            .field("packets_recv", device.recv_packets)
            .field("err_in", device.recv_errs)
            .field("err_out", device.sent_errs)
            .field("drop_in", device.recv_drop)
            .field("drop_out", device.sent_drop)
            .field("speed", Value::Integer(speed(source, &device.name)));
        points.push(point);
    }
    if let Ok(text) = fs::read_to_string(source.proc.join("net/snmp")) {
        points.push(protocols(&text));
    }
    Ok(points)
}

fn is_wanted(source: &Source, name: &str) -> bool {
    let flags = fs::read_to_string(source.sys.join("class/net").join(name).join("flags"));
    let digits = flags.ok().and_then(|text| {
        let text = text.trim().trim_start_matches("0x");
        u32::from_str_radix(text, 16).ok()
    });
    digits.map_or(name != "lo", |flags| {
        flags & FLAG_UP != 0 && flags & FLAG_LOOPBACK == 0
    })
}

/// Megabits per second; -1 where the driver does not say.
fn speed(source: &Source, name: &str) -> i64 {
    let text = fs::read_to_string(source.sys.join("class/net").join(name).join("speed"));
    text.ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(-1)
}

/// The counters of all protocols: lines come in pairs, names and values.
pub(super) fn protocols(text: &str) -> Point {
    let mut point = Point::new("net").tag("interface", "all");
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let protocol = names.split(':').next().unwrap_or_default().to_lowercase();
        let values = values.split_whitespace().skip(1);
        for (name, value) in names.split_whitespace().skip(1).zip(values) {
            if let Ok(value) = value.parse() {
                point = point.field(
                    format!("{protocol}_{}", name.to_lowercase()),
                    Value::Integer(value),
                );
            }
        }
    }
    point
}
