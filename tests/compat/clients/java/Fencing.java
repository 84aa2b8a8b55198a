import java.util.List;

/** Zombies: producers whose transactional id another has taken, or whom an administrator shut out. */
final class Fencing {
    private static final String TOPIC = "java-fencing";

    private Fencing() {}

    static void run() throws Exception {
        Broker.make(TOPIC, 1);
        // A zombie with an open transaction: it is taken back when the next comes.
        var first = Transactions.transactional("fencing");
        first.beginTransaction();
        Broker.send(first, TOPIC, 0, "zombie");
        var second = Transactions.transactional("fencing");
        Transactions.both("after the next came", TOPIC, 0);
        second.beginTransaction();
        Broker.send(second, TOPIC, 0, "owner 1");
        Broker.print("zombie's commit", Broker.outcome(first::commitTransaction), "abort", Broker.outcome(first::abortTransaction));
        Broker.print("owner's commit", Broker.outcome(second::commitTransaction));
        // One that writes.
        var third = Transactions.transactional("fencing");
        second.beginTransaction();
        Broker.print("zombie writes", Broker.send(second, TOPIC, 0, "zombie writes"));
        Broker.print("commit", Broker.outcome(second::commitTransaction), "abort", Broker.outcome(second::abortTransaction));
        third.beginTransaction();
        Broker.send(third, TOPIC, 0, "owner 2");
        Broker.print("owner's commit", Broker.outcome(third::commitTransaction));
        // One that begins and has written nothing.
        var fourth = Transactions.transactional("fencing");
        Broker.print("zombie begins", Broker.outcome(third::beginTransaction), Broker.outcome(third::commitTransaction));
        fourth.beginTransaction();
        Broker.send(fourth, TOPIC, 0, "owner 3");
        Broker.print("owner's abort", Broker.outcome(fourth::abortTransaction));
        // One that is shut out by an administrator.
        fourth.beginTransaction();
        Broker.send(fourth, TOPIC, 0, "shut out");
        Broker.say("fence", () -> Broker.admin().fenceProducers(List.of("java-fencing")).all().get());
        Broker.print("commit", Broker.outcome(fourth::commitTransaction));
        Transactions.both("at the end", TOPIC, 0);
    }
}
