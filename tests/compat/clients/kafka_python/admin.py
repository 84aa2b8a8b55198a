"""A tour of the admin client: topics, partitions, settings, records deleted, groups and their offsets."""

import uuid

from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import (
    AbortTransactionSpec,
    ConfigResource,
    OffsetSpec,
    OffsetTimestamp,
)

import broker
from broker import fill, outcome, producer, read, send, until, values
from members import Member, settle
from transactions import transactional

ONE, TWO, MISSING = "kafka-python-admin-one", "kafka-python-admin-two", "kafka-python-admin-missing"


def say(what, ask, show=lambda found: "ok"):
    """What an answer shows, or the name of the error."""
    try:
        print(what, show(ask()))
    except Exception as error:
        print(what, type(error).__name__)


def created(admin, what, name, **options):
    validate = options.pop("validate_only", False)

    def told(found):
        return [(of["error_code"], of["error_message"], of["num_partitions"]) for of in found["topics"]]

    ask = lambda: admin.create_topics({name: options}, validate_only=validate, raise_errors=False)
    say(what, ask, told)


def topics(admin, node):
    config = {"cleanup.policy": "compact", "segment.bytes": "1048576"}
    created(admin, "only validated", ONE, num_partitions=2, replication_factor=1, configs=config, validate_only=True)
    print("there", ONE in admin.list_topics())
    created(admin, "create", ONE, num_partitions=2, replication_factor=1, configs=config)
    created(admin, "create", TWO, assignments={0: [node], 1: [node], 2: [node]})
    created(admin, "defaults", "kafka-python-admin-defaults")
    created(admin, "twice", ONE, num_partitions=1)
    created(admin, "name", "kafka python", num_partitions=1)
    created(admin, "replicas", MISSING, num_partitions=1, replication_factor=3)
    created(admin, "none", MISSING, num_partitions=0)
    created(admin, "setting", MISSING, configs={"no.such": "1"})
    created(admin, "value", MISSING, configs={"retention.ms": "long"})
    created(admin, "node", MISSING, assignments={0: [99]})
    described(admin, 2)
    partitions = lambda counts, **how: [
        (of.name, of.error_code, of.error_message)
        for of in admin.create_partitions(counts, raise_errors=False, **how).results
    ]
    say("partitions", lambda: partitions({ONE: 5}, validate_only=True), sorted)
    say("partitions", lambda: partitions({ONE: 4, MISSING: 4}), sorted)
    say("partitions", lambda: partitions({ONE: 3}), sorted)
    say("partitions", lambda: partitions({TWO: {"count": 4, "assignments": [[99]]}}), sorted)
    described(admin, 4)


def described(admin, partitions):
    """The topics, as soon as the broker has heard from its controller that the first has so many partitions."""
    page = lambda: admin.describe_topic_partitions([ONE, TWO], response_partition_limit=3)
    counts = lambda: [len(of["partitions"]) for of in admin.describe_topics([ONE, TWO])]
    until("both topics", lambda: sorted(counts()) == sorted([partitions, 3]))
    until("both topics in pages", lambda: len(page()["topics"][0]["partitions"]) == min(partitions, 3))
    for topic in sorted(admin.describe_topics([ONE, TWO, MISSING]), key=lambda of: of["name"]):
        shape = sorted((at["partition_index"], len(at["replica_nodes"]), len(at["isr_nodes"])) for at in topic["partitions"])
        print("describe", topic["name"], topic["error_code"], shape, topic["is_internal"])
    print("page", [(of["name"], len(of["partitions"])) for of in page()["topics"]], page()["next_cursor"])


def cluster(admin, node):
    found = admin.describe_cluster()
    allowed = sorted(str(name) for name in found["authorized_operations"])
    print("cluster", len(found["brokers"]), found["controller_id"] == node, allowed)
    places = {ONE: [0], MISSING: [0]}
    elected = lambda kind: [
        (result.topic, of.partition_id, of.error_code)
        for result in admin.elect_leaders(kind, places, raise_errors=False).replica_election_results
        for of in result.partition_result
    ]
    say("elect", lambda: elected(0), sorted)
    say("elect unclean", lambda: elected(1), sorted)
    say("reassignments", admin.list_partition_reassignments, str)
    moved = admin.alter_partition_reassignments({TopicPartition(ONE, 0): [node], TopicPartition(ONE, 1): [99]})
    print("reassign", sorted((at.partition, of and of.__name__) for at, of in moved.items()))
    cancelled = admin.alter_partition_reassignments({TopicPartition(ONE, 0): None})
    print("cancel", [of and of.__name__ for of in cancelled.values()])
    for each in admin.describe_log_dirs([ONE, TWO]):
        for folder in each["log_dirs"]:
            sizes = sorted((topic["name"], len(topic["partitions"])) for topic in folder["topics"])
            print("log dirs", folder["error_code"], sizes, folder["total_bytes"] > 0)
    quorum = admin.describe_metadata_quorum()["topics"][0]["partitions"][0]
    print("quorum", quorum["leader_id"] == node, len(quorum["current_voters"]), quorum["error"])
    features = admin.describe_features()
    names = ["eligible.leader.replicas.version", "group.version", "kraft.version", "metadata.version", "transaction.version"]
    print("features", [(name, features[name].get("finalized")) for name in names])


def seen(admin, name, value):
    """Waits until the broker has heard of a setting from its controller."""
    ask = lambda: admin.describe_configs([ConfigResource("TOPIC", ONE)], config_filter="all")["topic"][ONE][name]
    until(f"{name}={value}", lambda: ask()["value"] == value)


def shown(admin, *names):
    resource = ConfigResource("TOPIC", ONE)
    found = admin.describe_configs([resource], include_synonyms=True, config_filter="all")["topic"][ONE]
    for name in names:
        of = found[name]
        synonyms = [(each["name"], each["value"], each["source"]) for each in of["synonyms"]]
        print("setting", name, of["value"], of["config_source"], of["config_type"], of["read_only"], synonyms)


def altered(admin, what, name, value, topic=ONE, **how):
    ask = lambda: admin.alter_configs([ConfigResource("TOPIC", topic, {name: value})], raise_on_unknown=False, **how)
    say(what, ask, lambda found: found["topic"][topic])


def settings(admin):
    names = ["cleanup.policy", "segment.bytes", "min.insync.replicas", "retention.ms", "compression.type"]
    shown(admin, *names)
    altered(admin, "validated", "retention.ms", "1", validate_only=True)
    altered(admin, "set", "retention.ms", "3600000")
    altered(admin, "append", "cleanup.policy", ("APPEND", "delete"))
    seen(admin, "cleanup.policy", "compact,delete")
    shown(admin, *names)
    altered(admin, "subtract", "cleanup.policy", ("SUBTRACT", "compact"))
    altered(admin, "delete", "segment.bytes", ("DELETE", None))
    altered(admin, "append", "retention.ms", ("APPEND", "1"))
    altered(admin, "set", "retention.ms", "long")
    altered(admin, "set", "no.such", "1")
    altered(admin, "set", "retention.ms", "1", topic=MISSING)
    altered(admin, "the old way", "max.message.bytes", "5000", incremental=False)
    seen(admin, "max.message.bytes", "5000")
    shown(admin, *names, "max.message.bytes")
    say("reset", lambda: admin.reset_configs([ConfigResource("TOPIC", ONE, {})]), str)
    seen(admin, "max.message.bytes", "1048588")
    shown(admin, *names)
    found = admin.list_config_resources(["TOPIC"])["topic"]
    print("resources", ONE in found, TWO in found)


def offsets(admin):
    fill(TWO, range(30), 3)
    at = lambda n: TopicPartition(TWO, n)
    say("delete records", lambda: admin.delete_records({at(0): 4, at(1): -1}), lambda of: of[at(0)]["low_watermark"])
    say("delete records", lambda: admin.delete_records({at(2): 99}))
    say("delete records", lambda: admin.delete_records({TopicPartition(MISSING, 0): 1}))
    for kind in [OffsetSpec.EARLIEST, OffsetSpec.LATEST, OffsetTimestamp(1)]:
        found = admin.list_partition_offsets({at(n): kind for n in range(3)})
        print(getattr(kind, "name", "at 1"), [found[at(n)].offset for n in range(3)])
    print("left", [len(read(TWO, n)) for n in range(3)])


def groups(admin):
    group = "kafka-python-admin-group"
    member = Member(group, [TWO], client_id="toured")
    settle("a group", [member], [3], 16)
    member.commit("by its member")
    listed(admin, group, states_filter=["Stable"])
    listed(admin, group, states_filter=["Empty"])
    listed(admin, group, types_filter=["classic"])
    listed(admin, group, types_filter=["consumer"])
    found = admin.describe_groups([group])[group]
    print("describe", found["group_state"], found["protocol_type"], found["protocol_data"])
    print("its members", [(of["client_id"], of["client_host"]) for of in found["members"]])
    print("allowed", sorted(map(str, found["authorized_operations"])))
    say("delete in use", lambda: admin.delete_groups([group]), str)
    set_offset(admin, group, 0, 5)
    say("delete offsets in use", lambda: admin.delete_group_offsets(group, [TopicPartition(TWO, 0)]), errors)
    member.leave()
    set_offset(admin, group, 0, 5)
    set_offset(admin, group, 7, 5)
    say("delete offsets", lambda: admin.delete_group_offsets(group, [TopicPartition(TWO, 1)]), errors)
    committed(admin, group)
    specs = {TopicPartition(TWO, 0): OffsetSpec.EARLIEST, TopicPartition(TWO, 2): 99}
    reset = admin.reset_group_offsets(group, specs)
    print("reset", sorted((at.partition, of["offset"], of["error"].__name__) for at, of in reset.items()))
    committed(admin, group)
    listed(admin, group, states_filter=["Empty"])
    say("delete", lambda: admin.delete_groups([group]), str)
    say("delete", lambda: admin.delete_groups([group]), str)
    committed(admin, group)
    say("describe", lambda: admin.describe_groups([group]), lambda found: found[group]["group_state"])
    set_offset(admin, "kafka-python-admin-simple", 1, 3)
    listed(admin, "kafka-python-admin-simple")
    say("delete", lambda: admin.delete_groups(["kafka-python-admin-simple"]), str)


def errors(found):
    return sorted((at.partition, of.__name__) for at, of in found.items())


def listed(admin, group, **filters):
    found = [of for of in admin.list_groups(**filters) if of["group_id"] == group]
    print("list", filters, [(of["protocol_type"], of["group_state"], of["group_type"]) for of in found])


def set_offset(admin, group, partition, offset):
    place = TopicPartition(TWO, partition)
    say("set offset", lambda: admin.alter_group_offsets(group, {place: OffsetAndMetadata(offset, "by hand", -1)}), errors)


def committed(admin, group):
    found = admin.list_group_offsets([group])[group]
    print("offsets", sorted((at.partition, of.offset, of.metadata) for at, of in found.items()))


def transactions(admin):
    """What is open, and an end to what hangs."""
    topic = broker.make("kafka-python-admin-transactions")
    name = "kafka-python-admin-open"
    # Twice: the second has another epoch.
    transactional("admin-open")
    through = transactional("admin-open")
    through.begin_transaction()
    send(through, topic, [b"hangs"], partition=0)
    mine = lambda **how: [
        of for found in admin.list_transactions(**how).values() for of in found if of.transactional_id == name
    ]
    print("list", [of.state.name for of in mine()], [of.state.name for of in mine(state_filters=["Empty"])])
    print("list", [of.state.name for of in mine(transactional_id_pattern="kafka-python-admin-.*")])
    described_transaction(admin, name)
    say("describe", lambda: admin.describe_transactions(["kafka-python-admin-nobody"]))
    place = TopicPartition(topic, 0)
    open_one = admin.describe_producers([place])[place].active_producers[0]
    print("producer", open_one.last_sequence, open_one.current_transaction_start_offset)
    print("committed", values(topic))
    wrong = AbortTransactionSpec(place, open_one.producer_id, open_one.producer_epoch - 1)
    say("abort another epoch", lambda: admin.abort_transaction(wrong))
    spec = AbortTransactionSpec(place, open_one.producer_id, open_one.producer_epoch)
    say("abort", lambda: admin.abort_transaction(spec))
    producers = admin.describe_producers([place])[place].active_producers
    print("producer", [of.current_transaction_start_offset for of in producers])
    print("its end", outcome(through.abort_transaction))
    until("the end", lambda: mine()[0].state.name == "COMPLETE_ABORT")
    described_transaction(admin, name)


def described_transaction(admin, name):
    of = admin.describe_transactions([name])[name]
    print("describe", of.state.name, of.transaction_timeout_ms, of.transaction_start_time_ms > 0, sorted(of.topic_partitions))


def end(admin):
    named = {of["name"]: of["topic_id"] for of in admin.describe_topics([ONE, TWO])}
    codes = lambda names: [of["error_code"] for of in admin.delete_topics(names, raise_errors=False)["topics"]]
    say("delete by name", lambda: codes([ONE, MISSING]), sorted)
    by_id = uuid.UUID(str(named[TWO])) if not isinstance(named[TWO], uuid.UUID) else named[TWO]
    say("delete by id", lambda: codes([by_id]), sorted)
    say("delete by id", lambda: codes([uuid.UUID(int=77)]), sorted)
    until("the topics to be gone", lambda: not {ONE, TWO} & set(admin.list_topics()))
    say("delete", lambda: codes([ONE]), sorted)
    created(admin, "create again", ONE, num_partitions=1)
    print("empty", values(ONE), send(producer(), ONE, [b"x"]), values(ONE))
    say("delete", lambda: codes([ONE]), sorted)


def admin_tour():
    client = broker.admin()
    node = client.describe_cluster()["brokers"][0]["broker_id"]
    topics(client, node)
    cluster(client, node)
    settings(client)
    offsets(client)
    groups(client)
    transactions(client)
    end(client)


SCENARIOS = {"admin": admin_tour}
