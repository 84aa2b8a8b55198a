import java.util.Map;

/**
 * Kafka's own Java clients do a scenario: prints what a user would see, the same from every broker.
 *
 * <p>java -cp CLASSES Scenarios SCENARIO HOST:PORT
 */
public final class Scenarios {
    /** No scenario takes nearly as long, in milliseconds; one that does has hung. */
    private static final long MOST_MS = 180_000;

    interface Scenario {
        void run(String... words) throws Exception;
    }

    private static final Map<String, Scenario> ALL = Map.ofEntries(
        Map.entry("codecs", words -> Codecs.run()),
        Map.entry("records", words -> Records.run()),
        Map.entry("resets", words -> Resets.run()),
        Map.entry("joins", words -> Joins.run()),
        Map.entry("member", Joins::member),
        Map.entry("static", words -> StaticMembers.run()),
        Map.entry("cooperative", words -> Cooperative.run()),
        Map.entry("consumer-protocol", words -> ConsumerProtocol.run()),
        Map.entry("transactions", words -> Transactions.run()),
        Map.entry("fencing", words -> Fencing.run()),
        Map.entry("transform", words -> Transform.run()),
        Map.entry("transforms", words -> Transform.untilKilled()),
        Map.entry("admin", words -> Admin.run()));

    public static void main(String[] words) {
        Thread watch = new Thread(Scenarios::watch);
        watch.setDaemon(true);
        watch.start();
        Broker.at = words[1];
        try {
            ALL.get(words[0]).run(words);
        } catch (Throwable error) {
            error.printStackTrace();
            end(1);
        }
        end(0);
    }

    private static void watch() {
        try {
            Thread.sleep(MOST_MS);
        } catch (InterruptedException error) {
            return;
        }
        System.err.println("the scenario hangs");
        end(1);
    }

    /** Without the clients' ends: some were left on purpose. */
    private static void end(int status) {
        System.out.flush();
        Runtime.getRuntime().halt(status);
    }
}
