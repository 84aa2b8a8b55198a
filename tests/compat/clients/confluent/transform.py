"""Reads numbers, writes their squares exactly once: taken back, left alone, killed, and finished."""

import sys

from confluent_kafka import KafkaException, TopicPartition

from broker import PATIENCE_S, await_line, consumer, fill, make, outcome, producer, start, values

COUNT, PARTITIONS = 120, 3
SOURCE, SINK = "confluent-transform-numbers", "confluent-transform-squares"
GROUP = "confluent-transform"


def reads():
    made = consumer(GROUP, isolation_level="read_committed")
    made.subscribe([SOURCE])
    return made


def writes():
    made = producer(transactional_id="confluent-transform", transaction_timeout_ms=60000)
    made.init_transactions(PATIENCE_S)
    return made


def patiently(ask):
    """Asks again while the broker says that it may."""
    while True:
        try:
            return ask()
        except KafkaException as failure:
            if not failure.args[0].retriable():
                raise


def transform(source, sink, rounds, end):
    """Commits `rounds` transactions (None: until all is read), then one more with `end`."""
    done = 0
    while rounds is None or done <= rounds:
        records = [record for record in source.consume(5, 1) if not record.error()]
        if not records:
            if rounds is None and sum(committed(source)) == COUNT:
                return
            continue
        sink.begin_transaction()
        for record in records:
            square = str(int(record.value()) ** 2)
            sink.produce(SINK, value=square, key=record.value(), partition=record.partition())
        known = [at for at in source.position(source.assignment()) if at.offset >= 0]
        group = source.consumer_group_metadata()
        patiently(lambda: sink.send_offsets_to_transaction(known, group, PATIENCE_S))
        if rounds is not None and done == rounds:
            return end(sink)
        patiently(lambda: sink.commit_transaction(PATIENCE_S))
        done += 1


def committed(reader):
    places = [TopicPartition(SOURCE, n) for n in range(PARTITIONS)]
    return [max(at.offset, 0) for at in reader.committed(places, PATIENCE_S)]


def transform_all():
    for topic in (SOURCE, SINK):
        make(topic, PARTITIONS)
    fill(SOURCE, range(COUNT), PARTITIONS)
    source = reads()
    transform(source, writes(), 3, lambda sink: patiently(lambda: sink.abort_transaction(PATIENCE_S)))
    told("taken back", source)
    source.close()
    source, left = reads(), writes()
    transform(source, left, 3, lambda sink: sink.flush(PATIENCE_S))
    source.close()
    with start("transforms") as process:
        await_line(process, "in the middle")
        process.kill()
    source = reads()
    transform(source, writes(), None, None)
    told("finished", source)
    source.close()
    print("the one left alone", outcome(left.commit_transaction))
    squares = found("read_committed")
    assert sorted(squares) == [n * n for n in range(COUNT)], sorted(squares)
    print(len(squares), "committed,", len(set(squares)), "different")
    print("more were written than committed:", len(found("read_uncommitted")) > COUNT)


def told(what, source):
    done = sum(committed(source))
    print(what, "offsets and squares agree", done == len(found("read_committed")))


def found(isolation):
    return [int(value) for n in range(PARTITIONS) for value in values(SINK, n, isolation)]


def transforms():
    """A process that is killed within its third transaction."""

    def wait(sink):
        sink.flush(PATIENCE_S)
        print("in the middle", flush=True)
        sys.stdin.read()
        raise SystemExit("was not killed")

    transform(reads(), writes(), 2, wait)


SCENARIOS = {"transform": transform_all, "transforms": transforms}
