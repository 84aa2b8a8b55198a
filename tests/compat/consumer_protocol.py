"""Consumers of the consumer protocol (KIP-848), alone and with a classic one: who gets what.

python consumer_protocol.py BOOTSTRAP TOPIC
"""

import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic = sys.argv[1:3]
PARTITIONS, RECORDS, PATIENCE = 6, 300, 90
address = {"bootstrap.servers": bootstrap}
admin = AdminClient(address)
seen = {}


def consumer(**more):
    settings = {
        **address,
        "group.id": topic,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        **more,
    }
    return Consumer(settings)


def produce(name):
    producer = Producer(address)
    for number in range(RECORDS):
        producer.produce(name, value=str(number), partition=number % PARTITIONS)
    assert producer.flush(PATIENCE) == 0


def until(what, consumers, shares, records):
    """Polls until the consumers have these numbers of partitions and all records are read."""
    end = time.time() + PATIENCE
    while time.time() < end:
        for each in consumers:
            message = each.poll(0.05)
            if message is not None and message.error() is None:
                place = (message.partition(), message.offset())
                seen[place] = seen.get(place, 0) + 1
        have = [len(each.assignment()) for each in consumers]
        if sorted(have) == sorted(shares) and len(seen) == records:
            print(what, sorted(have), len(seen), "read")
            return
    raise SystemExit(f"{what}: {have} partitions, {len(seen)} records")


def group():
    found = [each for each in admin.list_consumer_groups().result().valid if each.group_id == topic]
    print("group", [str(each.type) for each in found])


for created in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
    created.result()
produce(topic)
one = consumer(**{"group.protocol": "consumer"})
one.subscribe([topic])
until("alone", [one], [PARTITIONS], RECORDS)
one.commit(asynchronous=False)
two = consumer(**{"group.protocol": "consumer", "group.instance.id": "two"})
two.subscribe(["^" + topic + "$"])
until("together", [one, two], [3, 3], RECORDS)
produce(topic)
until("with more", [one, two], [3, 3], 2 * RECORDS)
for each in (one, two):
    each.commit(asynchronous=False)
one.close()
until("without the first", [two], [PARTITIONS], 2 * RECORDS)
old = consumer(**{"partition.assignment.strategy": "cooperative-sticky"})
old.subscribe([topic])
until("with a classic one", [two, old], [3, 3], 2 * RECORDS)
group()
two.unsubscribe()
two.close()
offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)])
for partition in sorted(offsets[topic].result().topic_partitions, key=lambda of: of.partition):
    print("committed", partition.partition, partition.offset)
print("read twice", sum(1 for times in seen.values() if times > 1))
old.close()
