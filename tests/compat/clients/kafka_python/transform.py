"""Reads numbers, writes their squares exactly once: taken back, left alone, killed, and finished."""

import sys

from kafka import OffsetAndMetadata, TopicPartition

from broker import await_line, consumer, fill, make, outcome, producer, start, values

COUNT, PARTITIONS = 120, 3
SOURCE, SINK = "kafka-python-transform-numbers", "kafka-python-transform-squares"
GROUP = "kafka-python-transform"


def reads():
    return consumer(GROUP, SOURCE, isolation_level="read_committed", max_poll_records=5)


def writes():
    made = producer(transactional_id="kafka-python-transform", transaction_timeout_ms=60000)
    made.init_transactions()
    return made


def transform(source, sink, rounds, end):
    """Commits `rounds` transactions (None: until all is read), then one more with `end`."""
    done = 0
    while rounds is None or done <= rounds:
        polled = source.poll(timeout_ms=500)
        records = [record for records in polled.values() for record in records]
        if not records:
            if rounds is None and sum(committed(source)) == COUNT:
                return
            continue
        sink.begin_transaction()
        for record in records:
            square = str(int(record.value) ** 2).encode()
            sink.send(SINK, square, key=record.value, partition=record.partition)
        known = {at: OffsetAndMetadata(records[-1].offset + 1, "", -1) for at, records in polled.items()}
        sink.send_offsets_to_transaction(known, source.group_metadata())
        if rounds is not None and done == rounds:
            return end(sink)
        sink.commit_transaction()
        done += 1


def committed(reader):
    return [reader.committed(TopicPartition(SOURCE, n)) or 0 for n in range(PARTITIONS)]


def transform_all():
    for topic in (SOURCE, SINK):
        make(topic, PARTITIONS)
    fill(SOURCE, range(COUNT), PARTITIONS)
    source = reads()
    transform(source, writes(), 3, lambda sink: sink.abort_transaction())
    told("taken back", source)
    source.close()
    source, left = reads(), writes()
    transform(source, left, 3, lambda sink: sink.flush())
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
        sink.flush()
        print("in the middle", flush=True)
        sys.stdin.read()
        raise SystemExit("was not killed")

    transform(reads(), writes(), 2, wait)


SCENARIOS = {"transform": transform_all, "transforms": transforms}
