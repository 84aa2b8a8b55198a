//! The store's promises: all or nothing, once each, one owner, findable.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;

use super::*;
use crate::needle::Needle;
use crate::transform::{Received, Row, TopicKind, transform};

fn record(topic: &str, offset: i64, value: &[u8]) -> Received {
    Received {
        topic: Arc::from(topic),
        partition: 0,
        offset,
        timestamp: 1_000 + offset,
        value: Some(Bytes::copy_from_slice(value)),
        origin: None,
        position: None,
        host: None,
        path: None,
    }
}

fn from_file(mut record: Received, origin: &str, position: u64) -> Received {
    record.origin = Some(Bytes::copy_from_slice(origin.as_bytes()));
    record.position = Some(Bytes::from(position.to_string()));
    record.host = Some(Bytes::from_static(b"web-1"));
    record.path = Some(Bytes::from(format!("/var/log/{origin}.log")));
    record
}

fn rows(records: &[Received]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for record in records {
        let kind = if &*record.topic == "metrics" {
            TopicKind::Metrics
        } else {
            TopicKind::Logs
        };
        transform(kind, record, &mut rows);
    }
    rows
}

fn store_all(store: &mut Store, records: &[Received]) -> Applied {
    store.apply(&rows(records), &[]).unwrap()
}

fn advance(claim: &Claim, expected: i64, next: i64) -> Advance {
    Advance {
        group: claim.group.clone(),
        topic: claim.topic.clone(),
        partition: claim.partition,
        epoch: claim.epoch,
        expected,
        next,
    }
}

fn reader(path: &Path) -> Connection {
    schema::open_reader(path).unwrap()
}

fn bodies(conn: &Connection, filter: &LogFilter, page: Page) -> Vec<String> {
    let found = search::find(conn, filter, page).unwrap();
    found
        .rows
        .iter()
        .map(|row| String::from_utf8_lossy(&row.body).into_owned())
        .collect()
}

#[test]
fn rows_and_offsets_agree_after_the_process_died_inside_a_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let claim = store.claim("g", "logs", 0).unwrap();
    store.place(&claim, 0, Placement::First).unwrap();
    let first: Vec<_> = (0..10).map(|n| record("logs", n, b"kept")).collect();
    store
        .apply(&rows(&first), &[advance(&claim, 0, 10)])
        .unwrap();
    // The process dies with the next transaction open: its connection goes without a commit.
    let second: Vec<_> = (10..20).map(|n| record("logs", n, b"cut off")).collect();
    {
        let tx = store.conn.unchecked_transaction().unwrap();
        tx.execute("UPDATE offsets SET next_offset = 20", [])
            .unwrap();
        tx.execute(
            "INSERT INTO logs (id, ts, source, offset, format, body) VALUES (99, 0, 1, 10, 0, x'00')",
            [],
        )
        .unwrap();
        std::mem::forget(tx);
    }
    drop(store);

    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.next_offset("g", "logs", 0).unwrap(), Some(10));
    assert_eq!(store.counts().lines, 10);
    let conn = reader(&path);
    let count: i64 = conn
        .query_row("SELECT count(*) FROM logs", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 10);
    let claim = store.claim("g", "logs", 0).unwrap();
    assert_eq!(claim.next_offset, Some(10));
    store
        .apply(&rows(&second), &[advance(&claim, 10, 20)])
        .unwrap();
    assert_eq!(store.counts().lines, 20);
}

#[test]
fn a_line_is_stored_once_and_its_repeats_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("store.db")).unwrap();
    let once = from_file(record("logs", 0, b"a line"), "00000000000000aa", 0);
    // The agent sent it again: other offset, same origin and position.
    let again = from_file(record("logs", 7, b"a line"), "00000000000000aa", 0);
    let next = from_file(record("logs", 1, b"a line"), "00000000000000aa", 7);
    let other = from_file(record("logs", 2, b"a line"), "00000000000000bb", 0);
    let applied = store_all(&mut store, &[once, again, next, other]);
    assert_eq!((applied.lines, applied.repeats), (3, 1));
    // Without an origin the record itself is the identity.
    let applied = store_all(
        &mut store,
        &[record("app", 5, b"x"), record("app", 5, b"x")],
    );
    assert_eq!((applied.lines, applied.repeats), (1, 1));
    assert_eq!((store.counts().lines, store.counts().repeats), (4, 2));
}

#[test]
fn a_metric_is_stored_once_per_series_and_time_and_the_last_value_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let first = record(
        "metrics",
        0,
        b"cpu,host=a,cpu=cpu0 idle=1,busy=2i 1000000000",
    );
    // The same series with its tags in another order, and as JSON.
    let again = record("metrics", 1, b"cpu,cpu=cpu0,host=a idle=5 1000000000");
    let json =
        br#"{"name":"cpu","tags":{"host":"a","cpu":"cpu0"},"fields":{"idle":7},"timestamp":1}"#;
    let applied = store_all(&mut store, &[first, again, record("metrics", 2, json)]);
    assert_eq!(
        (applied.metrics, applied.points, applied.metric_repeats),
        (1, 2, 2)
    );
    let filter = MetricFilter {
        name: "cpu".into(),
        field: "idle".into(),
        tags: [("host".to_owned(), "a".to_owned())].into(),
        from_ns: 0,
        to_ns: 10_000_000_000,
        step_ns: 1_000_000_000,
        aggregate: Aggregate::Avg,
    };
    let (series, more) = super::series::query(&reader(&path), &filter).unwrap();
    assert!(!more);
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].points, [(1_000, 7.0)]);
}

#[test]
fn values_are_bucketed_by_every_aggregate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let lines: Vec<String> = (0..20_i64)
        .map(|n| format!("m v={n} {}", n * 1_000_000_000))
        .collect();
    let text = lines.join("\n") + "\nm big=18446744073709551615u 0\nm word=\"x\" 0";
    store_all(&mut store, &[record("metrics", 0, text.as_bytes())]);
    let conn = reader(&path);
    let query = |field: &str, aggregate| {
        let filter = MetricFilter {
            name: "m".into(),
            field: field.into(),
            tags: Default::default(),
            from_ns: 0,
            to_ns: 20_000_000_000,
            step_ns: 10_000_000_000,
            aggregate,
        };
        let (series, _) = super::series::query(&conn, &filter).unwrap();
        series
            .into_iter()
            .next()
            .map(|series| series.points)
            .unwrap_or_default()
    };
    assert_eq!(query("v", Aggregate::Avg), [(0, 4.5), (10_000, 14.5)]);
    assert_eq!(query("v", Aggregate::Min), [(0, 0.0), (10_000, 10.0)]);
    assert_eq!(query("v", Aggregate::Max), [(0, 9.0), (10_000, 19.0)]);
    assert_eq!(query("v", Aggregate::Sum), [(0, 45.0), (10_000, 145.0)]);
    assert_eq!(query("v", Aggregate::Last), [(9_000, 9.0), (19_000, 19.0)]);
    assert_eq!(query("v", Aggregate::Count), [(0, 10.0), (10_000, 10.0)]);
    assert_eq!(
        query("big", Aggregate::Max),
        [(0, 18_446_744_073_709_551_615.0)]
    );
    assert_eq!(query("word", Aggregate::Avg), []);
    assert_eq!(query("word", Aggregate::Count), [(0, 1.0)]);
}

#[test]
fn a_second_owner_fences_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("store.db")).unwrap();
    let first = store.claim("g", "logs", 0).unwrap();
    assert_eq!(first.next_offset, None);
    store.place(&first, 0, Placement::First).unwrap();
    store
        .apply(&rows(&[record("logs", 0, b"x")]), &[advance(&first, 0, 1)])
        .unwrap();
    let second = store.claim("g", "logs", 0).unwrap();
    assert!(second.epoch > first.epoch);

    let late = rows(&[record("logs", 1, b"y")]).len();
    assert_eq!(late, 1);
    let refused = store.apply(&rows(&[record("logs", 1, b"y")]), &[advance(&first, 1, 2)]);
    assert!(
        matches!(refused, Err(WriteError::Fenced { .. })),
        "{refused:?}"
    );
    assert_eq!(store.counts().lines, 1);
    // Also under the right epoch an offset moves only from where it is.
    let refused = store.apply(&rows(&[record("logs", 5, b"z")]), &[advance(&second, 5, 6)]);
    assert!(
        matches!(refused, Err(WriteError::Fenced { .. })),
        "{refused:?}"
    );
    assert!(matches!(
        store.place(&first, 0, Placement::First),
        Err(WriteError::Fenced { .. })
    ));
    store
        .apply(&rows(&[record("logs", 1, b"y")]), &[advance(&second, 1, 2)])
        .unwrap();
    assert_eq!(store.next_offset("g", "logs", 0).unwrap(), Some(2));
}

#[test]
fn offsets_of_a_topic_made_anew_name_other_records() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("store.db")).unwrap();
    let claim = store.claim("g", "app", 0).unwrap();
    store.place(&claim, 0, Placement::First).unwrap();
    store
        .apply(&rows(&[record("app", 0, b"old")]), &[advance(&claim, 0, 1)])
        .unwrap();
    let claim = store.claim("g", "app", 0).unwrap();
    store.place(&claim, 0, Placement::Recreated).unwrap();
    let applied = store
        .apply(&rows(&[record("app", 0, b"new")]), &[advance(&claim, 0, 1)])
        .unwrap();
    assert_eq!((applied.lines, applied.repeats), (1, 0));
    assert_eq!((store.counts().lines, store.counts().resets), (2, 1));
}

#[test]
fn two_stores_on_one_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/store.db");
    let store = Store::open(&path).unwrap();
    let refused = Store::open(&path).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, OpenError::Locked { .. }), "{text}");
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    drop(store);
    Store::open(&path).unwrap();
}

#[test]
fn a_full_disk_changes_nothing_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let claim = store.claim("g", "logs", 0).unwrap();
    store.place(&claim, 0, Placement::First).unwrap();
    store
        .conn
        .pragma_update(None, "max_page_count", 64)
        .unwrap();
    let big: Vec<_> = (0..500).map(|n| record("logs", n, &[b'x'; 4096])).collect();
    let error = store
        .apply(&rows(&big), &[advance(&claim, 0, 500)])
        .unwrap_err();
    assert!(matches!(error, WriteError::Full { .. }), "{error}");
    assert!(error.is_retriable());
    assert_eq!(store.counts().lines, 0);
    assert_eq!(store.next_offset("g", "logs", 0).unwrap(), Some(0));
    store
        .conn
        .pragma_update(None, "max_page_count", 1_000_000)
        .unwrap();
    store
        .apply(&rows(&big), &[advance(&claim, 0, 500)])
        .unwrap();
    assert_eq!(store.counts().lines, 500);
}

#[test]
fn bytes_that_are_not_utf8_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let odd: Vec<u8> = (0..=255).collect();
    store_all(
        &mut store,
        &[record("logs", 0, &odd), record("logs", 1, b"")],
    );
    let page = Page::by_id(Order::Ascending, 0, 10);
    let found = search::find(&reader(&path), &LogFilter::default(), page).unwrap();
    assert_eq!(found.rows[0].body, odd);
    assert_eq!(found.rows[1].body, b"");
}

/// A store with four lines of several kinds.
fn some_lines(dir: &Path) -> Connection {
    let path = dir.join("store.db");
    let mut store = Store::open(&path).unwrap();
    let json = br#"{"@timestamp":"1970-01-01T00:00:09Z","message":"say \"hi\"","level":"WARN","logger_name":"a.B","service":"users","host":"db"}"#;
    store_all(
        &mut store,
        &[
            from_file(
                record("logs", 0, b"081109 INFO Failed password for root"),
                "f1",
                0,
            ),
            from_file(record("logs", 1, b"[error] disk gone"), "f1", 40),
            from_file(record("logs", 2, b"failed PASSWORD again"), "f2", 0),
            record("app", 0, json),
        ],
    );
    reader(&path)
}

#[test]
fn lines_are_found_by_text() {
    let dir = tempfile::tempdir().unwrap();
    let conn = some_lines(dir.path());
    let newest = |filter: &LogFilter| bodies(&conn, filter, Page::by_time(Order::Descending, 10));
    let text = |query: &str| LogFilter {
        needles: Needle::new(query).into_iter().collect(),
        ..LogFilter::default()
    };
    assert_eq!(newest(&LogFilter::default()).len(), 4);
    assert!(
        newest(&LogFilter::default())[0].starts_with('{'),
        "by its own time, the newest"
    );
    assert_eq!(
        newest(&text("failed password")),
        [
            "failed PASSWORD again",
            "081109 INFO Failed password for root"
        ]
    );
    assert_eq!(
        newest(&text("say \"hi\"")).len(),
        1,
        "the message, not its JSON form"
    );
    assert_eq!(newest(&text("nowhere")).len(), 0);
    let words = LogFilter {
        needles: Needle::words("root failed"),
        ..LogFilter::default()
    };
    assert_eq!(newest(&words).len(), 1);
}

#[test]
fn lines_are_found_by_time_and_fields() {
    let dir = tempfile::tempdir().unwrap();
    let conn = some_lines(dir.path());
    let newest = |filter: &LogFilter| bodies(&conn, filter, Page::by_time(Order::Descending, 10));
    let range = LogFilter {
        from: Some(1_001),
        to: Some(1_002),
        ..LogFilter::default()
    };
    assert_eq!(newest(&range), ["[error] disk gone"]);
    let levels = LogFilter {
        levels: vec![
            crate::transform::Level::Error,
            crate::transform::Level::Warn,
        ],
        ..LogFilter::default()
    };
    assert_eq!(newest(&levels).len(), 2);
    let host = LogFilter {
        host: Some("web-1".into()),
        ..LogFilter::default()
    };
    assert_eq!(newest(&host).len(), 3);
    let json_host = LogFilter {
        host: Some("d*".into()),
        ..LogFilter::default()
    };
    assert_eq!(newest(&json_host).len(), 1);
    let file = LogFilter {
        path: Some("*/f1.log".into()),
        ..LogFilter::default()
    };
    assert_eq!(newest(&file).len(), 2);
    let service = LogFilter {
        service: Some("users".into()),
        logger: Some("a.B".into()),
        topic: Some("app".into()),
        partition: Some(0),
        ..LogFilter::default()
    };
    assert_eq!(newest(&service).len(), 1);
    let origin = LogFilter {
        origin: Some("f1".into()),
        ..LogFilter::default()
    };
    assert_eq!(newest(&origin).len(), 2);
    let nobody = LogFilter {
        host: Some("nobody".into()),
        ..LogFilter::default()
    };
    assert_eq!(newest(&nobody).len(), 0);
}

#[test]
fn pages_yield_each_line_once_in_both_orders() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let records: Vec<_> = (0..100)
        .map(|n| {
            let mut record = record("logs", n, format!("line {n}").as_bytes());
            record.timestamp = (n * 37) % 10;
            record
        })
        .collect();
    store_all(&mut store, &records);
    let conn = reader(&path);
    for first in [
        Page::by_time(Order::Descending, 7),
        Page::by_time(Order::Ascending, 7),
        Page::by_id(Order::Ascending, 0, 7),
        Page::by_id(Order::Descending, i64::MAX, 7),
    ] {
        let mut page = first;
        let mut seen = Vec::new();
        loop {
            let found = search::find(&conn, &LogFilter::default(), page).unwrap();
            seen.extend(found.rows.iter().map(|row| (row.timestamp, row.id)));
            let Some(next) = found.next else { break };
            page.after = next;
        }
        assert_eq!(seen.len(), 100);
        let mut sorted = seen.clone();
        match (first.after, first.order) {
            (Position::Time { .. }, Order::Ascending) => sorted.sort_unstable(),
            (Position::Time { .. }, Order::Descending) => sorted.sort_unstable_by(|a, b| b.cmp(a)),
            (Position::Id(_), Order::Ascending) => sorted.sort_unstable_by_key(|row| row.1),
            (Position::Id(_), Order::Descending) => sorted.sort_unstable_by_key(|row| -row.1),
        }
        sorted.dedup();
        assert_eq!(seen, sorted);
    }
}

#[test]
fn what_is_older_than_the_retention_goes_in_steps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let mut records: Vec<_> = (0..6_000).map(|n| record("logs", n, b"old")).collect();
    records.push(Received {
        timestamp: 900_000,
        ..record("logs", 6_000, b"new")
    });
    records.push(record(
        "metrics",
        0,
        b"m v=1 1000000000\nm v=2 900000000000\nnonsense",
    ));
    store_all(&mut store, &records);
    let mut sweep = Sweep::default();
    let mut steps = 1;
    while store.expire(500_000, &mut sweep).unwrap() {
        steps += 1;
    }
    assert!(steps > 1);
    let counts = store.counts();
    assert_eq!((counts.lines, counts.expired_lines), (1, 6_000));
    assert_eq!(
        (counts.points, counts.expired_points, counts.unparsed),
        (1, 1, 0)
    );
    // Ids are never used twice.
    assert_eq!(
        store_all(&mut store, &[record("logs", 7_000, b"newer")]).last_id,
        6_002
    );
}

#[test]
fn unparsed_lines_are_kept_with_reason_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let records = [record(
        "metrics",
        3,
        b"cpu idle=1 5\nbroken\ncpu idle=x 6\n\xff\xfe a=1",
    )];
    let applied = store_all(&mut store, &records);
    assert_eq!((applied.metrics, applied.unparsed), (1, 3));
    let applied = store_all(&mut store, &records);
    assert_eq!((applied.unparsed, applied.metric_repeats), (0, 1));
    let kept = super::series::unparsed(&reader(&path), i64::MAX, 10).unwrap();
    let kept: Vec<_> = kept
        .iter()
        .rev()
        .map(|row| {
            (
                row.topic.as_str(),
                row.offset,
                row.reason.as_str(),
                row.body.as_slice(),
            )
        })
        .collect();
    assert_eq!(
        kept,
        [
            ("metrics", 3, "field", b"broken".as_slice()),
            ("metrics", 3, "field", b"cpu idle=x 6"),
            ("metrics", 3, "not_utf8", b"\xff\xfe a=1"),
        ]
    );
}

#[test]
fn a_store_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    drop(Store::open(&path).unwrap());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let text = Store::open(&path).unwrap_err().to_string();
    assert!(text.contains("version 99"), "{text}");
}

/// Lines of few words in many orders, so that needles of any kind hit some.
fn many_lines(count: i64) -> Vec<Received> {
    let words = [
        "alpha",
        "Beta",
        "x1",
        "gamma-7",
        "\u{e9}t\u{e9}",
        "id=4711",
        "GET /users",
    ];
    (0..count)
        .map(|n| {
            let pick = |k: i64| words[((n * 31 + k * 17 + n / 7) % 7) as usize];
            let text = format!("{} {} {n} {}", pick(0), pick(1), pick(n % 5));
            let mut record = record("logs", n, text.as_bytes());
            record.timestamp = (n * 7919) % 500;
            record
        })
        .collect()
}

#[test]
fn the_block_index_gives_the_same_pages_as_looking_at_all_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let records = many_lines(1_500);
    // The block being filled survives a restart and a rollback.
    store_all(&mut store, &records[..700]);
    drop(store);
    let mut store = Store::open(&path).unwrap();
    let wrong = Advance {
        group: "g".into(),
        topic: "logs".into(),
        partition: 0,
        epoch: 9,
        expected: 0,
        next: 1,
    };
    assert!(store.apply(&rows(&records[700..900]), &[wrong]).is_err());
    store_all(&mut store, &records[700..]);
    let conn = reader(&path);
    let mut hits = 0;
    for query in [
        "alpha",
        "BETA x1",
        "gamma-7 1",
        " 1234 ",
        "été 7",
        "users",
        "absent",
        "4711",
    ] {
        for (from, to) in [(None, None), (Some(100), Some(300))] {
            let filter = LogFilter {
                needles: Needle::new(query).into_iter().collect(),
                from,
                to,
                ..LogFilter::default()
            };
            for first in [
                Page::by_time(Order::Descending, 9),
                Page::by_time(Order::Ascending, 9),
                Page::by_id(Order::Ascending, 0, 9),
                Page::by_id(Order::Descending, i64::MAX, 9),
            ] {
                let all = |find: fn(&Connection, &LogFilter, Page) -> rusqlite::Result<Found>| {
                    let mut page = first;
                    let mut ids = Vec::new();
                    loop {
                        let found = find(&conn, &filter, page).unwrap();
                        ids.extend(found.rows.iter().map(|row| row.id));
                        let Some(next) = found.next else { break ids };
                        page.after = next;
                    }
                };
                let walked = all(search::walk);
                assert_eq!(all(search::find), walked, "{query} {first:?}");
                assert!(query != "absent" || walked.is_empty());
                hits += walked.len();
            }
        }
    }
    assert!(hits > 1_000);
    let absent = LogFilter {
        needles: vec![Needle::new("absent").unwrap()],
        ..LogFilter::default()
    };
    let page = Page::by_time(Order::Descending, 9);
    assert!(
        search::find(&conn, &absent, page).unwrap().scanned < 300,
        "blocks are left out"
    );
}

#[test]
fn a_search_that_runs_out_of_time_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    store_all(&mut store, &many_lines(1_000));
    let conn = reader(&path);
    let filter = LogFilter {
        needles: vec![Needle::new("alpha").unwrap()],
        ..LogFilter::default()
    };
    let mut page = Page::by_time(Order::Descending, 10);
    page.time_max = std::time::Duration::ZERO;
    let found = search::find(&conn, &filter, page).unwrap();
    assert!(!found.complete && found.rows.is_empty());
    let stopped = Page {
        after: found.next.unwrap(),
        ..Page::by_time(Order::Descending, 10_000)
    };
    let all = Page::by_time(Order::Descending, 10_000);
    assert_eq!(bodies(&conn, &filter, stopped), bodies(&conn, &filter, all));
}
