import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** A classic group: members join, leave, are killed; offsets with metadata go on from there. */
final class Joins {
    private static final int PARTITIONS = 6;
    private static final String TOPIC = "java-joins";
    private static final String GROUP = "java-joins";
    private static final String OTHER = "java-joins-other";

    private Joins() {}

    static Map<String, String> committed(String group, String topic) throws Exception {
        var found = Broker.admin().listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        Map<String, String> shown = new TreeMap<>();
        found.forEach((at, of) -> {
            if (at.topic().equals(topic)) {
                shown.put("" + at.partition(), of.offset() + " '" + of.metadata() + "' " + of.leaderEpoch().isPresent());
            }
        });
        return shown;
    }

    private static long lag(String group) {
        try (var reader = Broker.consumer(group)) {
            List<TopicPartition> places = new ArrayList<>();
            for (int n = 0; n < PARTITIONS; n++) {
                places.add(new TopicPartition(TOPIC, n));
            }
            var ends = reader.endOffsets(places);
            var committed = reader.committed(new java.util.HashSet<>(places));
            return places.stream()
                .mapToLong(at -> ends.get(at) - (committed.get(at) == null ? 0 : committed.get(at).offset()))
                .sum();
        }
    }

    static void run() throws Exception {
        Broker.make(TOPIC, PARTITIONS);
        Broker.fill(TOPIC, 300, PARTITIONS);
        Member one = Member.of(GROUP, TOPIC);
        Member.settleRead("alone", List.of(one), 300, 6);
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        one.has().forEach(at -> offsets.put(at, new OffsetAndMetadata(50, "after " + at.partition())));
        one.consumer.commitSync(offsets);
        Broker.print("committed", committed(GROUP, TOPIC));
        Member two = Member.of(GROUP, TOPIC);
        Member three = Member.of(GROUP, TOPIC);
        Member.settleRead("three", List.of(one, two, three), 300, 2, 2, 2);
        Broker.fill(TOPIC, 300, PARTITIONS);
        Member.settleRead("with more", List.of(one, two, three), 600, 2, 2, 2);
        for (Member member : List.of(one, two, three)) {
            member.consumer.commitSync();
        }
        three.close();
        Member.settle("one left", List.of(one, two), 3, 3);
        Process process = Broker.start("member", "joins", TOPIC, GROUP);
        Member.settle("another process", List.of(one, two), 2, 2);
        Member.pollUntil(process, "has 2", one, two);
        process.destroyForcibly();
        Member.settle("which was killed", List.of(one, two), 3, 3);
        Member.forget(one, two);
        Broker.fill(TOPIC, 60, PARTITIONS);
        Member.settleRead("read what came", List.of(one, two), 60, 3, 3);
        one.consumer.commitSync();
        two.consumer.commitSync();
        one.close();
        two.close();
        Broker.print("lag", lag(GROUP), committed(GROUP, TOPIC));
        Broker.fill(TOPIC, 12, PARTITIONS);
        Broker.print("lag", lag(GROUP));
        try (Member again = Member.of(GROUP, TOPIC)) {
            Member.settleRead("a new consumer", List.of(again), 12, 6);
        }
        others();
    }

    /** A second group, undisturbed; offsets set back; more members than partitions; other assignors. */
    private static void others() throws Exception {
        Member other = Member.of(OTHER, TOPIC);
        Member.settleRead("another group", List.of(other), 672, 6);
        other.consumer.commitSync();
        Map<TopicPartition, OffsetAndMetadata> back = new HashMap<>();
        other.has().forEach(at -> back.put(at, new OffsetAndMetadata(0)));
        Broker.admin().alterConsumerGroupOffsets(GROUP, back).all().get();
        Broker.print("set back", lag(GROUP), lag(OTHER));
        Member.forget(other);
        String four = Broker.make("java-joins-four", 4);
        List<Member> five = new ArrayList<>();
        for (int n = 0; n < 5; n++) {
            five.add(Member.of(GROUP, four));
        }
        Member.settle("five for four", five, 0, 1, 1, 1, 1);
        Member leaver = five.stream().filter(of -> !of.has().isEmpty()).findFirst().orElseThrow();
        five.remove(leaver);
        leaver.close();
        Member.settle("four for four", five, 1, 1, 1, 1);
        five.forEach(Member::close);
        Member.settle("undisturbed", List.of(other), 6);
        Broker.print("told", other.told);
        other.close();
        try (Member again = Member.of(GROUP, TOPIC)) {
            Member.settleRead("from the beginning", List.of(again), 672, 6);
        }
        for (String assignor : List.of("RoundRobinAssignor", "StickyAssignor", "RangeAssignor")) {
            Object name = "org.apache.kafka.clients.consumer." + assignor;
            String group = "java-joins-" + assignor;
            try (Member first = Member.of(group, four, "partition.assignment.strategy", name);
                Member second = Member.of(group, four, "partition.assignment.strategy", name)) {
                Member.settle(assignor, List.of(first, second), 2, 2);
                // Another protocol than the group's.
                Object other2 = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
                try (Member wrong = Member.of(group, four, "partition.assignment.strategy", other2)) {
                    Broker.until("a member of another protocol to be refused", () -> {
                        wrong.poll();
                        return wrong.failed != null;
                    });
                    Broker.print("another protocol", wrong.failed);
                }
            }
        }
    }

    /** A process that is a member until it is killed. */
    static void member(String... words) {
        Object[] settings = words[2].equals("cooperative") ? Cooperative.SETTINGS : new Object[0];
        Member mine = Member.of(words[4], words[3], settings);
        Member.settle("joined", List.of(mine), 2);
        System.out.println("has 2");
        while (true) {
            mine.poll();
        }
    }
}
