import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;

/** Groups of both protocols: listed, described, their offsets altered and deleted, deleted. */
final class AdminGroups {
    private static final String TWO = AdminTopics.TWO;

    private AdminGroups() {}

    static void both() throws Exception {
        tour("java-admin-classic");
        tour("java-admin-consumer", "group.protocol", "consumer");
        Map<TopicPartition, OffsetAndMetadata> offset = Map.of(new TopicPartition(TWO, 1), new OffsetAndMetadata(3));
        Broker.say("simple", () -> Broker.admin().alterConsumerGroupOffsets("java-admin-simple", offset).all().get());
        listed("java-admin-simple", new ListGroupsOptions());
        delete("java-admin-simple");
    }

    private static void tour(String group, Object... settings) throws Exception {
        Object[] all = java.util.Arrays.copyOf(settings, settings.length + 2);
        all[settings.length] = "client.id";
        all[settings.length + 1] = "toured";
        Member member = Member.of(group, TWO, all);
        Member.settleRead("a group", List.of(member), 16, 3);
        member.consumer.commitSync();
        listed(group, new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE)));
        listed(group, new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY)));
        listed(group, new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER)));
        listed(group, ListGroupsOptions.forConsumerGroups());
        var options = new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true);
        Broker.say("describe", () -> {
            var of = Broker.admin().describeConsumerGroups(List.of(group), options).all().get().get(group);
            var first = of.members().iterator().next();
            var allowed = of.authorizedOperations().stream().map(Enum::name).sorted().toList();
            return of.groupState() + " " + of.type() + " " + of.partitionAssignor() + " " + of.isSimpleConsumerGroup() + " "
                + first.clientId() + " " + first.host() + " " + first.assignment().topicPartitions().size() + " "
                + first.targetAssignment().map(to -> to.topicPartitions().size()) + " " + first.upgraded() + " "
                + of.groupEpoch().isPresent() + " " + allowed;
        });
        delete(group);
        alter(group, 0);
        deleteOffset(group, 0);
        member.close();
        alter(group, 0);
        alter(group, 7);
        deleteOffset(group, 1);
        deleteOffset(group, 7);
        Broker.print("offsets", Joins.committed(group, TWO));
        listed(group, new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY)));
        delete(group);
        delete(group);
        Broker.say("offsets", () -> Joins.committed(group, TWO));
        Broker.say("describe", () -> StaticMembers.described(group));
    }

    private static void listed(String group, ListGroupsOptions options) {
        Broker.say("list", () -> Broker.admin().listGroups(options).all().get().stream()
            .filter(of -> of.groupId().equals(group))
            .map(of -> of.protocol() + " " + of.groupState() + " " + of.type() + " " + of.isSimpleConsumerGroup())
            .toList());
    }

    private static void delete(String group) {
        Broker.say("delete", () -> Broker.admin().deleteConsumerGroups(List.of(group)).all().get());
    }

    private static void alter(String group, int partition) {
        var offset = Map.of(new TopicPartition(TWO, partition), new OffsetAndMetadata(5, "by hand"));
        Broker.say("set offset", () -> Broker.outcome(() ->
            Broker.admin().alterConsumerGroupOffsets(group, offset).all().get()));
    }

    private static void deleteOffset(String group, int partition) {
        var place = new TopicPartition(TWO, partition);
        Broker.say("delete offset", () -> Broker.outcome(() ->
            Broker.admin().deleteConsumerGroupOffsets(group, Set.of(place)).partitionResult(place).get()));
    }

    static void members() {
        Broker.say("groups by name", () -> new TreeMap<>(Map.of("none", Broker.outcome(() ->
            Broker.admin().describeConsumerGroups(List.of("java-admin-nobody")).all().get()))));
    }
}
