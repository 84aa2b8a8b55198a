//! Command lines as people type them.

use super::{Opt, Parsed, flag, maybe, parse, value};

const OPTIONS: [Opt; 5] = [
    flag("list", ""),
    value("topic", ""),
    value("topic-id", ""),
    value("shift-by", ""),
    maybe("state", ""),
];

fn read(words: &[&str]) -> Result<Parsed, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    parse(&OPTIONS, &words)
}

#[test]
fn a_value_follows_or_is_joined() {
    for words in [&["--topic", "a"][..], &["--topic=a"], &["-topic", "a"]] {
        assert_eq!(read(words).expect("read").get("topic"), Some("a"));
    }
}

#[test]
fn the_exact_name_wins_and_a_beginning_does_if_it_is_the_only_one() {
    assert_eq!(
        read(&["--topic", "a"]).expect("read").get("topic"),
        Some("a")
    );
    assert!(read(&["--li"]).expect("read").has("list"));
    let error = read(&["--top", "a"]).expect_err("topic or topic-id");
    assert_eq!(error, "top is not a recognized option");
}

#[test]
fn a_value_may_be_negative() {
    let read = read(&["--shift-by", "-2"]).expect("read");
    assert_eq!(read.number::<i64>("shift-by"), Ok(Some(-2)));
}

#[test]
fn a_value_may_be_left_out_where_the_option_says_so() {
    let read = read(&["--state", "--list"]).expect("read");
    assert!(read.has("state") && read.has("list"));
    assert_eq!(read.get("state"), None);
}

#[test]
fn errors_are_in_known_words() {
    let error = read(&["--frobnicate"]).expect_err("no such option");
    assert_eq!(error, "frobnicate is not a recognized option");
    let error = read(&["--topic"]).expect_err("no value");
    assert_eq!(error, "Option topic requires an argument");
    let many = read(&["--shift-by", "many"]).expect("read");
    let error = many.number::<i64>("shift-by").expect_err("no number");
    assert_eq!(error, "Cannot parse argument 'many' of option shift-by");
}

#[test]
fn repeated_options_keep_their_order() {
    let read = read(&["--topic", "b", "--topic", "a", "word"]).expect("read");
    assert_eq!(read.all("topic").collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(read.rest, ["word"]);
}
