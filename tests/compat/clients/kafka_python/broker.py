"""The broker under test: its topics, producers and consumers, and waiting with an end."""

import functools
import os
import subprocess
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

AT = None
PATIENCE_S = 120


@functools.cache
def admin():
    return KafkaAdminClient(bootstrap_servers=AT)


def make(topic, partitions=1, **settings):
    """Makes a topic; settings have _ for each dot."""
    configs = {name.replace("_", "."): value for name, value in settings.items()}
    new = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
    admin().create_topics({topic: new}, wait_for_metadata=True)
    return topic


def producer(**settings):
    return KafkaProducer(**{"bootstrap_servers": AT, "acks": "all", **settings})


def consumer(group, *topics, **settings):
    defaults = {
        "bootstrap_servers": AT,
        "group_id": group,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "session_timeout_ms": 6000,
        "heartbeat_interval_ms": 500,
        "fetch_max_wait_ms": 100,
    }
    return KafkaConsumer(*topics, **{**defaults, **settings})


def send(through, topic, values, **more):
    """Sends and waits for all of them; the names of the errors of those that were refused."""
    sent = [through.send(topic, value, **more) for value in values]
    through.flush(PATIENCE_S)
    errors = []
    for future in sent:
        try:
            future.get(PATIENCE_S)
        except Exception as error:
            errors.append(type(error).__name__)
    return errors


def fill(topic, numbers, partitions):
    """One record per number, round the partitions."""
    through = producer(linger_ms=20)
    for number in numbers:
        through.send(topic, str(number).encode(), partition=number % partitions)
    through.flush(PATIENCE_S)
    through.close()


def read(topic, partition=0, isolation="read_committed"):
    """All records of a partition, up to the end that this isolation sees."""
    place = TopicPartition(topic, partition)
    reader = consumer(None, isolation_level=isolation)
    reader.assign([place])
    reader.seek(place, reader.beginning_offsets([place])[place])
    end = reader.end_offsets([place])[place]
    found, until_s = [], time.monotonic() + PATIENCE_S
    while reader.position(place) < end:
        assert time.monotonic() < until_s, f"no more of {topic} came"
        for records in reader.poll(timeout_ms=200).values():
            found.extend(records)
    reader.close()
    return found


def values(topic, partition=0, isolation="read_committed"):
    return [record.value.decode() for record in read(topic, partition, isolation)]


def markers_written(topic, partition):
    """Waits until no transaction is open: who commits is answered before the markers are written."""
    place = TopicPartition(topic, partition)
    readers = [consumer(None, isolation_level=level) for level in ["read_committed", "read_uncommitted"]]

    def is_settled():
        committed, uncommitted = [reader.end_offsets([place])[place] for reader in readers]
        return committed == uncommitted

    until(f"the markers in {topic}", is_settled)
    for reader in readers:
        reader.close()


def until(what, look, seconds=PATIENCE_S):
    """Looks until `look` says yes."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise SystemExit(f"waited for {what() if callable(what) else what}")
    return found


def outcome(ask):
    """What a call comes to: `ok`, or the name of its error."""
    try:
        ask()
        return "ok"
    except Exception as error:
        return type(error).__name__


def start(*words):
    """This program as another process, with a part of its own to play. Its lines can be read."""
    program = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, program, words[0], AT, *words[1:]]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def await_line(process, line):
    """Reads what the process says until it says `line`."""
    for said in process.stdout:
        if said.strip() == line:
            return
    raise SystemExit(f"a process ended without saying {line!r}")


def end_at_once(status):
    """Without the client's end, which would leave groups and abort transactions."""
    sys.stdout.flush()
    os._exit(status)
