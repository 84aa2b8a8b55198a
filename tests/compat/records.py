"""Headers, keys, tombstones and timestamps as written and read back, and offsets by time.

Usage: records.py confluent|kafka-python HOST:PORT
"""

import sys

client, at = sys.argv[1:3]
TOPIC, START_MS, WAIT_S = "records", 1_700_000_000_000, 60
RECORDS = [
    (b"k", b"value", [("a", b"1"), ("a", b"2"), ("empty", b"")]),
    (b"k", None, [("why", b"gone")]),
    (None, b"no key", []),
    (b"", b"", []),
]
TIMES = [START_MS - 1, START_MS, START_MS + 1500, START_MS + 3001]


def confluent():
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": at})
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(WAIT_S)
    producer = Producer({"bootstrap.servers": at})
    for n, (key, value, headers) in enumerate(RECORDS):
        time = START_MS + 1000 * n
        producer.produce(TOPIC, value=value, key=key, headers=headers, partition=0, timestamp=time)
    assert producer.flush(WAIT_S) == 0
    consumer = Consumer({"bootstrap.servers": at, "group.id": "records"})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    for _ in RECORDS:
        record = consumer.poll(WAIT_S)
        assert record is not None and not record.error(), record
        print(record.offset(), record.timestamp(), record.key(), record.value(), record.headers() or [])
    for time in TIMES:
        print(time, consumer.offsets_for_times([TopicPartition(TOPIC, 0, time)], WAIT_S)[0].offset)
    consumer.close()


def kafka_python():
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import KafkaAdminClient, NewTopic

    KafkaAdminClient(bootstrap_servers=at).create_topics([NewTopic(TOPIC, 1, 1)])
    producer = KafkaProducer(bootstrap_servers=at, acks="all", compression_type="gzip")
    for n, (key, value, headers) in enumerate(RECORDS):
        time = START_MS + 1000 * n
        sent = producer.send(TOPIC, value, key, headers, partition=0, timestamp_ms=time)
        sent.get(WAIT_S)
    place = TopicPartition(TOPIC, 0)
    consumer = KafkaConsumer(bootstrap_servers=at)
    consumer.assign([place])
    consumer.seek(place, 0)
    for _ in RECORDS:
        record = next(consumer)
        print(record.offset, record.timestamp, record.key, record.value, list(record.headers))
    for time in TIMES:
        found = consumer.offsets_for_times({place: time})[place]
        print(time, found and (found.offset, found.timestamp))
    consumer.close()
    producer.close()


{"confluent": confluent, "kafka-python": kafka_python}[client]()
