import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.kafka.common.TopicPartition;

/** The consumer protocol (KIP-848): join, share, leave, static members, patterns, with classic members. */
final class ConsumerProtocol {
    private static final String NAME = "java-consumer-protocol";

    private ConsumerProtocol() {}

    static void run() throws Exception {
        Broker.sideBySide(
            ConsumerProtocol::shared, ConsumerProtocol::staticMembers, ConsumerProtocol::patterns, ConsumerProtocol::assignors);
    }

    private static void shared() throws Exception {
        Broker.make(NAME, 6);
        Broker.fill(NAME, 300, 6);
        Member one = Member.of(NAME, NAME, "group.protocol", "consumer");
        Member.settleRead("alone", List.of(one), 300, 6);
        one.consumer.commitSync();
        Member two = Member.of(NAME, NAME, "group.protocol", "consumer");
        Member.settleRead("together", List.of(one, two), 300, 3, 3);
        Broker.print("told", one.told, two.told, StaticMembers.described(NAME));
        Broker.fill(NAME, 300, 6);
        Member.settleRead("with more", List.of(one, two), 600, 3, 3);
        List<Member.Place> all = new ArrayList<>(one.read);
        all.addAll(two.read);
        Broker.print("read twice", all.size() - new HashSet<>(all).size());
        one.consumer.commitSync();
        two.consumer.commitSync();
        one.close();
        Member.settle("without the first", List.of(two), 6);
        Member old = Member.of(NAME, NAME, Cooperative.SETTINGS);
        Member.settle("with a classic one", List.of(two, old), 3, 3);
        Broker.print(StaticMembers.described(NAME));
        two.close();
        Member.settle("the classic one alone", List.of(old), 6);
        Broker.print(StaticMembers.described(NAME), Joins.committed(NAME, NAME));
        old.close();
        Broker.print(StaticMembers.described(NAME));
    }

    private static void staticMembers() throws Exception {
        String topic = Broker.make(NAME + "-static", 4);
        Member one = Member.of(topic, topic, "group.protocol", "consumer", "group.instance.id", "one");
        Member two = Member.of(topic, topic, "group.protocol", "consumer", "group.instance.id", "two");
        Member.settle("static", List.of(one, two), 2, 2);
        Broker.fill(topic, 80, 4);
        Member.settleRead("both read", List.of(one, two), 80, 2, 2);
        one.consumer.commitSync();
        two.consumer.commitSync();
        Set<TopicPartition> had = one.has();
        Member.forget(one, two);
        one.close();
        Member back = Member.of(topic, topic, "group.protocol", "consumer", "group.instance.id", "one");
        Member.settle("one is back", List.of(back, two), 2, 2);
        Broker.print("the same", back.has().equals(had), "the other was told", two.told);
        Member twin = Member.of(topic, topic, "group.protocol", "consumer", "group.instance.id", "one");
        Broker.until("the second of one name to fail", () -> {
            back.poll();
            two.poll();
            twin.poll();
            return twin.failed != null;
        });
        Broker.print("second", twin.failed, "the first has the same", back.has().equals(had), "the other", two.told);
        twin.close();
        Broker.print(StaticMembers.described(topic));
        Broker.fill(topic, 40, 4);
        Member.forget(back, two);
        Member.settleRead("both go on", List.of(back, two), 40, 2, 2);
        back.close();
        two.close();
    }

    private static void patterns() throws Exception {
        String group = NAME + "-pattern";
        String first = Broker.make(group + "-a1", 2);
        Broker.make(group + "-b1", 2);
        Broker.fill(first, 20, 2);
        Member one = Member.ofPattern(group, group + "-a[0-9]+", "group.protocol", "consumer");
        Member.settleRead("what fits", List.of(one), 20, 2);
        String later = Broker.make(group + "-a2", 3);
        Broker.fill(later, 30, 3);
        Member.settleRead("a topic that came later", List.of(one), 50, 5);
        one.close();
        Member wrong = Member.ofPattern(group, "a[", "group.protocol", "consumer");
        refused("no pattern", wrong);
    }

    private static void assignors() throws Exception {
        String topic = Broker.make(NAME + "-range", 5);
        String more = Broker.make(NAME + "-range-more", 5);
        List<Member> both = new ArrayList<>();
        for (int n = 0; n < 2; n++) {
            both.add(Member.of(topic, List.of(topic, more), "group.protocol", "consumer", "group.remote.assignor", "range"));
        }
        Member.settle("range", both, 6, 4);
        List<List<Integer>> shares = new ArrayList<>();
        both.forEach(of -> shares.add(of.has().stream().map(TopicPartition::partition).sorted().toList()));
        shares.sort((a, b) -> a.get(0) - b.get(0));
        Broker.print(shares, StaticMembers.described(topic).contains("range"));
        both.forEach(Member::close);
        Member wrong = Member.of(topic, topic, "group.protocol", "consumer", "group.remote.assignor", "mine");
        refused("unknown assignor", wrong);
    }

    private static void refused(String what, Member wrong) {
        Broker.until(what + " to be refused", () -> {
            wrong.poll();
            return wrong.failed != null;
        });
        Broker.print(what, wrong.failed);
        wrong.close();
    }
}
