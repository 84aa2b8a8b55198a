import java.util.List;
import java.util.Set;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.common.TopicPartition;

/** Open transactions: listed, described, found by their partition, and taken back by an administrator. */
final class AdminTransactions {
    private static final String TOPIC = "java-admin-transactions";
    private static final String ID = "java-admin-open";
    private static final TopicPartition PLACE = new TopicPartition(TOPIC, 0);

    private AdminTransactions() {}

    static void tour() throws Exception {
        Broker.make(TOPIC, 1);
        // Twice: the second has another epoch.
        Transactions.transactional("admin-open");
        var through = Transactions.transactional("admin-open");
        through.beginTransaction();
        Broker.send(through, TOPIC, 0, "hangs");
        listed("all", new ListTransactionsOptions());
        listed("ongoing", new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING)));
        listed("empty", new ListTransactionsOptions().filterStates(Set.of(TransactionState.EMPTY)));
        listed("for long", new ListTransactionsOptions().filterOnDuration(3_600_000));
        listed("by pattern", new ListTransactionsOptions().filterOnTransactionalIdPattern("java-admin-.*"));
        listed("no pattern", new ListTransactionsOptions().filterOnTransactionalIdPattern("("));
        described(ID);
        described("java-admin-nobody");
        producers();
        var open = Broker.admin().describeProducers(List.of(PLACE)).partitionResult(PLACE).get().activeProducers().get(0);
        for (int epoch : new int[] {open.producerEpoch() - 1, open.producerEpoch()}) {
            var spec = new AbortTransactionSpec(PLACE, open.producerId(), (short) epoch, open.coordinatorEpoch().orElse(-1));
            Broker.say("abort", () -> Broker.outcome(() -> Broker.admin().abortTransaction(spec).all().get()));
        }
        producers();
        Broker.print("its end", Broker.outcome(through::abortTransaction));
        terminated();
    }

    /** By the name of the producer, without knowing where its transaction is (KIP-939). */
    private static void terminated() {
        var through = Transactions.transactional("admin-open");
        through.beginTransaction();
        Broker.send(through, TOPIC, 0, "hangs");
        Broker.say("terminate", () -> Broker.admin().forceTerminateTransaction(ID).result().get());
        Broker.until("the end", () -> !Set.of("Ongoing", "PrepareAbort").contains(state()));
        described(ID);
        Broker.print("its end", Broker.outcome(through::commitTransaction), Broker.values(TOPIC));
    }

    private static String state() throws Exception {
        return Broker.admin().describeTransactions(List.of(ID)).description(ID).get().state().toString();
    }

    private static void listed(String what, ListTransactionsOptions options) {
        Broker.say("list " + what, () -> Broker.admin().listTransactions(options).all().get().stream()
            .filter(of -> of.transactionalId().equals(ID))
            .map(of -> of.state().toString())
            .toList());
    }

    private static void described(String id) {
        Broker.say("describe " + id, () -> {
            var of = Broker.admin().describeTransactions(List.of(id)).description(id).get();
            return of.state() + " " + of.transactionTimeoutMs() + " " + of.transactionStartTimeMs().isPresent() + " " + of.topicPartitions();
        });
    }

    private static void producers() {
        Broker.say("producers", () -> Broker.admin().describeProducers(List.of(PLACE)).partitionResult(PLACE).get()
            .activeProducers().stream()
            .map(of -> of.lastSequence() + " " + of.currentTransactionStartOffset() + " " + of.producerEpoch())
            .toList());
    }
}
