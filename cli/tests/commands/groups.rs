//! `logway groups`: offsets are moved.

use crate::broker::Broker;

#[test]
fn offsets_move_to_ends_numbers_and_times() {
    let broker = Broker::start();
    broker.done("logway", &["produce", "lines"], "one\ntwo\nthree\n");
    for (to, offset) in [
        ("latest", "3"),
        ("earliest", "0"),
        ("2", "2"),
        ("-1h", "0"),
        // Nothing is that late: what comes next.
        ("2100-01-01T00:00:00Z", "3"),
    ] {
        let args = ["groups", "reset", "readers", "-t", "lines", "--to", to];
        let table = broker.done("logway", &args, "");
        let row = table.lines().last().unwrap_or_default();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["readers", "lines", "0", offset], "{to}");
    }
}
