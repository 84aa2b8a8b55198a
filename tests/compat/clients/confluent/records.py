"""Records: all codecs; keys, headers, tombstones, timestamps; offsets by time; resets of offsets."""

import zlib

from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import OffsetSpec

from broker import PATIENCE_S, admin, consumer, make, outcome, producer, read, send, until, values

# Long ago: topics with such records keep them for ever, or they are gone when Kafka looks.
START_MS = 1_700_000_000_000
KINDS = {0: "none", 1: "create", 2: "append"}


def codecs():
    levels = [("none", None), ("gzip", 9), ("gzip", 1), ("snappy", None), ("lz4", 12), ("zstd", 6)]
    plain = [b"%d " % n + b"again and again " * (n % 40) for n in range(300)]
    for codec, level in levels:
        # What the broker keeps as it came, and what it packs anew.
        for kept in ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]:
            topic = make(f"confluent-codecs-{codec}-{level}-{kept}", compression_type=kept)
            settings = {"compression.type": codec, "linger.ms": 20}
            if level is not None:
                settings["compression.level"] = level
            refused = send(producer(**settings), topic, plain, partition=0)
            found = read(topic)
            same = [message.value() for message in found] == plain
            offsets = [message.offset() for message in found] == list(range(300))
            print(codec, level, "kept", kept, "refused", refused, len(found), same, offsets)


RECORDS = [
    (b"k", b"value", [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None)]),
    (b"k", None, [("why", b"gone")]),
    (None, b"no key", None),
    (b"", b"", []),
    (None, None, None),
    (b"\x00\xff", bytes(range(256)), [("h\u00e4der", "w\u00f6rt".encode())]),
]


def written(topic, **settings):
    through = producer(**settings)
    for n, (key, value, headers) in enumerate(RECORDS):
        time = START_MS + 1000 * n
        through.produce(topic, value=value, key=key, headers=headers, partition=0, timestamp=time)
    assert through.flush(PATIENCE_S) == 0
    for message in read(topic):
        kind, time = message.timestamp()
        time = time if kind == 1 else time > START_MS + 10**9
        print(topic, message.offset(), message.leader_epoch(), KINDS[kind], time, end=" ")
        print(message.key(), message.value(), message.headers())


def offsets(topic):
    asked = consumer("confluent-records")
    for time in [0, START_MS - 1, START_MS, START_MS + 1500, START_MS + 5000, START_MS + 5001, -1]:
        found = asked.offsets_for_times([TopicPartition(topic, 0, time)], PATIENCE_S)
        print(topic, "at", time - START_MS if time > 0 else time, [at.offset for at in found])
    print(topic, "from and to", asked.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE_S))
    asked.close()
    place = TopicPartition(topic, 0)
    kinds = [OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.max_timestamp()]
    for name, kind in zip(["earliest", "latest", "max timestamp"], kinds):
        found = admin().list_offsets({place: kind})[place].result(PATIENCE_S)
        time = found.timestamp - START_MS if name == "max timestamp" else found.timestamp
        print(topic, name, found.offset, time)


def records():
    plain = make("confluent-records", retention_ms="-1")
    written(plain, enable_idempotence=True, compression_type="gzip")
    offsets(plain)
    written(make("confluent-records-appended", message_timestamp_type="LogAppendTime"), acks="1")
    # Older than allowed, newer than allowed, too large, not compacted for want of a key.
    strict = make("confluent-records-strict", message_timestamp_before_max_ms="3600000")
    print("old", send(producer(), strict, [b"x"], timestamp=START_MS))
    ahead = make("confluent-records-ahead", message_timestamp_after_max_ms="3600000")
    print("ahead", send(producer(), ahead, [b"x"], timestamp=START_MS * 2))
    small = make("confluent-records-small", max_message_bytes="1000")
    print("small", send(producer(), small, [b"x" * 2000]), send(producer(), small, [b"x" * 100]))
    compacted = make("confluent-records-compacted", cleanup_policy="compact")
    print("no key", send(producer(), compacted, [b"x"]), send(producer(), compacted, [b"x"], key=b"k"))
    print("no partition", send(producer(), plain, [b"x"], partition=0), outcome(lambda: send_to(plain, 7)))
    print("acks 0", send(producer(acks="0"), plain, [b"y"], partition=0))
    until("the record without an answer", lambda: len(read(plain)) == len(RECORDS) + 2)
    exactly = producer(enable_idempotence=True, linger_ms=5)
    batches = [send(exactly, plain, [str(n) for n in range(at, at + 50)]) for at in range(0, 500, 50)]
    print("idempotent", batches == [[]] * 10, zlib.crc32(" ".join(values_of(plain)[-500:]).encode()))


def values_of(topic):
    return [str(message.value()) for message in read(topic)]


def send_to(topic, partition):
    through = producer(message_timeout_ms=5000)
    print(send(through, topic, [b"x"], partition=partition))


def started(topic, group, reset, offset=None):
    """A consumer that says where it stands: its first record, the end, or an error."""
    reader = consumer(group, auto_offset_reset=reset, enable_partition_eof=True)
    place = TopicPartition(topic, 0) if offset is None else TopicPartition(topic, 0, offset)
    reader.assign([place])
    return reader, told(reader)


def told(reader):
    message = reader.poll(PATIENCE_S)
    assert message is not None, "neither a record nor an error"
    error = message.error()
    if error is None:
        return f"record {message.offset()}"
    if error.code() == KafkaError._PARTITION_EOF:
        return f"end {message.offset()}"
    return error.name()


def resets():
    topic = make("confluent-resets", retention_ms="-1")
    through = producer()
    for n in range(10):
        through.produce(topic, value=str(n), partition=0, timestamp=START_MS + 1000 * n)
    assert through.flush(PATIENCE_S) == 0
    first = admin().delete_records([TopicPartition(topic, 0, 3)])
    print("first left", first[TopicPartition(topic, 0)].result(PATIENCE_S).low_watermark)
    # From no offset, from one before the first, from one behind the last.
    for reset in ["earliest", "latest", "error"]:
        for offset in [None, 1, 5, 10, 1000]:
            reader, where = started(topic, f"confluent-resets-{reset}", reset, offset)
            print(reset, "from", offset, where)
            reader.close()
    # What comes after a consumer of the latest has begun is read.
    reader, where = started(topic, "confluent-resets-after", "latest")
    send(producer(), topic, [b"new"], partition=0)
    print("latest", where, "then", told(reader))
    reader.close()
    # A committed offset goes before the reset; one that is gone is reset.
    for committed in [1, 7]:
        group = f"confluent-resets-committed-{committed}"
        reader = consumer(group)
        reader.commit(offsets=[TopicPartition(topic, 0, committed)], asynchronous=False)
        reader.close()
        for reset in ["earliest", "latest", "error"]:
            reader, where = started(topic, group, reset)
            print("committed", committed, reset, where)
            reader.close()
    reader, _ = started(topic, "confluent-resets-seek", "earliest")
    for time in [START_MS, START_MS + 5500, START_MS + 10**7]:
        found = reader.offsets_for_times([TopicPartition(topic, 0, time)], PATIENCE_S)[0]
        reader.seek(found)
        print("seek", time - START_MS, found.offset, told(reader))
    reader.close()
    print("left", values(topic))


SCENARIOS = {"codecs": codecs, "records": records, "resets": resets}
