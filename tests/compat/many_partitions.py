"""Reads a topic of many partitions from the beginning: prints partition, offset and value of each
record until COUNT of them came.

Usage: many_partitions.py confluent|kafka-python HOST:PORT TOPIC PARTITIONS COUNT
"""

import sys
import time

DEADLINE_S = 600


def confluent(at, topic, partitions):
    import confluent_kafka

    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": at, "group.id": "none", "enable.auto.commit": False}
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in range(partitions)])

    def poll():
        for message in consumer.consume(500, 0.2):
            assert message.error() is None, message.error()
            yield message.partition(), message.offset(), message.value()

    return poll


def kafka_python(at, topic, partitions):
    import kafka

    consumer = kafka.KafkaConsumer(
        bootstrap_servers=at, enable_auto_commit=False, group_id=None, max_poll_records=500
    )
    assigned = [kafka.TopicPartition(topic, p) for p in range(partitions)]
    consumer.assign(assigned)
    consumer.seek_to_beginning(*assigned)

    def poll():
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                yield record.partition, record.offset, record.value

    return poll


def main():
    client, at, topic, partitions, count = sys.argv[1:]
    make = {"confluent": confluent, "kafka-python": kafka_python}[client]
    poll = make(at, topic, int(partitions))
    left, deadline = int(count), time.monotonic() + DEADLINE_S
    while left > 0:
        assert time.monotonic() < deadline, f"{left} records never came"
        for partition, offset, value in poll():
            print(partition, offset, value.decode(), flush=True)
            left -= 1


if __name__ == "__main__":
    main()
