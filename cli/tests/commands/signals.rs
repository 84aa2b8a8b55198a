//! A signal ends what runs until it is stopped, in order and with the code that scripts know.

use crate::broker::Broker;

const SIGNALS: [(&str, i32); 2] = [("INT", 130), ("TERM", 143)];

#[test]
fn consumers_say_what_they_read_and_keep_their_place() {
    let broker = Broker::start();
    let lines = ["--topic", "lines"];
    broker.done("kafka-console-producer", &lines, "one\ntwo\nthree\n");
    for (signal, code) in SIGNALS {
        let args = ["--topic", "lines", "--from-beginning", "--group", signal];
        let mut tool = broker.run("kafka-console-consumer.sh", &args);
        for expected in ["one\n", "two\n", "three\n"] {
            assert_eq!(tool.line(), expected);
        }
        let (seen, stderr) = tool.end(signal);
        assert_eq!(seen, Some(code), "{stderr}");
        assert_eq!(stderr, "Processed a total of 3 messages\n");
        let described = broker.done(
            "kafka-consumer-groups",
            &["--describe", "--group", signal],
            "",
        );
        let row = described.lines().find(|line| line.starts_with(signal));
        let cells: Vec<&str> = row.expect("a row").split_whitespace().collect();
        assert_eq!(
            cells[..6],
            [signal, "lines", "0", "3", "3", "0"],
            "committed"
        );

        let own = format!("{signal}-own");
        for args in [&["consume", "lines"][..], &["consume", "lines", "-g", &own]] {
            let mut own = broker.run("logway", args);
            assert_eq!(own.line(), "one\n");
            // And nothing is said that is no result.
            assert_eq!(own.end(signal), (Some(code), String::new()));
        }
    }
}

#[test]
fn producers_end_while_their_input_is_open() {
    let broker = Broker::start();
    for (signal, code) in SIGNALS {
        for (name, command) in [("kafka-console-producer", "--topic"), ("logway", "produce")] {
            let topic = format!("{name}-{signal}");
            let mut tool = broker.run(name, &[command, &topic]);
            tool.write("a line\n");
            // Once it is there, the tool is known to listen.
            let read =
                format!("--topic {topic} --from-beginning --max-messages 1 --timeout-ms 60000");
            let read: Vec<&str> = read.split(' ').collect();
            assert_eq!(broker.done("kafka-console-consumer", &read, ""), "a line\n");
            let (seen, stderr) = tool.end(signal);
            assert_eq!(seen, Some(code), "{name}: {stderr}");
        }
    }
}

#[test]
fn measurements_can_be_cut_off() {
    let broker = Broker::start();
    let produce = "--topic perf --num-records 1000000 --throughput 100 --record-size 10 \
                   --reporting-interval 50";
    let consume = "--topic perf --num-records 1000000 --timeout 600000";
    for (signal, code) in SIGNALS {
        for (name, args) in [
            ("kafka-producer-perf-test", produce),
            ("kafka-consumer-perf-test", consume),
        ] {
            let args: Vec<&str> = args.split_whitespace().collect();
            let mut tool = broker.run(name, &args);
            assert!(tool.line().contains(','), "a report or the header");
            let (seen, stderr) = tool.end(signal);
            assert_eq!(seen, Some(code), "{name}: {stderr}");
        }
    }
}
