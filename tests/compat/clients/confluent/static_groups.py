"""Static members: a restart without a rebalance of the others, two of one name, one that stays away."""

from broker import PATIENCE_S, admin, fill, make, until
from members import Member, forget, settle

PARTITIONS = 4


def described(group):
    found = admin().describe_consumer_groups([group])[group].result(PATIENCE_S)
    members = sorted((member.group_instance_id, len(member.assignment.topic_partitions)) for member in found.members)
    return found.state.name, found.partition_assignor, members


def static():
    topic, group = make("confluent-static", PARTITIONS), "confluent-static"
    one = Member(group, [topic], group_instance_id="one")
    two = Member(group, [topic], group_instance_id="two")
    settle("both", [one, two], [2, 2])
    fill(topic, range(200), PARTITIONS)
    settle("both read", [one, two], [2, 2], 200)
    print(described(group))
    had = one.has()
    for member in (one, two):
        member.consumer.commit(asynchronous=False)
    forget([one, two])
    one.consumer.close()
    one = Member(group, [topic], group_instance_id="one")
    settle("one is back", [one, two], [2, 2])
    print("the same", one.has() == had, "the other was told", two.told)
    fill(topic, range(80), PARTITIONS)
    settle("read what came", [one, two], [2, 2], 80)
    second(group, topic, one, two, had)
    # Away for longer than the session timeout: its partitions go to the other.
    one_away(group, topic, two)


def second(group, topic, one, two, had):
    """A second member of the name takes over; the first is told that it is fenced."""
    twin = Member(group, [topic], group_instance_id="one")
    members = [one, twin, two]

    def look():
        for member in members:
            member.poll()
        return one.errors and twin.has()

    until("one of two to be fenced", look)
    print("fenced", one.errors[0], "the second has the same", twin.has() == had, "the other", two.told)
    one.consumer.close()
    settle("the second stays", [twin, two], [2, 2])
    twin.consumer.close()


def one_away(group, topic, two):
    settle("one stays away", [two], [4])
    print(described(group))
    two.consumer.close()
    print(described(group)[0])


SCENARIOS = {"static": static}
