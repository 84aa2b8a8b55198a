import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Keys, headers, tombstones, timestamps; offsets by time; what is refused; idempotence. */
final class Records {
    /** Long ago: topics with such records keep them for ever, or they are gone when Kafka looks. */
    static final long START_MS = 1_700_000_000_000L;

    private record Kept(byte[] key, byte[] value, Header... headers) {}

    private static final Kept[] RECORDS = {
        new Kept(bytes("k"), bytes("value"), header("a", "1"), header("a", "2"), header("empty", ""), header("null", null)),
        new Kept(bytes("k"), null, header("why", "gone")),
        new Kept(null, bytes("no key")),
        new Kept(bytes(""), bytes("")),
        new Kept(null, null),
        new Kept(new byte[] {0, -1}, new byte[] {-128, 127}, header("h\u00e4der", "w\u00f6rt")),
    };

    private Records() {}

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    private static Header header(String name, String value) {
        return new RecordHeader(name, bytes(value));
    }

    static void run() throws Exception {
        String plain = Broker.make("java-records", 1, "retention.ms", "-1");
        written(plain, "enable.idempotence", true, "compression.type", "gzip");
        offsets(plain);
        written(Broker.make("java-records-appended", 1, "message.timestamp.type", "LogAppendTime"), "acks", "1");
        refused(plain);
        try (var exactly = Broker.producer("enable.idempotence", true, "linger.ms", 5)) {
            String[] values = IntStream.range(0, 500).mapToObj(Integer::toString).toArray(String[]::new);
            List<String> refused = Broker.send(exactly, plain, 0, values);
            List<ConsumerRecord<byte[], byte[]>> all = Broker.read(plain, 0, "read_committed");
            List<String> last = all.subList(all.size() - 500, all.size()).stream().map(of -> new String(of.value())).toList();
            Broker.print("idempotent", refused, last.equals(Arrays.asList(values)));
        }
    }

    private static void written(String topic, Object... settings) throws Exception {
        try (var through = Broker.producer(settings)) {
            for (int n = 0; n < RECORDS.length; n++) {
                Kept kept = RECORDS[n];
                var record = new ProducerRecord<>(topic, 0, START_MS + 1000L * n, kept.key, kept.value, List.of(kept.headers));
                var sent = through.send(record).get();
                Broker.print(topic, "sent", sent.offset(), sent.timestamp() < START_MS + 10_000);
            }
        }
        for (var record : Broker.read(topic, 0, "read_committed")) {
            boolean appended = record.timestampType().name.equals("LogAppendTime");
            Object time = appended ? record.timestamp() > START_MS + 1_000_000_000L : record.timestamp() - START_MS;
            List<String> headers = new ArrayList<>();
            record.headers().forEach(of -> headers.add(of.key() + "=" + Arrays.toString(of.value())));
            Broker.print(topic, record.offset(), record.leaderEpoch(), record.timestampType(), time,
                Arrays.toString(record.key()), Arrays.toString(record.value()), headers);
        }
    }

    private static void offsets(String topic) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        try (var asked = Broker.consumer(null)) {
            for (long time : new long[] {-START_MS, -1, 0, 1500, 5000, 5001}) {
                var found = asked.offsetsForTimes(Map.of(place, START_MS + time)).get(place);
                Broker.print(topic, "at", time, found == null ? "-" : found.offset() + " " + (found.timestamp() - START_MS) + " " + found.leaderEpoch());
            }
            Broker.print(topic, "from and to", asked.beginningOffsets(List.of(place)), asked.endOffsets(List.of(place)));
        }
        for (OffsetSpec spec : new OffsetSpec[] {
            OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.maxTimestamp(), OffsetSpec.earliestLocal(),
            OffsetSpec.latestTiered(), OffsetSpec.forTimestamp(START_MS + 2500),
        }) {
            Broker.say(topic + " " + spec.getClass().getSimpleName(), () -> {
                var found = Broker.admin().listOffsets(Map.of(place, spec)).partitionResult(place).get();
                return found.offset() + " " + found.timestamp() + " " + found.leaderEpoch();
            });
        }
    }

    private static void refused(String plain) throws Exception {
        String strict = Broker.make("java-records-strict", 1, "message.timestamp.before.max.ms", "3600000");
        String ahead = Broker.make("java-records-ahead", 1, "message.timestamp.after.max.ms", "3600000");
        String small = Broker.make("java-records-small", 1, "max.message.bytes", "1000");
        String compacted = Broker.make("java-records-compacted", 1, "cleanup.policy", "compact");
        try (var through = Broker.producer(); var careless = Broker.producer("acks", "0", "enable.idempotence", false)) {
            for (var record : List.of(
                new ProducerRecord<>(strict, 0, START_MS, bytes("k"), bytes("old")),
                new ProducerRecord<>(ahead, 0, START_MS * 2, bytes("k"), bytes("ahead")),
                new ProducerRecord<>(small, 0, null, bytes("k"), bytes("x".repeat(2000))),
                new ProducerRecord<>(small, 0, null, bytes("k"), bytes("x".repeat(500))),
                new ProducerRecord<byte[], byte[]>(compacted, 0, null, null, bytes("no key")),
                new ProducerRecord<>(compacted, 0, null, bytes("k"), bytes("with a key")))) {
                Broker.print(record.topic(), Broker.outcome(() -> through.send(record).get()));
            }
            Broker.print("acks 0", careless.send(new ProducerRecord<>(plain, 0, null, bytes("y"))).get().hasOffset());
            int all = RECORDS.length + 1;
            Broker.until("the record without an answer", () -> Broker.read(plain, 0, "read_committed").size() == all);
        }
    }
}
