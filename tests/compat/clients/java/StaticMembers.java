import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.common.TopicPartition;

/** Static members: a restart without a rebalance of the others, two of one name, one that stays away. */
final class StaticMembers {
    private static final String TOPIC = "java-static";

    private StaticMembers() {}

    static String described(String group) throws Exception {
        var found = Broker.admin().describeConsumerGroups(List.of(group)).all().get().get(group);
        List<String> members = new ArrayList<>();
        found.members().forEach(of ->
            members.add(of.groupInstanceId().orElse("-") + " " + of.assignment().topicPartitions().size()));
        members.sort(null);
        return found.groupState() + " " + found.type() + " " + found.partitionAssignor() + " " + members;
    }

    private static Member member(String name) {
        return Member.of(TOPIC, TOPIC, "group.instance.id", name);
    }

    static void run() throws Exception {
        Broker.make(TOPIC, 4);
        Member one = member("one");
        Member two = member("two");
        Member.settle("both", List.of(one, two), 2, 2);
        Broker.fill(TOPIC, 200, 4);
        Member.settleRead("both read", List.of(one, two), 200, 2, 2);
        Broker.print(described(TOPIC));
        Set<TopicPartition> had = one.has();
        one.consumer.commitSync();
        two.consumer.commitSync();
        Member.forget(one, two);
        one.close();
        one = member("one");
        Member.settle("one is back", List.of(one, two), 2, 2);
        Broker.print("the same", one.has().equals(had), "the other was told", two.told);
        Broker.fill(TOPIC, 80, 4);
        Member.settleRead("read what came", List.of(one, two), 80, 2, 2);
        Member first = one;
        Member twin = member("one");
        Broker.until("one of two to be fenced", () -> {
            first.poll();
            twin.poll();
            two.poll();
            return first.failed != null && !twin.has().isEmpty();
        });
        Broker.print("fenced", first.failed, "the second has the same", twin.has().equals(had), "the other", two.told);
        Broker.print("its commit", Broker.outcome(first.consumer::commitSync));
        first.close();
        Member.settle("the second stays", List.of(twin, two), 2, 2);
        twin.close();
        Member.settle("one stays away", List.of(two), 4);
        Broker.print(described(TOPIC));
        two.close();
        Broker.print(described(TOPIC));
        for (String name : List.of("two", "nobody")) {
            var options = new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove(name)));
            Broker.say("remove " + name, () ->
                Broker.admin().removeMembersFromConsumerGroup(TOPIC, options).all().get());
        }
        Broker.print(described(TOPIC));
    }
}
