// Kafka Streams counts words exactly once (exactly_once_v2), through a repartition and a changelog topic:
// the first life is cut off in the middle, the second has to come to the exact counts.
import java.time.Duration;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

public class WordCount {
    static final int LINES = 2000;
    static final long PATIENCE_MS = 600_000;

    static String line(int number) {
        return "word" + number % 7 + " word" + number % 11 + " all";
    }

    static Map<String, Long> expected() {
        Map<String, Long> counts = new TreeMap<>();
        for (int number = 0; number < LINES; number++)
            for (String word : line(number).split(" ")) counts.merge(word, 1L, Long::sum);
        return counts;
    }

    static void produce(String servers, int from, int to) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", servers);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int number = from; number < to; number++)
                producer.send(new ProducerRecord<>("lines", "k" + number % 5, line(number)));
        }
    }

    static KafkaStreams streams(String servers, String folder) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream("lines", Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(text -> Arrays.asList(text.split(" ")))
            .groupBy((key, word) -> word, Grouped.with("by-word", Serdes.String(), Serdes.String()))
            .count(Materialized.as("counted"))
            .toStream().to("counts", Produced.with(Serdes.String(), Serdes.Long()));
        Properties settings = new Properties();
        settings.put("application.id", "word-count");
        settings.put("bootstrap.servers", servers);
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("commit.interval.ms", 100);
        settings.put("statestore.cache.max.bytes", 0);
        settings.put("state.dir", folder);
        settings.put("replication.factor", 1);
        settings.put("auto.offset.reset", "earliest");
        // What the first life leaves is waited for as long; a busy machine must not be as slow in one step.
        settings.put("producer.transaction.timeout.ms", 15000);
        settings.put("session.timeout.ms", 15000);
        return new KafkaStreams(builder.build(), settings);
    }

    /** Reads what is committed, on and on, until `enough` says so. */
    static Map<String, Long> read(String servers, java.util.function.Predicate<Map<String, Long>> enough) {
        Map<String, Object> settings = Map.of("bootstrap.servers", servers, "isolation.level", "read_committed",
            "auto.offset.reset", "earliest", "enable.auto.commit", "false");
        Map<String, Long> counts = new TreeMap<>();
        long end = System.currentTimeMillis() + PATIENCE_MS;
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new LongDeserializer())) {
            List<TopicPartition> all = consumer.partitionsFor("counts").stream()
                .map(of -> new TopicPartition("counts", of.partition())).collect(Collectors.toList());
            consumer.assign(all);
            while (System.currentTimeMillis() < end) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    long before = counts.getOrDefault(record.key(), 0L);
                    // Every count is the last one and one more: nothing twice, nothing left out.
                    if (record.value() != before + 1)
                        System.out.println("TORN " + record.key() + " " + before + " " + record.value());
                    counts.put(record.key(), record.value());
                }
                if (enough.test(counts)) return counts;
            }
        }
        System.out.println("TOO LATE " + counts);
        return counts;
    }

    public static void main(String[] args) throws Exception {
        String servers = args[0], folder = args[1];
        if (args[2].equals("first")) {
            try (var admin = Admin.create(Map.of("bootstrap.servers", servers))) {
                admin.createTopics(List.of(new NewTopic("lines", 3, (short) 1), new NewTopic("counts", 2, (short) 1))).all().get();
            }
            produce(servers, 0, LINES / 2);
            streams(servers, folder).start();
            read(servers, counts -> counts.getOrDefault("all", 0L) > LINES / 8);
            System.out.println("cut off");
            System.out.flush();
            Runtime.getRuntime().halt(0);
        }
        produce(servers, LINES / 2, LINES);
        try (KafkaStreams streams = streams(servers, folder)) {
            streams.start();
            Map<String, Long> counts = read(servers, seen -> seen.equals(expected()));
            counts.forEach((word, count) -> System.out.println(word + " " + count));
        }
        try (var admin = Admin.create(Map.of("bootstrap.servers", servers))) {
            admin.listTopics().names().get().stream().sorted().forEach(System.out::println);
        }
        System.out.println("complete");
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
