import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Records in all codecs and some levels, kept as they came and packed anew by the broker. */
final class Codecs {
    private Codecs() {}

    static void run() throws Exception {
        String[] plain = IntStream.range(0, 300).mapToObj(n -> n + " " + "again ".repeat(n % 80)).toArray(String[]::new);
        String[][] codecs = {
            {"none"}, {"gzip", "1"}, {"gzip", "9"}, {"snappy"}, {"lz4", "1"}, {"lz4", "17"}, {"zstd", "-5"}, {"zstd", "19"},
        };
        String[][] kept = {{"producer"}, {"uncompressed"}, {"gzip", "2"}, {"snappy"}, {"lz4", "3"}, {"zstd", "4"}};
        for (String[] codec : codecs) {
            for (String[] by : kept) {
                String topic = "java-codecs-" + String.join("-", codec) + "-" + by[0];
                List<String> settings = new ArrayList<>(List.of("compression.type", by[0]));
                if (by.length > 1) {
                    settings.addAll(List.of("compression." + by[0] + ".level", by[1]));
                }
                Broker.make(topic, 1, settings.toArray(String[]::new));
                List<String> refused = written(codec, topic, plain);
                var found = Broker.read(topic, 0, "read_committed");
                boolean same = found.stream().map(of -> new String(of.value())).toList().equals(List.of(plain));
                boolean order = IntStream.range(0, found.size()).allMatch(n -> found.get(n).offset() == n);
                Broker.print(String.join(" ", codec), "kept", by[0], refused, found.size(), same, order);
            }
        }
    }

    private static List<String> written(String[] codec, String topic, String[] values) {
        List<Object> settings = new ArrayList<>(List.of("compression.type", codec[0], "linger.ms", 20));
        if (codec.length > 1) {
            settings.addAll(List.of("compression." + codec[0] + ".level", codec[1]));
        }
        try (var through = Broker.producer(settings.toArray())) {
            return Broker.send(through, topic, 0, values);
        }
    }
}
