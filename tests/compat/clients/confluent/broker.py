"""The broker under test: its topics, producers and consumers, and waiting with an end."""

import functools
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

AT = None
PATIENCE_S = 120


@functools.cache
def admin():
    """One for all: futures of a client that is gone fail."""
    return AdminClient({"bootstrap.servers": AT})


def make(topic, partitions=1, **settings):
    """Makes a topic; settings have _ for each dot."""
    config = {name.replace("_", "."): value for name, value in settings.items()}
    admin().create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(PATIENCE_S)
    return topic


def producer(**settings):
    return Producer({"bootstrap.servers": AT, "linger.ms": 0, **dotted(settings)})


def consumer(group, **settings):
    defaults = {
        "bootstrap.servers": AT,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    classic = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    settings = dotted(settings)
    if settings.get("group.protocol") != "consumer":
        defaults.update(classic)
    return Consumer({**defaults, **settings})


def dotted(settings):
    return {name.replace("_", "."): value for name, value in settings.items()}


def send(through, topic, values, **more):
    """Sends and waits until the broker has them all; the errors of those that it refused."""
    errors = []

    def done(error, _):
        if error is not None:
            errors.append(error.name())

    for value in values:
        through.produce(topic, value=value, on_delivery=done, **more)
    left = through.flush(PATIENCE_S)
    assert left == 0, f"{left} records were not delivered"
    return errors


def fill(topic, numbers, partitions):
    """One record per number, round the partitions."""
    through = producer(linger_ms=20)
    for number in numbers:
        through.produce(topic, value=str(number), partition=number % partitions)
    assert through.flush(PATIENCE_S) == 0


def read(topic, partition=0, isolation="read_committed"):
    """All records of a partition, up to the end that this isolation sees."""
    settings = {"isolation_level": isolation, "enable_partition_eof": True, "fetch_wait_max_ms": 50}
    reader = consumer("confluent-reader", **settings)
    reader.assign([TopicPartition(topic, partition, 0)])
    found = []
    while True:
        message = reader.poll(PATIENCE_S)
        assert message is not None, f"no more of {topic} came"
        if message.error() is None:
            found.append(message)
        elif message.error().code() == KafkaError._PARTITION_EOF:
            break
        else:
            raise SystemExit(f"{topic}: {message.error()}")
    reader.close()
    return found


def values(topic, partition=0, isolation="read_committed"):
    return [message.value().decode() for message in read(topic, partition, isolation)]


def markers_written(topic, partition):
    """Waits until no transaction is open: who commits is answered before the markers are written."""
    place = TopicPartition(topic, partition)

    def end(isolation):
        found = admin().list_offsets({place: OffsetSpec.latest()}, isolation_level=isolation)
        return found[place].result(PATIENCE_S).offset

    def is_settled():
        return end(IsolationLevel.READ_COMMITTED) == end(IsolationLevel.READ_UNCOMMITTED)

    until(f"the markers in {topic}", is_settled)


def until(what, look, seconds=PATIENCE_S):
    """Looks until `look` says yes; it takes part of a second each time, or there is nothing to wait for."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise SystemExit(f"waited for {what}")
    return found


LINES = threading.local()


def say(*words):
    """Prints, or keeps the line for `side_by_side`."""
    kept = getattr(LINES, "kept", None)
    print(*words) if kept is None else kept.append(" ".join(map(str, words)))


def side_by_side(*parts):
    """Runs the parts at the same time; what they say comes in their order."""

    def run(part):
        LINES.kept = []
        part()
        return LINES.kept

    admin()
    with ThreadPoolExecutor(len(parts)) as threads:
        for lines in list(threads.map(run, parts)):
            print(*lines, sep="\n")


def outcome(ask):
    """What a call comes to: `ok`, or the name of its error and what the client may do about it."""
    try:
        ask()
        return "ok"
    except KafkaException as failure:
        error = failure.args[0]
        flags = [("fatal", error.fatal()), ("abort", error.txn_requires_abort()), ("retry", error.retriable())]
        return " ".join([error.name()] + [word for word, true in flags if true])


def start(*words):
    """This program as another process, with a part of its own to play. Its lines can be read."""
    program = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, program, words[0], AT, *words[1:]]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def await_line(process, line, members=()):
    """Reads what the process says until it says `line`; polls members, who may have to let it join."""

    def look():
        if line not in (said.strip() for said in process.stdout):
            raise SystemExit(f"a process ended without saying {line!r}")

    with ThreadPoolExecutor(1) as threads:
        looked = threads.submit(look)
        while members and not looked.done():
            for member in members:
                member.poll()
        looked.result()


def end_at_once(status):
    """Without the client's end, which would leave groups and abort transactions."""
    sys.stdout.flush()
    os._exit(status)
