import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Reads numbers, writes their squares exactly once: taken back, left alone, killed, and finished. */
final class Transform {
    private static final int COUNT = 120;
    private static final int PARTITIONS = 3;
    private static final String SOURCE = "java-transform-numbers";
    private static final String SINK = "java-transform-squares";
    private static final String GROUP = "java-transform";
    private static final Set<TopicPartition> PLACES = new HashSet<>();

    static {
        for (int n = 0; n < PARTITIONS; n++) {
            PLACES.add(new TopicPartition(SOURCE, n));
        }
    }

    private Transform() {}

    private static KafkaConsumer<byte[], byte[]> reads() {
        var made = Broker.consumer(GROUP, "isolation.level", "read_committed", "max.poll.records", 5);
        made.subscribe(List.of(SOURCE));
        return made;
    }

    private static KafkaProducer<byte[], byte[]> writes() {
        return Transactions.transactional("transform");
    }

    /** Commits so many transactions (-1: until all is read), then leaves one open. */
    private static void transform(
            KafkaConsumer<byte[], byte[]> source, KafkaProducer<byte[], byte[]> sink, int rounds) {
        int[] done = {0};
        Broker.until("rounds of a transformation", () -> {
            ConsumerRecords<byte[], byte[]> records = source.poll(Duration.ofMillis(200));
            if (records.isEmpty()) {
                return rounds < 0 && committed(source) == COUNT;
            }
            sink.beginTransaction();
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (var record : records) {
                long number = Long.parseLong(new String(record.value()));
                byte[] square = Long.toString(number * number).getBytes();
                sink.send(new ProducerRecord<>(SINK, record.partition(), record.value(), square));
                TopicPartition place = new TopicPartition(SOURCE, record.partition());
                offsets.put(place, new OffsetAndMetadata(record.offset() + 1));
            }
            sink.sendOffsetsToTransaction(offsets, source.groupMetadata());
            if (done[0]++ == rounds) {
                return true;
            }
            sink.commitTransaction();
            return false;
        });
    }

    private static long committed(KafkaConsumer<byte[], byte[]> reader) {
        return reader.committed(PLACES).values().stream().mapToLong(of -> of == null ? 0 : of.offset()).sum();
    }

    static void run() throws Exception {
        Broker.make(SOURCE, PARTITIONS);
        Broker.make(SINK, PARTITIONS);
        Broker.fill(SOURCE, COUNT, PARTITIONS);
        var takesBack = writes();
        try (var source = reads()) {
            transform(source, takesBack, 3);
            takesBack.abortTransaction();
            told("taken back", source);
        }
        var left = writes();
        try (var source = reads()) {
            transform(source, left, 3);
            left.flush();
        }
        Process process = Broker.start("transforms");
        Broker.line(process, "in the middle").get(Broker.PATIENCE_S, TimeUnit.SECONDS);
        process.destroyForcibly();
        try (var source = reads()) {
            transform(source, writes(), -1);
            told("finished", source);
        }
        Broker.print("the one left alone", Broker.outcome(left::commitTransaction));
        List<Long> squares = new ArrayList<>(found("read_committed"));
        squares.sort(null);
        for (int n = 0; n < COUNT; n++) {
            if (squares.size() != COUNT || squares.get(n) != (long) n * n) {
                throw new IllegalStateException("not exactly once: " + squares);
            }
        }
        Broker.print(squares.size(), "committed,", new HashSet<>(squares).size(), "different");
        Broker.print("more were written than committed:", found("read_uncommitted").size() > COUNT);
        oldGeneration();
    }

    private static void told(String what, KafkaConsumer<byte[], byte[]> source) {
        Broker.print(what, "offsets and squares agree", committed(source) == found("read_committed").size());
    }

    private static List<Long> found(String isolation) {
        List<Long> squares = new ArrayList<>();
        for (int n = 0; n < PARTITIONS; n++) {
            Broker.values(SINK, n, isolation).forEach(value -> squares.add(Long.valueOf(value)));
        }
        return squares;
    }

    /** A process that is killed within its third transaction. */
    static void untilKilled() throws Exception {
        var sink = writes();
        transform(reads(), sink, 2);
        sink.flush();
        System.out.println("in the middle");
        System.in.read();
        throw new IllegalStateException("was not killed");
    }

    /** Offsets in the name of a generation that is over are refused (KIP-447). */
    private static void oldGeneration() throws Exception {
        Member one = Member.of(GROUP + "-old", SOURCE);
        Member.settle("alone", List.of(one), 3);
        var before = one.consumer.groupMetadata();
        Member two = Member.of(GROUP + "-old", SOURCE);
        Member.settle("two", List.of(one, two), 1, 2);
        var sink = Transactions.transactional("transform-old");
        var offsets = Map.of(new TopicPartition(SOURCE, 0), new OffsetAndMetadata(1));
        sink.beginTransaction();
        Broker.print("an old generation", Broker.outcome(() -> {
            sink.sendOffsetsToTransaction(offsets, before);
            sink.commitTransaction();
        }));
        Broker.print("abort", Broker.outcome(sink::abortTransaction));
        sink.beginTransaction();
        sink.sendOffsetsToTransaction(offsets, one.consumer.groupMetadata());
        Broker.print("the present one", Broker.outcome(sink::commitTransaction), Joins.committed(GROUP + "-old", SOURCE));
        one.close();
        two.close();
    }
}
