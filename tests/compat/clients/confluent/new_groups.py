"""The consumer protocol (KIP-848): join, share, leave, static members, patterns, with classic members."""

from confluent_kafka import ConsumerGroupType

from broker import PATIENCE_S, admin, fill, make, say, side_by_side, until
from groups import committed, words
from members import Member, forget, settle

PARTITIONS = 6
NEW = {"group_protocol": "consumer"}


def described(group):
    found = admin().describe_consumer_groups([group])[group].result(PATIENCE_S)
    listed = admin().list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(PATIENCE_S)
    kinds = [each.type.name for each in listed.valid if each.group_id == group]
    names = sorted(member.group_instance_id or "" for member in found.members)
    return kinds, found.state.name, found.partition_assignor, names


def shared():
    topic, group = make("confluent-consumer-protocol", PARTITIONS), "confluent-consumer-protocol"
    fill(topic, range(300), PARTITIONS)
    one = Member(group, [topic], **NEW)
    settle("alone", [one], [6], 300)
    one.consumer.commit(asynchronous=False)
    two = Member(group, [f"^{topic}$"], group_instance_id="two", **NEW)
    settle("together", [one, two], [3, 3], 300)
    say("told", words(one), words(two), described(group))
    fill(topic, range(300), PARTITIONS)
    settle("with more", [one, two], [3, 3], 600)
    places = [place for member in (one, two) for place in member.read]
    say("read twice", len(places) - len(set(places)))
    for each in (one, two):
        each.consumer.commit(asynchronous=False)
    one.consumer.close()
    settle("without the first", [two], [6])
    old = Member(group, [topic], partition_assignment_strategy="cooperative-sticky")
    settle("with a classic one", [two, old], [3, 3])
    say(described(group))
    two.consumer.unsubscribe()
    two.consumer.close()
    say("committed", committed(group, topic))
    old.consumer.close()


def static():
    topic, group = make("confluent-consumer-protocol-static", 4), "confluent-consumer-protocol-static"
    one = Member(group, [topic], group_instance_id="one", **NEW)
    two = Member(group, [topic], group_instance_id="two", **NEW)
    settle("static", [one, two], [2, 2])
    fill(topic, range(80), 4)
    settle("both read", [one, two], [2, 2], 80)
    for each in (one, two):
        each.consumer.commit(asynchronous=False)
    had = one.has()
    forget([one, two])
    one.consumer.close()
    one = Member(group, [topic], group_instance_id="one", **NEW)
    settle("one is back", [one, two], [2, 2])
    say("the same", one.has() == had, "the other was told", words(two))
    twin = Member(group, [topic], group_instance_id="one", **NEW)
    members = [one, twin, two]

    def look():
        for each in members:
            each.poll()
        return twin.errors

    until("the second of one name to fail", look)
    say("second", twin.errors[0], "first", one.errors, "the same", one.has() == had, words(two))
    say(described(group))
    twin.consumer.close()
    fill(topic, range(40), 4)
    forget([one, two])
    settle("both go on", [one, two], [2, 2], 40)
    one.consumer.close()
    two.consumer.close()


def patterns():
    group = "confluent-consumer-protocol-pattern"
    first, other = make(f"{group}-a1", 2), make(f"{group}-b1", 2)
    fill(first, range(20), 2)
    fill(other, range(20), 2)
    one = Member(group, [f"^{group}-a[0-9]+"], **NEW)
    settle("what fits", [one], [2], 20)
    later = make(f"{group}-a2", 3)
    fill(later, range(30), 3)
    settle("a topic that came later", [one], [5], 50)
    two = Member(group, [f"^{group}-b[0-9]+"], **NEW)
    settle("another pattern", [one, two], [5, 2], 70)
    say(sorted({topic for topic, _ in one.has()}), sorted({topic for topic, _ in two.has()}))
    one.consumer.close()
    two.consumer.close()


def assignors():
    topic = make("confluent-consumer-protocol-range", 5)
    group = "confluent-consumer-protocol-range"
    more = make(f"{topic}-more", 5)
    both = [Member(group, [topic, more], group_remote_assignor="range", **NEW) for _ in range(2)]
    settle("range", both, [6, 4])
    say(described(group)[2], sorted(sorted(n for _, n in each.has()) for each in both))
    for each in both:
        each.consumer.close()
    bad = Member(group, [topic], group_remote_assignor="mine", **NEW)

    def look():
        bad.poll()
        return bad.errors

    until("an assignor that is unknown to be refused", look)
    say("unknown assignor", bad.errors[0])
    bad.consumer.close()


def consumer_protocol():
    side_by_side(shared, static, patterns, assignors)


SCENARIOS = {"consumer-protocol": consumer_protocol}
