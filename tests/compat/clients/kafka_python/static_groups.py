"""Static members: a restart that keeps the partitions, two of one name, one that is removed.

What the others are told meanwhile is not compared: this client's leader joins again whenever the
metadata of its topics comes after its share, from any broker.
"""

from kafka.admin import MemberToRemove

from broker import admin, fill, make, outcome, until
from members import Member, forget, settle

PARTITIONS = 4


def described(group):
    found = admin().describe_groups([group])[group]
    names = sorted(member["group_instance_id"] for member in found["members"])
    return found["group_state"], found["protocol_data"], names


def static():
    topic, group = make("kafka-python-static", PARTITIONS), "kafka-python-static"
    one = Member(group, [topic], group_instance_id="one")
    two = Member(group, [topic], group_instance_id="two")
    settle("both", [one, two], [2, 2])
    fill(topic, range(200), PARTITIONS)
    settle("both read", [one, two], [2, 2], 200)
    print(described(group))
    had = one.has()
    for member in (one, two):
        member.commit()
    forget([one, two])
    one.leave()
    one = Member(group, [topic], group_instance_id="one")
    settle("one is back", [one, two], [2, 2])
    print("the same", one.has() == had)
    fill(topic, range(80), PARTITIONS)
    settle("read what came", [one, two], [2, 2], 80)
    # A second member of the name takes over; the first is told so when it commits.
    twin = Member(group, [topic], group_instance_id="one")
    until("the second of one name to have a share", lambda: twin.has())
    told = outcome(one.commit)
    print("fenced", told, "the second has the same", twin.has() == had)
    one.leave()
    settle("the second stays", [twin, two], [2, 2])
    twin.leave()
    # Away for longer than the session timeout: its partitions go to the other.
    settle("one stays away", [two], [4])
    print(described(group))
    two.leave()
    print(described(group))
    for name in ("two", "nobody"):
        print("remove", name, remove(group, name))
    print(described(group))


def remove(group, name):
    found = admin().remove_group_members(group, [MemberToRemove(group_instance_id=name)])
    return [error.__name__ for error in found.values()]


SCENARIOS = {"static": static}
