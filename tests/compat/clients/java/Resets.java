import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Where a consumer begins: earliest, latest, none, a duration, a committed offset, one out of range. */
final class Resets {
    private static final String TOPIC = "java-resets";
    private static final TopicPartition PLACE = new TopicPartition(TOPIC, 0);
    private static final String[] RESETS = {"earliest", "latest", "none", "by_duration:PT1H", "by_duration:P2000D"};

    private Resets() {}

    static void run() throws Exception {
        Broker.make(TOPIC, 1, "retention.ms", "-1");
        long now = System.currentTimeMillis();
        try (var through = Broker.producer()) {
            for (int n = 0; n < 10; n++) {
                // The last three are within the hour.
                long time = n < 7 ? Records.START_MS + 1000L * n : now - 1000L * (10 - n);
                through.send(new ProducerRecord<>(TOPIC, 0, time, null, new byte[] {(byte) n})).get();
            }
        }
        var deleted = Broker.admin().deleteRecords(Map.of(PLACE, RecordsToDelete.beforeOffset(3)));
        Broker.print("first left", deleted.lowWatermarks().get(PLACE).get().lowWatermark());
        for (String reset : RESETS) {
            for (long offset : new long[] {-1, 1, 5, 10, 1000}) {
                Broker.print(reset, "from", offset, started("java-resets", reset, offset));
            }
        }
        Broker.print("nonsense", Broker.outcome(() -> started("java-resets", "by_duration:soon", -1)));
        committed();
        latest();
        seeks();
    }

    /** A committed offset goes before the reset; one that is gone is reset. */
    private static void committed() {
        for (long offset : new long[] {1, 5, 1000}) {
            String group = "java-resets-committed-" + offset;
            try (var reader = Broker.consumer(group)) {
                reader.assign(List.of(PLACE));
                reader.commitSync(Map.of(PLACE, new OffsetAndMetadata(offset, "by hand")));
            }
            for (String reset : RESETS) {
                Broker.print("committed", offset, reset, started(group, reset, -1));
            }
        }
    }

    /** What comes after a consumer of the latest has begun is read. */
    private static void latest() {
        try (var reader = Broker.consumer("java-resets", "auto.offset.reset", "latest"); var through = Broker.producer()) {
            reader.assign(List.of(PLACE));
            String where = told(reader);
            Broker.send(through, TOPIC, 0, "new");
            Broker.print("latest", where, "then", told(reader));
        }
    }

    private static void seeks() {
        try (var reader = Broker.consumer("java-resets")) {
            reader.assign(List.of(PLACE));
            for (long time : new long[] {0, 5500, 1_000_000}) {
                var found = reader.offsetsForTimes(Map.of(PLACE, Records.START_MS + time)).get(PLACE);
                reader.seek(PLACE, found.offset());
                Broker.print("seek", time, found.offset(), told(reader));
            }
            reader.seekToEnd(List.of(PLACE));
            Broker.print("to the end", told(reader));
            reader.seekToBeginning(List.of(PLACE));
            Broker.print("to the beginning", told(reader));
            Broker.print("lag", reader.currentLag(PLACE).isPresent());
        }
    }

    private static String started(String group, String reset, long offset) {
        try (var reader = Broker.consumer(group, "auto.offset.reset", reset, "max.poll.records", 1)) {
            reader.assign(List.of(PLACE));
            if (offset >= 0) {
                reader.seek(PLACE, offset);
            }
            return told(reader);
        }
    }

    /** What a consumer sees next: a record, the end, or an error. */
    private static String told(KafkaConsumer<byte[], byte[]> reader) {
        String[] told = new String[1];
        Broker.until("a record, the end or an error", () -> {
            try {
                var records = reader.poll(Duration.ofMillis(100));
                long end = reader.endOffsets(List.of(PLACE)).get(PLACE);
                if (!records.isEmpty()) {
                    told[0] = "record " + records.iterator().next().offset();
                } else if (reader.position(PLACE) == end) {
                    told[0] = "end " + end;
                }
            } catch (RuntimeException error) {
                told[0] = Broker.name(error);
            }
            return told[0] != null;
        });
        return told[0];
    }
}
