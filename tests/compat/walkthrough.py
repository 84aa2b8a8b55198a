"""The classic first hour with Kafka, by an unmodified client: topic GameLog, lines in, lines out
from the beginning, a group's lag before and after more lines, reset to earliest, four partitions
shared by five members (one idle), one member dies and the rest take over, a second group undisturbed.

Usage: walkthrough.py confluent|kafka-python HOST:PORT
"""

import sys
import threading
import time

DEADLINE_S = 180


class Confluent:
    """confluent-kafka: librdkafka."""

    def __init__(self, at):
        import confluent_kafka
        import confluent_kafka.admin

        self.ck, self.at = confluent_kafka, at
        self.admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": at})

    def create(self, topic, partitions):
        new = self.ck.admin.NewTopic(topic, partitions, 1)
        for future in self.admin.create_topics([new]).values():
            future.result(DEADLINE_S)

    def produce(self, topic, values):
        producer = self.ck.Producer({"bootstrap.servers": self.at, "enable.idempotence": True})
        for i, value in enumerate(values):
            producer.produce(topic, value, key=f"k{i}")
        assert producer.flush(DEADLINE_S) == 0, "records were not delivered"

    def member(self, group, topic):
        consumer = self.ck.Consumer(
            {
                "bootstrap.servers": self.at,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500,
            }
        )
        consumer.subscribe([topic])
        return consumer

    def poll(self, consumer):
        message = consumer.poll(0.1)
        if message is None:
            return []
        assert message.error() is None, message.error()
        return [message.value()]

    def assignment(self, consumer):
        return {p.partition for p in consumer.assignment()}

    def commit(self, consumer):
        consumer.commit(asynchronous=False)

    def lag(self, group, topic, partitions):
        tp = [self.ck.TopicPartition(topic, p) for p in range(partitions)]
        reader = self.ck.Consumer({"bootstrap.servers": self.at, "group.id": group})
        lag = 0
        for at in reader.committed(tp, timeout=DEADLINE_S):
            _, high = reader.get_watermark_offsets(at, timeout=DEADLINE_S)
            lag += high - max(at.offset, 0)
        reader.close()
        return lag

    def reset(self, group, topic, partitions):
        from confluent_kafka import ConsumerGroupTopicPartitions

        tp = [self.ck.TopicPartition(topic, p, 0) for p in range(partitions)]
        request = ConsumerGroupTopicPartitions(group, tp)
        for future in self.admin.alter_consumer_group_offsets([request]).values():
            for at in future.result(DEADLINE_S).topic_partitions:
                assert at.error is None, at.error


class KafkaPython:
    """kafka-python: pure Python."""

    def __init__(self, at):
        import kafka
        import kafka.admin

        self.k, self.at = kafka, at
        self.admin = kafka.admin.KafkaAdminClient(bootstrap_servers=at)

    def create(self, topic, partitions):
        self.admin.create_topics([self.k.admin.NewTopic(topic, partitions, 1)])

    def produce(self, topic, values):
        producer = self.k.KafkaProducer(bootstrap_servers=self.at, acks="all")
        sent = [producer.send(topic, value, key=b"k%d" % i) for i, value in enumerate(values)]
        producer.flush(DEADLINE_S)
        for future in sent:
            future.get(DEADLINE_S)
        producer.close()

    def member(self, group, topic):
        return self.k.KafkaConsumer(
            topic,
            bootstrap_servers=self.at,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=6000,
            heartbeat_interval_ms=500,
        )

    def poll(self, consumer):
        return [r.value for rs in consumer.poll(timeout_ms=100).values() for r in rs]

    def assignment(self, consumer):
        return {p.partition for p in consumer.assignment()}

    def commit(self, consumer):
        consumer.commit()

    def _reader(self, group):
        return self.k.KafkaConsumer(
            bootstrap_servers=self.at, group_id=group, enable_auto_commit=False
        )

    def lag(self, group, topic, partitions):
        reader = self._reader(group)
        tp = [self.k.TopicPartition(topic, p) for p in range(partitions)]
        ends = reader.end_offsets(tp)
        lag = sum(ends[at] - (reader.committed(at) or 0) for at in tp)
        reader.close()
        return lag

    def reset(self, group, topic, partitions):
        reader = self._reader(group)
        tp = [self.k.TopicPartition(topic, p) for p in range(partitions)]
        reader.assign(tp)
        reader.seek_to_beginning(*tp)
        for at in tp:
            reader.position(at)
        reader.commit()
        reader.close()


def until(what, look):
    """Looks until `look` is satisfied."""
    end = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < end, f"waited for {what}"


def read(client, consumer, count, values):
    """Polls until `count` values are in `values`."""

    def look():
        values.extend(client.poll(consumer))
        return len(values) >= count

    until(f"{count} records, have {len(values)}", look)


class Member(threading.Thread):
    """A member that polls in a thread of its own, as applications do, until it is to leave.

    Polled in turn by one thread, members keep each other waiting through every step of a rebalance,
    and kafka-python's leader joins again for as long as that goes on.
    """

    def __init__(self, client, group, topic):
        super().__init__(daemon=True)
        self.client, self.consumer = client, client.member(group, topic)
        self.leaving, self.owned, self.failed = threading.Event(), set(), None
        self.start()

    def run(self):
        try:
            while not self.leaving.is_set():
                self.client.poll(self.consumer)
                self.owned = self.client.assignment(self.consumer)
            self.consumer.close()
        except Exception as error:
            self.failed = error

    def leave(self):
        self.leaving.set()
        self.join(DEADLINE_S)
        assert not self.is_alive(), "a member does not leave"
        assert self.failed is None, self.failed


def shared_by_five(client, topic):
    """Four partitions, five members: one is idle; one dies, the rest take over."""
    members = [Member(client, "five", topic) for _ in range(5)]

    def spread(wanted):
        assert all(member.failed is None for member in members), [m.failed for m in members]
        time.sleep(0.05)
        owned = [set(member.owned) for member in members]
        flat = sorted(p for o in owned for p in o)
        return flat == [0, 1, 2, 3] and sorted(map(len, owned)) == wanted

    until("four partitions over five members", lambda: spread([0, 1, 1, 1, 1]))
    busy = next(m for m in members if m.owned)
    members.remove(busy)
    busy.leave()
    until("four partitions over the four that are left", lambda: spread([1, 1, 1, 1]))
    for member in members:
        member.leave()


def main(name, at):
    client = {"confluent": Confluent, "kafka-python": KafkaPython}[name](at)
    topic, partitions = "GameLog", 4
    client.create(topic, partitions)
    first = [b"user%d entered" % i for i in range(18)]
    client.produce(topic, first)

    values = []
    consumer = client.member("testgroup", topic)
    read(client, consumer, 18, values)
    assert sorted(values) == sorted(first), values
    client.commit(consumer)
    consumer.close()
    assert client.lag("testgroup", topic, partitions) == 0
    client.produce(topic, [b"more 1", b"more 2", b"more 3"])
    assert client.lag("testgroup", topic, partitions) == 3

    other, seen = client.member("othergroup", topic), []
    read(client, other, 21, seen)
    client.commit(other)

    client.reset("testgroup", topic, partitions)
    assert client.lag("testgroup", topic, partitions) == 21
    assert client.lag("othergroup", topic, partitions) == 0, "a second group is undisturbed"
    again, values = client.member("testgroup", topic), []
    read(client, again, 21, values)
    assert len(values) == 21
    again.close()

    shared_by_five(client, topic)
    assert client.assignment(other) == {0, 1, 2, 3}, "a second group is undisturbed"
    other.close()
    print("walk-through complete")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
