"""Records: all codecs; keys, headers, tombstones, timestamps; offsets by time; resets of offsets."""

import zlib

from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import OffsetSpec
from kafka.codec import has_lz4, has_snappy, has_zstd
from kafka.errors import KafkaError

from broker import PATIENCE_S, admin, consumer, make, producer, read, send, until, values

# Long ago: topics with such records keep them for ever, or they are gone when Kafka looks.
START_MS = 1_700_000_000_000
KINDS = {0: "create", 1: "append"}


def codecs():
    """gzip is always there; the others where their modules are installed."""
    have = {"gzip": True, "snappy": has_snappy(), "lz4": has_lz4(), "zstd": has_zstd()}
    plain = [b"%d " % n + b"again and again " * (n % 40) for n in range(300)]
    for codec in [None] + [name for name, there in have.items() if there]:
        # What the broker keeps as it came, and what it packs anew.
        for kept in ["producer", "uncompressed"] + [name for name, there in have.items() if there]:
            topic = make(f"kafka-python-codecs-{codec}-{kept}", compression_type=kept)
            through = producer(compression_type=codec, linger_ms=20)
            refused = send(through, topic, plain, partition=0)
            through.close()
            found = read(topic)
            same = [record.value for record in found] == plain
            offsets = [record.offset for record in found] == list(range(300))
            print(codec, "kept", kept, "refused", refused, len(found), same, offsets)


RECORDS = [
    (b"k", b"value", [("a", b"1"), ("a", b"2"), ("empty", b"")]),
    (b"k", None, [("why", b"gone")]),
    (None, b"no key", []),
    (b"", b"", []),
    (b"\x00\xff", bytes(range(256)), [("h\u00e4der", "w\u00f6rt".encode())]),
]


def written(topic, **settings):
    through = producer(**settings)
    for n, (key, value, headers) in enumerate(RECORDS):
        time = START_MS + 1000 * n
        sent = through.send(topic, value, key, headers, partition=0, timestamp_ms=time)
        sent.get(PATIENCE_S)
    through.close()
    for record in read(topic):
        appended = record.timestamp_type == 1
        time = record.timestamp > START_MS + 10**9 if appended else record.timestamp
        print(topic, record.offset, record.leader_epoch, KINDS[record.timestamp_type], time, end=" ")
        print(record.key, record.value, list(record.headers))


def offsets(topic):
    place = TopicPartition(topic, 0)
    asked = consumer(None)
    for time in [0, START_MS - 1, START_MS, START_MS + 1500, START_MS + 4000, START_MS + 4001]:
        found = asked.offsets_for_times({place: time})[place]
        print(topic, "at", time - START_MS if time else time, found and (found.offset, found.timestamp))
    print(topic, "from and to", asked.beginning_offsets([place])[place], asked.end_offsets([place])[place])
    asked.close()
    for kind in [OffsetSpec.EARLIEST, OffsetSpec.LATEST, OffsetSpec.MAX_TIMESTAMP]:
        found = admin().list_partition_offsets({place: kind})[place]
        print(topic, kind.name, found.offset, found.timestamp)


def records():
    plain = make("kafka-python-records", retention_ms="-1")
    written(plain, enable_idempotence=True, compression_type="gzip")
    offsets(plain)
    written(make("kafka-python-records-appended", message_timestamp_type="LogAppendTime"), acks=1)
    strict = make("kafka-python-records-strict", message_timestamp_before_max_ms="3600000")
    print("old", send(producer(), strict, [b"x"], timestamp_ms=START_MS))
    ahead = make("kafka-python-records-ahead", message_timestamp_after_max_ms="3600000")
    print("ahead", send(producer(), ahead, [b"x"], timestamp_ms=START_MS * 2))
    small = make("kafka-python-records-small", max_message_bytes="1000")
    print("small", send(producer(), small, [b"x" * 2000]), send(producer(), small, [b"x" * 100]))
    compacted = make("kafka-python-records-compacted", cleanup_policy="compact")
    print("no key", send(producer(), compacted, [b"x"]), send(producer(), compacted, [b"x"], key=b"k"))
    print("acks 0", send(producer(acks=0, enable_idempotence=False), plain, [b"y"], partition=0))
    until("the record without an answer", lambda: len(read(plain)) == len(RECORDS) + 1)
    exactly = producer(enable_idempotence=True, linger_ms=5)
    batches = [send(exactly, plain, [b"%d" % n for n in range(at, at + 50)]) for at in range(0, 500, 50)]
    seen = " ".join(values_of(plain)[-500:])
    print("idempotent", batches == [[]] * 10, zlib.crc32(seen.encode()))


def values_of(topic):
    return [str(record.value) for record in read(topic)]


def told(reader, place):
    """What a consumer sees next: a record, the end, or an error."""

    def look():
        try:
            for records in reader.poll(timeout_ms=100, max_records=1).values():
                return f"record {records[0].offset}"
            at = reader.position(place, timeout_ms=10000)
            if at is not None and at == reader.end_offsets([place])[place]:
                return f"end {at}"
        except KafkaError as error:
            return type(error).__name__
        return None

    return until("a record, the end or an error", look)


def started(topic, group, reset, offset=None):
    place = TopicPartition(topic, 0)
    reader = consumer(group, auto_offset_reset=reset)
    reader.assign([place])
    if offset is not None:
        reader.seek(place, offset)
    return reader, told(reader, place)


def resets():
    topic = make("kafka-python-resets", retention_ms="-1")
    place = TopicPartition(topic, 0)
    through = producer()
    for n in range(10):
        through.send(topic, b"%d" % n, partition=0, timestamp_ms=START_MS + 1000 * n).get(PATIENCE_S)
    print("first left", admin().delete_records({place: 3})[place]["low_watermark"])
    # From no offset, from one before the first, from one behind the last.
    for reset in ["earliest", "latest", "none"]:
        for offset in [None, 1, 5, 10, 1000]:
            reader, where = started(topic, f"kafka-python-resets-{reset}", reset, offset)
            print(reset, "from", offset, where)
            reader.close()
    # What comes after a consumer of the latest has begun is read.
    reader, where = started(topic, "kafka-python-resets-after", "latest")
    send(through, topic, [b"new"], partition=0)
    print("latest", where, "then", told(reader, place))
    reader.close()
    # A committed offset goes before the reset; one that is gone is reset.
    for committed in [1, 7]:
        group = f"kafka-python-resets-committed-{committed}"
        reader = consumer(group)
        reader.assign([place])
        reader.commit({place: OffsetAndMetadata(committed, "", -1)})
        reader.close()
        for reset in ["earliest", "latest", "none"]:
            reader, where = started(topic, group, reset)
            print("committed", committed, reset, where)
            reader.close()
    reader, _ = started(topic, "kafka-python-resets-seek", "earliest")
    for time in [START_MS, START_MS + 5500, START_MS + 10**7]:
        found = reader.offsets_for_times({place: time})[place].offset
        reader.seek(place, found)
        print("seek", time - START_MS, found, told(reader, place))
    reader.close()
    print("left", values(topic))


SCENARIOS = {"codecs": codecs, "records": records, "resets": resets}
