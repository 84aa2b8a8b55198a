//! `logway consume`: where it begins and ends.

use crate::broker::Broker;

#[test]
fn a_group_begins_where_it_is_told_and_goes_on_where_it_left_off() {
    let broker = Broker::start();
    broker.done("logway", &["produce", "lines"], "one\ntwo\nthree\nfour\n");
    let read = |from: &str, count: &str| {
        let args = [
            "consume", "lines", "-g", "readers", "--from", from, "-n", count,
        ];
        broker.done("logway", &args, "")
    };
    assert_eq!(read("1", "2"), "two\nthree\n");
    assert_eq!(read("0", "1"), "four\n", "it left off there");
}

#[test]
fn an_hour_ago_is_the_beginning_of_what_is_new() {
    let broker = Broker::start();
    broker.done("logway", &["produce", "lines"], "one\ntwo\n");
    for group in [&[][..], &["-g", "readers"]] {
        let args = [&["consume", "lines", "--from", "-1h", "-n", "2"], group].concat();
        assert_eq!(broker.done("logway", &args, ""), "one\ntwo\n");
    }
    let all = ["consume", "lines", "--exit"];
    assert_eq!(broker.done("logway", &all, ""), "one\ntwo\n");
}
