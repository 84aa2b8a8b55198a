"""Reads numbers, writes their squares exactly once, and is stopped in the middle of it.

python transform.py BOOTSTRAP
"""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
COUNT = 120


def topics():
    made = [NewTopic(name, 3, 1) for name in ("numbers", "squares")]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics(made).values():
        future.result(60)
    source = Producer({"bootstrap.servers": bootstrap})
    for number in range(COUNT):
        source.produce("numbers", value=str(number), partition=number % 3)
    source.flush(60)


def consumer(group, topic, isolation="read_committed"):
    made = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "session.timeout.ms": 6000,
        }
    )
    made.subscribe([topic])
    return made


def producer(timeout=60000):
    made = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": "squarer",
            "transaction.timeout.ms": timeout,
            "linger.ms": 0,
        }
    )
    made.init_transactions(60)
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
    """Commits `rounds` transactions (None: until nothing more comes), then one more with `end`."""
    done = 0
    while rounds is None or done <= rounds:
        records = [r for r in source.consume(5, 5) if not r.error()]
        if not records:
            if rounds is None:
                return
            continue
        sink.begin_transaction()
        for record in records:
            value = str(int(record.value()) ** 2)
            sink.produce("squares", value=value, key=record.value(), partition=record.partition())
        positions = source.position(source.assignment())
        known = [at for at in positions if at.offset >= 0]
        patiently(lambda: sink.send_offsets_to_transaction(known, source.consumer_group_metadata(), 60))
        if rounds is not None and done == rounds:
            return end(sink)
        patiently(lambda: sink.commit_transaction(60))
        done += 1


def squares(isolation):
    reader = consumer(f"look-{isolation}-{time.time()}", "squares", isolation)
    seen, silent = [], 0
    while silent < 3:
        record = reader.poll(2)
        silent = 0 if record else silent + 1
        if record and not record.error():
            seen.append(int(record.value()))
    reader.close()
    return seen


topics()
# One transaction is taken back by its producer, one by the next producer with the same id.
source = consumer("squarers", "numbers")
transform(source, producer(), 3, lambda sink: patiently(lambda: sink.abort_transaction(60)))
source.close()
source = consumer("squarers", "numbers")
left = producer()
transform(source, left, 3, lambda sink: sink.flush(60))
source.close()
source = consumer("squarers", "numbers")
transform(source, producer(), None, None)
source.close()
try:
    left.commit_transaction(30)
    print("the zombie committed")
except KafkaException as failure:
    print("the zombie is told that it is fenced:", failure.args[0].fatal())
committed = squares("read_committed")
print(len(committed), "committed,", len(set(committed)), "different")
assert sorted(committed) == [n * n for n in range(COUNT)], sorted(committed)
print("more were written than committed:", len(squares("read_uncommitted")) > COUNT)
