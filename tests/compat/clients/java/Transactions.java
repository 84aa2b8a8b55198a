import java.util.List;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Transactions: commit, abort, timeouts, what each isolation reads. */
final class Transactions {
    private static final String TOPIC = "java-transactions";

    private Transactions() {}

    static KafkaProducer<byte[], byte[]> transactional(String name, Object... settings) {
        Object[] all = java.util.Arrays.copyOf(settings, settings.length + 2);
        all[settings.length] = "transactional.id";
        all[settings.length + 1] = "java-" + name;
        KafkaProducer<byte[], byte[]> made = Broker.producer(all);
        made.initTransactions();
        return made;
    }

    static void both(String what, String topic, int partition) {
        for (String isolation : List.of("read_committed", "read_uncommitted")) {
            Broker.print(what, isolation, Broker.values(topic, partition, isolation));
        }
    }

    static void run() throws Exception {
        Broker.make(TOPIC, 3);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            interleaved(codec);
        }
        both("interleaved", TOPIC, 0);
        var record = new ProducerRecord<byte[], byte[]>(TOPIC, 1, null, "taken back".getBytes());
        // Producers of their own: such a call spoils what they send next.
        Broker.print("outside", Broker.outcome(() -> transactional("outside").send(record).get()));
        var twice = transactional("twice");
        Broker.print("begin", Broker.outcome(twice::beginTransaction), "again", Broker.outcome(twice::beginTransaction));
        var one = transactional("three");
        one.beginTransaction();
        Broker.send(one, TOPIC, 1, "kept");
        Broker.send(one, TOPIC, 2, "kept");
        both("open", TOPIC, 1);
        Broker.print("commit", Broker.outcome(one::commitTransaction));
        both("committed 1", TOPIC, 1);
        both("committed 2", TOPIC, 2);
        Broker.print("empty", Broker.outcome(one::beginTransaction), Broker.outcome(one::commitTransaction));
        Broker.print("empty", Broker.outcome(one::beginTransaction), Broker.outcome(one::abortTransaction));
        one.beginTransaction();
        // Not yet sent when it is taken back: the broker need not see it.
        one.send(record);
        Broker.print("abort", Broker.outcome(one::abortTransaction));
        Broker.print("committed", Broker.values(TOPIC, 1, "read_committed"));
        tooLarge();
        timeouts();
    }

    /** Two transactions and a producer without, by turns in one partition. */
    private static void interleaved(String codec) {
        try (var plain = Broker.producer("enable.idempotence", true, "compression.type", codec);
            var one = transactional("one-" + codec, "compression.type", codec);
            var two = transactional("two-" + codec, "compression.type", codec)) {
            for (int n = 0; n < 4; n++) {
                one.beginTransaction();
                two.beginTransaction();
                Broker.send(one, TOPIC, 0, "one " + n, "one too " + n);
                Broker.send(two, TOPIC, 0, "two " + n);
                Broker.send(plain, TOPIC, 0, "plain " + n);
                Broker.send(one, TOPIC, 0, "one more " + n);
                Broker.Ask oneEnds = n == 1 || n == 2 ? one::commitTransaction : one::abortTransaction;
                Broker.Ask twoEnds = n == 1 || n == 3 ? two::commitTransaction : two::abortTransaction;
                Broker.print(codec, n, Broker.outcome(twoEnds), Broker.outcome(oneEnds));
            }
        }
    }

    /** A record that is refused: the transaction cannot be committed, and the next goes on. */
    private static void tooLarge() throws Exception {
        String small = Broker.make(TOPIC + "-small", 1, "max.message.bytes", "1000");
        var one = transactional("small");
        one.beginTransaction();
        Broker.print("fits", Broker.send(one, small, 0, "fits"));
        Broker.print("too large", Broker.send(one, small, 0, "x".repeat(2000)));
        // Which error depends on whether the producer knows already that its transaction failed.
        boolean committed = Broker.outcome(one::commitTransaction).equals("ok");
        Broker.print("committed", committed, "abort", Broker.outcome(one::abortTransaction));
        one.beginTransaction();
        Broker.send(one, small, 0, "next");
        Broker.print("commit", Broker.outcome(one::commitTransaction), Broker.values(small));
    }

    /** The broker takes back what is open for too long, and its producer is told. */
    private static void timeouts() throws Exception {
        String topic = Broker.make(TOPIC + "-late", 1);
        Broker.print("too long", Broker.outcome(() -> transactional("too-long", "transaction.timeout.ms", 900_001)));
        var late = transactional("late", "transaction.timeout.ms", 3000);
        late.beginTransaction();
        Broker.send(late, topic, 0, "late");
        Broker.send(Broker.producer(), topic, 0, "behind it");
        both("late", topic, 0);
        Broker.until("the broker to abort", () -> Broker.values(topic).equals(List.of("behind it")));
        both("too late", topic, 0);
        Broker.print("commit", Broker.outcome(late::commitTransaction), "abort", Broker.outcome(late::abortTransaction));
        var after = transactional("late");
        after.beginTransaction();
        Broker.send(after, topic, 0, "after it");
        Broker.print("after it", Broker.outcome(after::commitTransaction));
        both("after it", topic, 0);
    }
}
