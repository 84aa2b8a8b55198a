"""A tour of the admin client: topics, partitions, settings, records deleted, groups and their offsets."""

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ElectionType,
    IsolationLevel,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

import broker
from broker import PATIENCE_S, fill, producer, read, until, values
from members import Member, settle

ONE, TWO = "confluent-admin-one", "confluent-admin-two"


def each(what, futures):
    """What became of every name that was asked for."""
    for key in sorted(futures, key=str):
        try:
            result = futures[key].result(PATIENCE_S)
            print(what, short(key), "ok" if result is None else result)
        except KafkaException as failure:
            print(what, short(key), failure.args[0].name(), "|", failure.args[0].str())


def short(key):
    return f"{key.topic} {key.partition}" if isinstance(key, TopicPartition) else str(key)


def topics(admin):
    create = admin.create_topics
    config = {"cleanup.policy": "compact", "segment.bytes": "1048576", "min.insync.replicas": "1"}
    one = NewTopic(ONE, 2, 1, config=config)
    each("only validated", create([one], validate_only=True))
    print("there", ONE in admin.list_topics(timeout=PATIENCE_S).topics)
    nodes = list(admin.list_topics(timeout=PATIENCE_S).brokers)
    two = NewTopic(TWO, 3, replica_assignment=[nodes, nodes, nodes])
    each("create", create([one, two]))
    bad = [
        NewTopic(ONE, 1, 1),
        NewTopic("confluent admin", 1, 1),
        NewTopic("confluent-admin-replicas", 1, 3),
        NewTopic("confluent-admin-none", 0, 1),
        NewTopic("confluent-admin-setting", 1, 1, config={"no.such": "1"}),
        NewTopic("confluent-admin-value", 1, 1, config={"retention.ms": "long"}),
        NewTopic("confluent-admin-node", 1, replica_assignment=[[99]]),
        NewTopic("", 1, 1),
    ]
    for topic in bad:
        each("create", create([topic]))
    described(admin, 2)
    each("partitions", admin.create_partitions([NewPartitions(ONE, 5)], validate_only=True))
    each("partitions", admin.create_partitions([NewPartitions(ONE, 4), NewPartitions("confluent-no", 4)]))
    each("partitions", admin.create_partitions([NewPartitions(ONE, 3)]))
    each("partitions", admin.create_partitions([NewPartitions(ONE, 4)]))
    each("partitions", admin.create_partitions([NewPartitions(TWO, 4, replica_assignment=[[99]])]))
    described(admin, 4)


def described(admin, partitions):
    """The topics, as soon as the broker has heard from its controller that the first has so many partitions."""

    def look():
        known = admin.list_topics(timeout=PATIENCE_S).topics
        return {ONE, TWO} <= set(known) and len(known[ONE].partitions) == partitions

    until("both topics", look)
    names = TopicCollection([ONE, TWO, "confluent-admin-missing"])
    futures = admin.describe_topics(names, include_authorized_operations=True)
    for name in (ONE, TWO, "confluent-admin-missing"):
        try:
            found = futures[name].result(PATIENCE_S)
        except KafkaException as failure:
            print("describe", name, failure.args[0].name())
            continue
        allowed = sorted(operation.name for operation in found.authorized_operations)
        shape = [(at.id, len(at.replicas), len(at.isr), at.leader == at.replicas[0]) for at in found.partitions]
        print("describe", name, found.is_internal, shape, allowed)


def cluster(admin):
    found = admin.describe_cluster(include_authorized_operations=True).result(PATIENCE_S)
    allowed = sorted(operation.name for operation in found.authorized_operations)
    print("cluster", len(found.nodes), found.controller.id == found.nodes[0].id, allowed)
    print("its id", found.cluster_id == admin.list_topics(timeout=PATIENCE_S).cluster_id)
    elected = admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition(ONE, 0), TopicPartition("confluent-no", 0)])
    for place, error in sorted(elected.result(PATIENCE_S).items(), key=lambda of: of[0].topic):
        print("elect", short(place), error and error.name())
    unclean = admin.elect_leaders(ElectionType.UNCLEAN, [TopicPartition(ONE, 0)]).result(PATIENCE_S)
    print("elect", [(short(place), error and error.name()) for place, error in unclean.items()])


def seen(admin, name, value):
    """Waits until the broker has heard of a setting from its controller."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, ONE)
    ask = lambda: admin.describe_configs([resource])[resource].result(PATIENCE_S)[name].value
    until(f"{name}={value}", lambda: ask() == value)


def show(admin, *names):
    resource = ConfigResource(ConfigResource.Type.TOPIC, ONE)
    found = admin.describe_configs([resource])[resource].result(PATIENCE_S)
    for name in names:
        entry = found[name]
        synonyms = [(of.name, of.value, of.source) for of in entry.synonyms.values()]
        flags = (entry.is_default, entry.is_read_only, entry.is_sensitive)
        print("setting", name, entry.value, entry.source, *flags, synonyms)
    return found


def incremental(name, value, operation, topic=ONE):
    entry = ConfigEntry(name, value, incremental_operation=operation)
    return ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])


def settings(admin):
    names = ["cleanup.policy", "segment.bytes", "min.insync.replicas", "retention.ms", "compression.type"]
    print("settings", sorted(show(admin, *names)))
    alter = admin.incremental_alter_configs
    kinds = AlterConfigOpType
    each("validated", alter([incremental("retention.ms", "1", kinds.SET)], validate_only=True))
    each("set", alter([incremental("retention.ms", "3600000", kinds.SET)]))
    each("append", alter([incremental("cleanup.policy", "delete", kinds.APPEND)]))
    seen(admin, "cleanup.policy", "compact,delete")
    show(admin, *names)
    each("subtract", alter([incremental("cleanup.policy", "compact", kinds.SUBTRACT)]))
    each("delete", alter([incremental("segment.bytes", None, kinds.DELETE)]))
    each("append", alter([incremental("retention.ms", "1", kinds.APPEND)]))
    each("set", alter([incremental("retention.ms", "long", kinds.SET)]))
    each("set", alter([incremental("no.such", "1", kinds.SET)]))
    each("set", alter([incremental("retention.ms", "1", kinds.SET, "confluent-no")]))
    seen(admin, "segment.bytes", "1073741824")
    show(admin, *names)
    # The old way: what is not named goes back to its default.
    each("alter", admin.alter_configs([ConfigResource(ConfigResource.Type.TOPIC, ONE, {"max.message.bytes": "5000"})]))
    seen(admin, "max.message.bytes", "5000")
    show(admin, *names, "max.message.bytes")
    node = str(next(iter(admin.list_topics(timeout=PATIENCE_S).brokers)))
    resource = ConfigResource(ConfigResource.Type.BROKER, node)
    found = admin.describe_configs([resource])[resource].result(PATIENCE_S)
    for name in ("num.partitions", "message.max.bytes", "log.cleanup.policy", "group.min.session.timeout.ms"):
        print("broker", name, found[name].value, found[name].is_read_only, found[name].source)
    missing = ConfigResource(ConfigResource.Type.TOPIC, "confluent-no")
    each("describe", {"confluent-no": admin.describe_configs([missing])[missing]})


def offsets(admin):
    fill(TWO, range(30), 3)
    places = [TopicPartition(TWO, 0, 4), TopicPartition(TWO, 1, -1), TopicPartition(TWO, 2, 99)]
    futures = admin.delete_records([*places, TopicPartition("confluent-no", 0, 1)])
    for place in sorted(futures, key=lambda at: (at.topic, at.partition)):
        try:
            print("delete records", short(place), futures[place].result(PATIENCE_S).low_watermark)
        except KafkaException as failure:
            print("delete records", short(place), failure.args[0].name())
    kinds = [("earliest", OffsetSpec.earliest()), ("latest", OffsetSpec.latest()), ("at 1", OffsetSpec.for_timestamp(1))]
    for name, kind in kinds:
        asked = {TopicPartition(TWO, n): kind for n in range(4)}
        futures = admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED)
        for place in sorted(futures, key=lambda at: at.partition):
            try:
                print(name, place.partition, futures[place].result(PATIENCE_S).offset)
            except KafkaException as failure:
                print(name, place.partition, failure.args[0].name())
    print("left", [len(read(TWO, n)) for n in range(3)])


def groups(admin):
    group = "confluent-admin-group"
    member = Member(group, [TWO], client_id="toured")
    settle("a group", [member], [3], 16)
    member.consumer.commit(asynchronous=False)
    listed(admin, group, states={ConsumerGroupState.STABLE})
    listed(admin, group, states={ConsumerGroupState.EMPTY})
    found = admin.describe_consumer_groups([group], include_authorized_operations=True)[group].result(PATIENCE_S)
    members = [(of.client_id, of.host, len(of.assignment.topic_partitions)) for of in found.members]
    allowed = sorted(operation.name for operation in found.authorized_operations)
    print("describe", found.state.name, found.type.name, found.partition_assignor, found.is_simple_consumer_group)
    print("its members", members, allowed)
    each("delete in use", admin.delete_consumer_groups([group]))
    set_offsets(admin, group, 0, 5)
    member.consumer.close()
    set_offsets(admin, group, 0, 5)
    set_offsets(admin, group, 7, 5)
    committed(admin, group)
    listed(admin, group, states={ConsumerGroupState.EMPTY})
    each("delete", admin.delete_consumer_groups([group]))
    each("delete", admin.delete_consumer_groups([group]))
    committed(admin, group)
    missing = admin.describe_consumer_groups([group])
    try:
        print("describe", missing[group].result(PATIENCE_S).state.name)
    except KafkaException as failure:
        print("describe", failure.args[0].name())
    # Offsets without a group: a simple consumer.
    set_offsets(admin, "confluent-admin-simple", 1, 3)
    listed(admin, "confluent-admin-simple")
    each("delete", admin.delete_consumer_groups(["confluent-admin-simple"]))


def listed(admin, group, **filters):
    found = admin.list_consumer_groups(**filters).result(PATIENCE_S)
    mine = [each for each in found.valid if each.group_id == group]
    print("list", [(of.state.name, of.type.name, of.is_simple_consumer_group) for of in mine], found.errors)


def set_offsets(admin, group, partition, offset):
    place = TopicPartition(TWO, partition, offset, "by hand")
    future = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [place])])[group]
    try:
        for at in future.result(PATIENCE_S).topic_partitions:
            print("set offset", at.partition, at.offset, at.error and at.error.name())
    except KafkaException as failure:
        print("set offset", partition, failure.args[0].name())


def committed(admin, group):
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(PATIENCE_S)
    print("offsets", sorted((at.partition, at.offset, at.metadata) for at in found.topic_partitions))


def end(admin):
    each("delete", admin.delete_topics([ONE, TWO, "confluent-no"]))
    until("the topics to be gone", lambda: not {ONE, TWO} & set(admin.list_topics(timeout=PATIENCE_S).topics))
    each("delete", admin.delete_topics([ONE]))
    each("create again", admin.create_topics([NewTopic(ONE, 1, 1)]))
    print("empty", values(ONE))
    through = producer()
    through.produce(ONE, b"x")
    print("written", through.flush(PATIENCE_S), values(ONE))
    each("delete", admin.delete_topics([ONE]))


def admin_tour():
    client = broker.admin()
    topics(client)
    cluster(client)
    settings(client)
    offsets(client)
    groups(client)
    end(client)


SCENARIOS = {"admin": admin_tour}
