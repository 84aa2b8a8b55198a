import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;

/** Topics: made, described, enlarged, emptied, deleted. */
final class AdminTopics {
    static final String ONE = "java-admin-one";
    static final String TWO = "java-admin-two";
    static final String MISSING = "java-admin-missing";
    private static final Map<String, String> SETTINGS = Map.of("cleanup.policy", "compact", "segment.bytes", "1048576");

    private AdminTopics() {}

    static void make(int node) {
        NewTopic one = new NewTopic(ONE, 2, (short) 1).configs(SETTINGS);
        create("only validated", one, true);
        Broker.say("there", () -> Broker.admin().listTopics().names().get().contains(ONE));
        create("create", one, false);
        create("create", new NewTopic(TWO, Map.of(0, List.of(node), 1, List.of(node), 2, List.of(node))), false);
        create("defaults", new NewTopic("java-admin-defaults", Optional.empty(), Optional.empty()), false);
        create("twice", one, false);
        create("name", new NewTopic("java admin", 1, (short) 1), false);
        create("dots", new NewTopic("..", 1, (short) 1), false);
        create("long", new NewTopic("x".repeat(250), 1, (short) 1), false);
        create("replicas", new NewTopic(MISSING, 1, (short) 3), false);
        create("none", new NewTopic(MISSING, 0, (short) 1), false);
        create("setting", new NewTopic(MISSING, 1, (short) 1).configs(Map.of("no.such", "1")), false);
        create("value", new NewTopic(MISSING, 1, (short) 1).configs(Map.of("retention.ms", "long")), false);
        create("node", new NewTopic(MISSING, Map.of(0, List.of(99))), false);
        create("a gap", new NewTopic(MISSING, Map.of(1, List.of(node))), false);
        described(2);
    }

    private static void create(String what, NewTopic topic, boolean validateOnly) {
        var options = new CreateTopicsOptions().validateOnly(validateOnly);
        Broker.say(what, () -> {
            var made = Broker.admin().createTopics(List.of(topic), options);
            made.all().get();
            var config = made.config(topic.name()).get();
            int partitions = made.numPartitions(topic.name()).get();
            boolean named = !made.topicId(topic.name()).get().equals(Uuid.ZERO_UUID);
            return partitions + " " + made.replicationFactor(topic.name()).get() + " " + named + " "
                + config.get("cleanup.policy").value() + " " + config.get("segment.bytes").source();
        });
    }

    /** The topics, as soon as the broker has heard from its controller that the first has so many partitions. */
    private static void described(int partitions) {
        var options = new DescribeTopicsOptions().includeAuthorizedOperations(true).partitionSizeLimitPerResponse(2);
        Broker.until("both topics", () -> {
            var both = Broker.admin().describeTopics(List.of(ONE, TWO), options).topicNameValues();
            return Broker.outcome(both.get(TWO)::get).equals("ok")
                && Broker.outcome(both.get(ONE)::get).equals("ok")
                && both.get(ONE).get().partitions().size() == partitions;
        });
        var found = Broker.admin().describeTopics(TopicCollection.ofTopicNames(List.of(ONE, TWO, MISSING)), options);
        for (String name : List.of(ONE, TWO, MISSING)) {
            Broker.say("describe " + name, () -> {
                var topic = found.topicNameValues().get(name).get();
                List<String> shape = new ArrayList<>();
                topic.partitions().forEach(at -> shape.add(at.partition() + ":" + at.replicas().size() + ":" + at.isr().size()
                    + ":" + at.leader().equals(at.replicas().get(0)) + ":" + at.elr() + at.lastKnownElr()));
                var allowed = topic.authorizedOperations().stream().map(Enum::name).sorted().toList();
                return topic.isInternal() + " " + shape + " " + allowed;
            });
        }
        Broker.say("describe by id", () -> {
            Uuid id = found.topicNameValues().get(ONE).get().topicId();
            var byId = Broker.admin().describeTopics(TopicCollection.ofTopicIds(List.of(id)));
            return byId.topicIdValues().get(id).get().name();
        });
    }

    static void enlarge() {
        more("validated", Map.of(ONE, NewPartitions.increaseTo(5)), true);
        more("more", Map.of(ONE, NewPartitions.increaseTo(4)), false);
        more("missing", Map.of(MISSING, NewPartitions.increaseTo(4)), false);
        more("fewer", Map.of(ONE, NewPartitions.increaseTo(3)), false);
        more("as many", Map.of(ONE, NewPartitions.increaseTo(4)), false);
        more("node", Map.of(TWO, NewPartitions.increaseTo(4, List.of(List.of(99)))), false);
        described(4);
    }

    private static void more(String what, Map<String, NewPartitions> counts, boolean validateOnly) {
        var options = new CreatePartitionsOptions().validateOnly(validateOnly);
        Broker.say(what, () -> Broker.admin().createPartitions(counts, options).all().get());
    }

    static void records() {
        Broker.fill(TWO, 30, 3);
        delete(TWO, 0, 4);
        delete(TWO, 1, -1);
        delete(TWO, 2, 99);
        for (OffsetSpec spec : List.of(OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.forTimestamp(1))) {
            Map<Integer, Long> offsets = new TreeMap<>();
            Broker.say(spec.getClass().getSimpleName(), () -> {
                Map<TopicPartition, OffsetSpec> asked = new TreeMap<>((a, b) -> a.partition() - b.partition());
                for (int n = 0; n < 3; n++) {
                    asked.put(new TopicPartition(TWO, n), spec);
                }
                Map<TopicPartition, ListOffsetsResultInfo> found = Broker.admin().listOffsets(asked).all().get();
                found.forEach((at, of) -> offsets.put(at.partition(), of.offset()));
                return offsets;
            });
        }
        for (int n = 0; n < 3; n++) {
            Broker.print("left", Broker.read(TWO, n, "read_committed").size());
        }
    }

    private static void delete(String topic, int partition, long before) {
        var place = new TopicPartition(topic, partition);
        Broker.say("delete records " + before, () -> {
            var deleted = Broker.admin().deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(before)));
            return deleted.lowWatermarks().get(place).get().lowWatermark();
        });
    }

    static void delete() throws Exception {
        Uuid two = Broker.admin().describeTopics(List.of(TWO)).allTopicNames().get().get(TWO).topicId();
        Broker.say("delete", () -> Broker.admin().deleteTopics(List.of(ONE)).all().get());
        Broker.say("delete", () -> Broker.admin().deleteTopics(List.of(MISSING)).all().get());
        for (Uuid id : List.of(two, two)) {
            Broker.say("delete by id", () -> Broker.outcome(() ->
                Broker.admin().deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get()));
        }
        Broker.until("the topics to be gone", () -> {
            var names = Broker.admin().listTopics().names().get();
            return !names.contains(ONE) && !names.contains(TWO);
        });
        create("create again", new NewTopic(ONE, 1, (short) 1), false);
        try (var through = Broker.producer()) {
            Broker.print("empty", Broker.values(ONE), Broker.send(through, ONE, 0, "x"), Broker.values(ONE));
        }
        Broker.say("delete", () -> Broker.admin().deleteTopics(List.of(ONE)).all().get());
    }
}
