//! Metrics of this host have Telegraf's names and are valid line protocol. Step 2 of the hallway.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use expect_test::expect;
use logway_config::agent::Metric;
use proptest::prelude::*;

use super::backlog::Backlog;
use super::line_protocol::{Point, Value};
use super::{Collector, Source, next_tick, rounded};
use crate::telemetry::Telemetry;
use std::time::Duration;

const ALL: [Metric; 5] = [
    Metric::Cpu,
    Metric::Mem,
    Metric::Disk,
    Metric::Net,
    Metric::Load,
];

/// A host whose figures are known.
fn known_host(dir: &Path) -> Source {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write("proc/stat", STAT_BEFORE);
    write("proc/loadavg", "0.52 0.58 0.59 3/602 29643\n");
    write("proc/uptime", "3151.81 4155.24\n");
    write("proc/net/dev", NET_DEV);
    write(
        "proc/net/snmp",
        "Ip: Forwarding DefaultTTL\nIp: 2 64\nTcp: ActiveOpens MaxConn\nTcp: 12 -1\n",
    );
    write(
        "proc/1/mounts",
        "overlay / overlay rw,relatime 0 0\nproc /proc proc rw 0 0\ntmpfs /run tmpfs rw 0 0\n",
    );
    write(
        "proc/meminfo",
        &fs::read_to_string("/proc/meminfo").expect("a Linux host"),
    );
    write("sys/class/net/eth0/flags", "0x1003\n");
    write("sys/class/net/eth0/speed", "1000\n");
    write("sys/class/net/lo/flags", "0x9\n");
    write("sys/class/net/down0/flags", "0x1002\n");
    let mut utmp = vec![0_u8; 3 * 384];
    for (at, user) in [(0, "ann"), (1, "bob"), (2, "ann")] {
        utmp[at * 384] = 7;
        utmp[at * 384 + 44..][..3].copy_from_slice(user.as_bytes());
    }
    utmp[384] = 8;
    fs::create_dir_all(dir.join("var/run")).expect("made");
    fs::write(dir.join("var/run/utmp"), utmp).expect("written");
    Source {
        proc: dir.join("proc"),
        sys: dir.join("sys"),
        var: dir.join("var"),
        mount_prefix: None,
    }
}

const STAT_BEFORE: &str = "cpu  100 10 50 800 20 5 5 10 30 5\ncpu0 100 10 50 800 20 5 5 10 30 5\nintr 1\nctxt 1\nbtime 1\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 1\n";
const STAT_AFTER: &str = "cpu  160 20 60 900 25 6 6 13 50 10\ncpu0 160 20 60 900 25 6 6 13 50 10\nintr 1\nctxt 1\nbtime 1\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 1\n";
const NET_DEV: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 13784544   25221    0    0    0     0          0         0 13784544   25221    0    0    0     0       0          0
 down0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  eth0: 431527793   15018    1    2    0     0          0         0  1279046   10160    3    4    0     0       0          0
";

fn collector(source: Source, families: &[Metric]) -> Collector {
    Collector::new(source, "web 1".into(), families, Telemetry::new())
}

#[test]
fn known_figures_come_out_as_telegraf_writes_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = known_host(dir.path());
    let mut collector = collector(source, &[Metric::Cpu, Metric::Net, Metric::Load]);
    fs::write(dir.path().join("proc/stat"), STAT_AFTER).expect("written");
    let lines = collector.collect(1_800_000_000_000_000_000).join("\n");
    expect![[r#"
        cpu,cpu=cpu-total,host=web\ 1 usage_user=21.052631578947366,usage_system=5.2631578947368425,usage_idle=52.63157894736842,usage_nice=2.6315789473684212,usage_iowait=2.6315789473684212,usage_irq=0.5263157894736842,usage_softirq=0.5263157894736842,usage_steal=1.5789473684210527,usage_guest=10.526315789473685,usage_guest_nice=2.6315789473684212 1800000000000000000
        cpu,cpu=cpu0,host=web\ 1 usage_user=21.052631578947366,usage_system=5.2631578947368425,usage_idle=52.63157894736842,usage_nice=2.6315789473684212,usage_iowait=2.6315789473684212,usage_irq=0.5263157894736842,usage_softirq=0.5263157894736842,usage_steal=1.5789473684210527,usage_guest=10.526315789473685,usage_guest_nice=2.6315789473684212 1800000000000000000
        net,host=web\ 1,interface=eth0 bytes_sent=1279046i,bytes_recv=431527793i,packets_sent=10160i,packets_recv=15018i,err_in=1i,err_out=3i,drop_in=2i,drop_out=4i,speed=1000i 1800000000000000000
        net,host=web\ 1,interface=all ip_forwarding=2i,ip_defaultttl=64i,tcp_activeopens=12i,tcp_maxconn=-1i 1800000000000000000
        system,host=web\ 1 load1=0.52,load5=0.58,load15=0.59,n_cpus=1i,n_users=2i,n_unique_users=1i,uptime=3151i 1800000000000000000"#]].assert_eq(&lines);
}

/// Field names by measurement.
fn fields(lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let (measurement, _, names) = parse(line);
        found.entry(measurement).or_insert(names);
    }
    found
}

#[test]
fn this_host_gives_all_families() {
    let mut collector = collector(Source::from_env(), &ALL);
    // Two readings are needed, and time between them.
    let mut lines = Vec::new();
    for _ in 0..1000 {
        lines = collector.collect(1);
        if lines.iter().any(|line| line.starts_with("cpu,")) {
            break;
        }
        std::thread::yield_now();
    }
    let found = fields(&lines);
    let all: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(all, ["cpu", "disk", "mem", "net", "system"]);
    for name in [
        "total",
        "available",
        "used",
        "used_percent",
        "huge_pages_total",
        "write_back_tmp",
        "sreclaimable",
    ] {
        assert!(
            found["mem"].iter().any(|field| field == name),
            "mem has no {name}"
        );
    }
    assert_eq!(found["mem"].len(), 34);
    assert_eq!(
        found["disk"],
        [
            "total",
            "free",
            "used",
            "used_percent",
            "inodes_total",
            "inodes_free",
            "inodes_used",
            "inodes_used_percent"
        ]
    );
    let root = lines
        .iter()
        .find(|line| line.contains(",path=/ "))
        .expect("the root file system");
    assert!(
        root.starts_with("disk,device=") && root.contains(",fstype=") && root.contains(",mode="),
        "{root}"
    );
}

#[test]
fn only_the_root_of_the_ignored_file_systems_is_reported() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut collector = collector(known_host(dir.path()), &[Metric::Disk]);
    let lines = collector.collect(1);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0]
            .starts_with("disk,device=overlay,fstype=overlay,host=web\\ 1,mode=rw,path=/ total="),
        "{lines:?}"
    );
}

#[test]
fn a_family_that_fails_is_counted_and_the_others_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = known_host(dir.path());
    fs::remove_file(dir.path().join("proc/meminfo")).expect("removed");
    let telemetry = Telemetry::new();
    let mut collector = Collector::new(
        source,
        "h".into(),
        &[Metric::Mem, Metric::Load],
        telemetry.clone(),
    );
    assert_eq!(collector.collect(1).len(), 1);
    assert!(
        telemetry
            .text()
            .contains("metric_errors_total{reason=\"mem\"} 1")
    );
}

/// Reads a line back: measurement, tags, field names.
fn parse(line: &str) -> (String, Vec<(String, String)>, Vec<String>) {
    // A backslash escapes only what is special; before anything else it stands for itself.
    let escapes = |text: &str| text.starts_with('\\') && text[1..].starts_with([',', '=', ' ']);
    let split = |text: &str, at: char| -> Vec<String> {
        let (mut parts, mut rest) = (vec![String::new()], text);
        while let Some(c) = rest.chars().next() {
            let taken = if escapes(rest) { 2 } else { c.len_utf8() };
            if taken == 1 && c == at {
                parts.push(String::new());
            } else {
                parts
                    .last_mut()
                    .expect("never empty")
                    .push_str(&rest[..taken]);
            }
            rest = &rest[taken..];
        }
        parts
    };
    let plain = |text: &str| -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(c) = rest.chars().next() {
            if escapes(rest) {
                rest = &rest[1..];
                continue;
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
        out
    };
    let parts = split(line, ' ');
    assert_eq!(parts.len(), 3, "series, fields, time: {line}");
    let mut series = split(&parts[0], ',').into_iter();
    let measurement = series.next().expect("a measurement");
    let pair = |text: String| {
        let both = split(&text, '=');
        assert_eq!(both.len(), 2, "{text}");
        (plain(&both[0]), plain(&both[1]))
    };
    let fields = split(&parts[1], ',')
        .into_iter()
        .map(|field| pair(field).0)
        .collect();
    (measurement, series.map(pair).collect(), fields)
}

proptest! {
    #[test]
    fn any_names_and_values_stay_one_line(value in "[ -~\n\r\t,= \\\\é]{1,20}", name in "[a-z,= ]{1,8}") {
        let point = Point::new("m").tag("t", value.clone()).field(name.clone(), Value::Integer(1));
        let line = point.line(5).expect("a field");
        prop_assert!(!line.contains('\n') && !line.contains('\r'));
        let (measurement, tags, fields) = parse(&line);
        prop_assert_eq!(measurement, "m");
        prop_assert_eq!(fields, vec![name]);
        if let Some((_, read)) = tags.first() {
            let kept: String = value.trim_end_matches('\\').chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            prop_assert_eq!(read, &kept);
        }
    }
}

#[test]
fn what_is_no_number_is_left_out() {
    assert_eq!(Point::new("m").float("a", f64::NAN).line(1), None);
    let line = Point::new("m")
        .float("a", f64::INFINITY)
        .float("b", 1.5)
        .tag("empty", "")
        .line(1);
    assert_eq!(line.as_deref(), Some("m b=1.5 1"));
    let large = Point::new("m").field("a", u64::MAX).line(1);
    assert_eq!(large.as_deref(), Some("m a=9223372036854775807i 1"));
}

#[test]
fn collections_lie_on_whole_intervals() {
    assert!(next_tick(Duration::from_secs(10)) <= Duration::from_secs(10));
    let wall = Duration::from_millis(1_234_567);
    assert_eq!(
        rounded(wall, Duration::from_secs(10)),
        Duration::from_secs(1234)
    );
    assert_eq!(
        rounded(wall, Duration::from_millis(100)),
        Duration::from_millis(1_234_567)
    );
}

#[test]
fn a_full_backlog_drops_the_oldest_and_counts_them() {
    let backlog = Backlog::default();
    let batch = |number: u8| logway_client::EncodedBatch {
        bytes: vec![number; 1 << 20].into(),
        records: 10,
        when_too_large: logway_client::WhenTooLarge::Split,
    };
    let dropped: u64 = (0..6).map(|number| backlog.push(batch(number))).sum();
    assert_eq!(dropped, 20);
    backlog.close();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let left: Vec<u8> = runtime.block_on(async {
        let mut left = Vec::new();
        while let Some(batch) = backlog.take().await {
            left.push(batch.bytes[0]);
        }
        left
    });
    assert_eq!(left, [2, 3, 4, 5]);
}
