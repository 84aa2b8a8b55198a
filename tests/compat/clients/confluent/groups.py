"""Classic groups: members join, leave, are killed; their offsets go on; cooperative rebalances."""

import sys

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from broker import PATIENCE_S, admin, await_line, consumer, fill, make, start
from members import Member, forget, settle

PARTITIONS = 6


def committed(group, topic):
    """Offsets and metadata of a group, as the admin client has them."""
    futures = admin().list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    found = futures[group].result(PATIENCE_S).topic_partitions
    found = sorted((at for at in found if at.topic == topic), key=lambda at: at.partition)
    return [(at.partition, at.offset, at.metadata) for at in found]


def lag(group, topic, partitions):
    reader = consumer(group)
    total = 0
    for at in reader.committed([TopicPartition(topic, n) for n in range(partitions)], PATIENCE_S):
        low, high = reader.get_watermark_offsets(at, timeout=PATIENCE_S)
        total += high - (at.offset if at.offset >= 0 else low)
    reader.close()
    return total


def reset(group, topic, partitions):
    places = [TopicPartition(topic, n, 0) for n in range(partitions)]
    futures = admin().alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
    for at in futures[group].result(PATIENCE_S).topic_partitions:
        assert at.error is None, at.error


def joins():
    topic, group = make("confluent-joins", PARTITIONS), "confluent-joins"
    fill(topic, range(300), PARTITIONS)
    one = Member(group, [topic])
    settle("alone", [one], [6], 300)
    places = [TopicPartition(topic, n, 50, f"after {n}") for n in range(PARTITIONS)]
    one.consumer.commit(offsets=places, asynchronous=False)
    print("committed", committed(group, topic))
    two, three = Member(group, [topic]), Member(group, [topic])
    settle("three", [one, two, three], [2, 2, 2], 300)
    fill(topic, range(300), PARTITIONS)
    settle("with more", [one, two, three], [2, 2, 2], 600)
    for member in (one, two, three):
        member.consumer.commit(asynchronous=False)
    three.consumer.close()
    settle("one left", [one, two], [3, 3])
    with start("member", "joins", topic, group) as process:
        settle("another process", [one, two], [2, 2])
        await_line(process, "has 2", [one, two])
        process.kill()
    settle("which was killed", [one, two], [3, 3])
    fill(topic, range(60), PARTITIONS)
    forget([one, two])
    settle("read what came", [one, two], [3, 3], 60)
    for member in (one, two):
        member.consumer.commit(asynchronous=False)
        member.consumer.close()
    print("lag", lag(group, topic, PARTITIONS), "committed", committed(group, topic))
    fill(topic, range(12), PARTITIONS)
    print("lag", lag(group, topic, PARTITIONS))
    again = Member(group, [topic])
    settle("a new consumer", [again], [6], 12)
    again.consumer.close()
    others(topic, group)


def others(topic, group):
    """A second group, undisturbed by what the first does; offsets set back; more members than partitions."""
    other = Member("confluent-joins-other", [topic])
    settle("another group", [other], [6], 672)
    other.consumer.commit(asynchronous=False)
    reset(group, topic, PARTITIONS)
    print("set back", lag(group, topic, PARTITIONS), lag("confluent-joins-other", topic, PARTITIONS))
    forget([other])
    four = make("confluent-joins-four", 4)
    five = [Member(group, [four]) for _ in range(5)]
    settle("five for four", five, [0, 1, 1, 1, 1])
    leaver = next(member for member in five if member.has())
    five.remove(leaver)
    leaver.consumer.close()
    settle("four for four", five, [1, 1, 1, 1])
    for member in five:
        member.consumer.close()
    settle("undisturbed", [other], [6])
    print("told", other.told)
    other.consumer.close()
    again = Member(group, [topic])
    settle("from the beginning", [again], [6], 672)
    again.consumer.close()


def member():
    """A process that is a member until it is killed."""
    scenario, topic, group = sys.argv[3:6]
    settings = {"partition_assignment_strategy": "cooperative-sticky"} if scenario == "cooperative" else {}
    mine = Member(group, [topic], **settings)
    settle("joined", [mine], [2])
    print("has 2", flush=True)
    while True:
        mine.poll()


def cooperative():
    topic, group = make("confluent-cooperative", PARTITIONS), "confluent-cooperative"
    settings = {"partition_assignment_strategy": "cooperative-sticky"}
    fill(topic, range(300), PARTITIONS)
    one = Member(group, [topic], **settings)
    settle("alone", [one], [6], 300)
    had = one.has()
    two = Member(group, [topic], **settings)
    settle("two", [one, two], [3, 3])
    print("kept", len(one.has() & had), "told", words(one), words(two))
    fill(topic, range(300), PARTITIONS)
    settle("with more", [one, two], [3, 3], 600)
    # Who kept a partition went on where it was: nothing of it was read twice.
    kept = [place for place in one.read if place[:2] in one.has()]
    print("kept and read", len(kept), "twice", len(kept) - len(set(kept)))
    for each in (one, two):
        each.consumer.commit(asynchronous=False)
    before = one.has()
    forget([one, two])
    with start("member", "cooperative", topic, group) as process:
        settle("three", [one, two], [2, 2])
        await_line(process, "has 2", [one, two])
        print("kept", len(one.has() & before), "told", words(one), words(two))
        process.kill()
    forget([one, two])
    settle("one was killed", [one, two], [3, 3])
    print("told", words(one), words(two))
    forget([one, two])
    two.consumer.close()
    settle("one left", [one], [6])
    print("told", words(one), "at the end", words(two))
    one.consumer.close()
    print("at the end", words(one))


def words(member):
    """What a member was told but for rebalances that changed nothing."""
    return [said for said in member.told if not said.endswith(" 0")]


SCENARIOS = {"joins": joins, "cooperative": cooperative, "member": member}
