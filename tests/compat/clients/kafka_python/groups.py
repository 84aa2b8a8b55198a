"""Classic groups: members join, leave, are killed; their offsets go on; cooperative rebalances."""

import sys

from kafka import OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from broker import admin, await_line, consumer, fill, make, start
from members import Member, forget, settle

PARTITIONS = 6
COOPERATIVE = {"partition_assignment_strategy": [CooperativeStickyAssignor]}


def committed(group, topic):
    """Offsets and metadata of a group, as the admin client has them."""
    found = admin().list_group_offsets([group])[group]
    return sorted((at.partition, of.offset, of.metadata) for at, of in found.items() if at.topic == topic)


def lag(group, topic, partitions):
    reader = consumer(group)
    places = [TopicPartition(topic, n) for n in range(partitions)]
    ends = reader.end_offsets(places)
    total = sum(ends[at] - (reader.committed(at) or 0) for at in places)
    reader.close()
    return total


def reset(group, topic, partitions):
    places = {TopicPartition(topic, n): OffsetAndMetadata(0, "", -1) for n in range(partitions)}
    errors = admin().alter_group_offsets(group, places).values()
    print("set back", sorted({error.__name__ for error in errors}))


def joins():
    topic, group = make("kafka-python-joins", PARTITIONS), "kafka-python-joins"
    fill(topic, range(300), PARTITIONS)
    one = Member(group, [topic])
    settle("alone", [one], [6], 300)
    one.commit("after all")
    print("committed", committed(group, topic))
    two, three = Member(group, [topic]), Member(group, [topic])
    settle("three", [one, two, three], [2, 2, 2], 300)
    fill(topic, range(300), PARTITIONS)
    settle("with more", [one, two, three], [2, 2, 2], 600)
    for member in (one, two, three):
        member.commit()
    three.leave()
    settle("one left", [one, two], [3, 3])
    with start("member", "joins", topic, group) as process:
        settle("another process", [one, two], [2, 2])
        await_line(process, "has 2")
        process.kill()
    settle("which was killed", [one, two], [3, 3])
    forget([one, two])
    fill(topic, range(60), PARTITIONS)
    settle("read what came", [one, two], [3, 3], 60)
    for member in (one, two):
        member.commit()
        member.leave()
    print("lag", lag(group, topic, PARTITIONS), "committed", committed(group, topic))
    fill(topic, range(12), PARTITIONS)
    print("lag", lag(group, topic, PARTITIONS))
    again = Member(group, [topic])
    settle("a new consumer", [again], [6], 12)
    again.leave()
    others(topic, group)


def others(topic, group):
    """A second group, undisturbed by what the first does; offsets set back; more members than partitions."""
    other = Member("kafka-python-joins-other", [topic])
    settle("another group", [other], [6], 672)
    other.commit()
    reset(group, topic, PARTITIONS)
    print("lag", lag(group, topic, PARTITIONS), lag("kafka-python-joins-other", topic, PARTITIONS))
    forget([other])
    four = make("kafka-python-joins-four", 4)
    five = [Member(group, [four]) for _ in range(5)]
    settle("five for four", five, [0, 1, 1, 1, 1])
    leaver = next(member for member in five if member.has())
    five.remove(leaver)
    leaver.leave()
    settle("four for four", five, [1, 1, 1, 1])
    for member in five:
        member.leaving.set()
    for member in five:
        member.leave()
    settle("undisturbed", [other], [6])
    print("told", other.told)
    other.leave()
    again = Member(group, [topic])
    settle("from the beginning", [again], [6], 672)
    again.leave()


def member():
    """A process that is a member until it is killed."""
    scenario, topic, group = sys.argv[3:6]
    mine = Member(group, [topic], **(COOPERATIVE if scenario == "cooperative" else {}))
    settle("joined", [mine], [2])
    print("has 2", flush=True)
    mine.join()


def cooperative():
    topic, group = make("kafka-python-cooperative", PARTITIONS), "kafka-python-cooperative"
    fill(topic, range(300), PARTITIONS)
    one = Member(group, [topic], **COOPERATIVE)
    settle("alone", [one], [6], 300)
    had = one.has()
    one.commit()
    two = Member(group, [topic], **COOPERATIVE)
    settle("two", [one, two], [3, 3])
    print("kept", len(one.has() & had), "told", one.told, two.told)
    fill(topic, range(300), PARTITIONS)
    settle("with more", [one, two], [3, 3], 600)
    # Who kept a partition went on where it was: nothing of it was read twice.
    kept = [place for place in one.read if place[:2] in one.has()]
    print("kept and read", len(kept), "twice", len(kept) - len(set(kept)))
    for each in (one, two):
        each.commit()
    before = one.has()
    forget([one, two])
    with start("member", "cooperative", topic, group) as process:
        settle("three", [one, two], [2, 2])
        await_line(process, "has 2")
        print("kept", len(one.has() & before), "told", one.told, two.told)
        process.kill()
    forget([one, two])
    settle("one was killed", [one, two], [3, 3])
    print("told", one.told, two.told)
    forget([one, two])
    two.leave()
    settle("one left", [one], [6])
    print("told", one.told, "at the end", two.told)
    one.leave()
    print("at the end", one.told)


SCENARIOS = {"joins": joins, "cooperative": cooperative, "member": member}
