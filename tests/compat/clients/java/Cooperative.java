import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.kafka.common.TopicPartition;

/** A cooperative rebalance: who keeps a partition never stops, and is never told to. */
final class Cooperative {
    static final Object[] SETTINGS = {
        "partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    };
    private static final String TOPIC = "java-cooperative";

    private Cooperative() {}

    static void run() throws Exception {
        Broker.make(TOPIC, 6);
        Broker.fill(TOPIC, 300, 6);
        Member one = Member.of(TOPIC, TOPIC, SETTINGS);
        Member.settleRead("alone", List.of(one), 300, 6);
        one.consumer.commitSync();
        Set<TopicPartition> had = one.has();
        Member two = Member.of(TOPIC, TOPIC, SETTINGS);
        Member.settle("two", List.of(one, two), 3, 3);
        Broker.print("kept", kept(one, had), "told", one.told, two.told);
        Broker.fill(TOPIC, 300, 6);
        Member.settleRead("with more", List.of(one, two), 600, 3, 3);
        Broker.print("read twice", twice(one), twice(two));
        one.consumer.commitSync();
        two.consumer.commitSync();
        had = one.has();
        Member.forget(one, two);
        Process process = Broker.start("member", "cooperative", TOPIC, TOPIC);
        Member.settle("three", List.of(one, two), 2, 2);
        Member.pollUntil(process, "has 2", one, two);
        Broker.print("kept", kept(one, had), "told", one.told, two.told);
        process.destroyForcibly();
        Member.forget(one, two);
        Member.settle("one was killed", List.of(one, two), 3, 3);
        Broker.print("told", one.told, two.told);
        Member.forget(one, two);
        two.close();
        Member.settle("one left", List.of(one), 6);
        Broker.print("told", one.told, "at the end", two.told);
        one.close();
        Broker.print("at the end", one.told);
    }

    private static int kept(Member member, Set<TopicPartition> before) {
        Set<TopicPartition> both = new HashSet<>(before);
        both.retainAll(member.has());
        return both.size();
    }

    private static int twice(Member member) {
        return member.read.size() - new HashSet<>(member.read).size();
    }
}
