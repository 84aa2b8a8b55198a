import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The broker under test: its topics, producers and consumers, and waiting with an end. */
final class Broker {
    static final long PATIENCE_S = 60;
    static String at;
    /** Lines of a part that runs beside others. */
    private static final ThreadLocal<List<String>> KEPT = new ThreadLocal<>();
    private static org.apache.kafka.clients.admin.Admin admin;

    private Broker() {}

    static synchronized org.apache.kafka.clients.admin.Admin admin() {
        if (admin == null) {
            admin = org.apache.kafka.clients.admin.Admin.create(Map.of("bootstrap.servers", at));
        }
        return admin;
    }

    /** Makes a topic; settings are names and values by turns. */
    static String make(String topic, int partitions, String... settings) throws Exception {
        var made = new org.apache.kafka.clients.admin.NewTopic(topic, partitions, (short) 1);
        Map<String, String> configs = new HashMap<>();
        for (int n = 0; n < settings.length; n += 2) {
            configs.put(settings[n], settings[n + 1]);
        }
        admin().createTopics(List.of(made.configs(configs))).all().get(PATIENCE_S, TimeUnit.SECONDS);
        return topic;
    }

    private static Map<String, Object> with(Map<String, Object> defaults, Object... settings) {
        Map<String, Object> all = new HashMap<>(defaults);
        all.put("bootstrap.servers", at);
        for (int n = 0; n < settings.length; n += 2) {
            all.put((String) settings[n], settings[n + 1]);
        }
        return all;
    }

    static KafkaProducer<byte[], byte[]> producer(Object... settings) {
        var bytes = new ByteArraySerializer();
        return new KafkaProducer<>(with(Map.of("linger.ms", 0), settings), bytes, bytes);
    }

    /** Of the classic protocol, with the shortest session timeout, unless the settings say otherwise. */
    static KafkaConsumer<byte[], byte[]> consumer(String group, Object... settings) {
        Map<String, Object> defaults = new HashMap<>();
        defaults.put("auto.offset.reset", "earliest");
        defaults.put("enable.auto.commit", false);
        defaults.put("fetch.max.wait.ms", 100);
        if (group != null) {
            defaults.put("group.id", group);
        }
        if (!Arrays.asList(settings).contains("group.protocol")) {
            defaults.put("session.timeout.ms", 6000);
            defaults.put("heartbeat.interval.ms", 500);
        }
        var bytes = new ByteArrayDeserializer();
        return new KafkaConsumer<>(with(defaults, settings), bytes, bytes);
    }

    /** Sends and waits for all of them; the names of the errors of those that were refused. */
    static List<String> send(
            KafkaProducer<byte[], byte[]> through, String topic, int partition, String... values) {
        List<Future<?>> sent = new ArrayList<>();
        List<String> errors = new ArrayList<>();
        for (String value : values) {
            try {
                sent.add(through.send(new ProducerRecord<>(topic, partition, null, value.getBytes())));
            } catch (RuntimeException error) {
                errors.add(name(error));
            }
        }
        for (Future<?> future : sent) {
            String outcome = outcome(() -> future.get(PATIENCE_S, TimeUnit.SECONDS));
            if (!outcome.equals("ok")) {
                errors.add(outcome);
            }
        }
        return errors;
    }

    /** One record per number, round the partitions. */
    static void fill(String topic, int numbers, int partitions) {
        try (var through = producer("linger.ms", 20)) {
            for (int n = 0; n < numbers; n++) {
                byte[] value = Integer.toString(n).getBytes();
                through.send(new ProducerRecord<>(topic, n % partitions, null, value));
            }
            through.flush();
        }
    }

    /** All records of a partition, up to the end that this isolation sees. */
    static List<ConsumerRecord<byte[], byte[]>> read(String topic, int partition, String isolation) {
        TopicPartition place = new TopicPartition(topic, partition);
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        try (var reader = consumer(null, "isolation.level", isolation)) {
            reader.assign(List.of(place));
            reader.seekToBeginning(List.of(place));
            long end = reader.endOffsets(List.of(place)).get(place);
            until("all of " + topic, () -> {
                reader.poll(Duration.ofMillis(100)).forEach(found::add);
                return reader.position(place) >= end;
            });
        }
        return found;
    }

    static List<String> values(String topic, int partition, String isolation) {
        return read(topic, partition, isolation).stream().map(of -> new String(of.value())).toList();
    }

    static List<String> values(String topic) {
        return values(topic, 0, "read_committed");
    }

    static void until(String what, Callable<Boolean> look) {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
        try {
            while (!look.call()) {
                if (System.nanoTime() > end) {
                    throw new IllegalStateException("waited for " + what);
                }
            }
        } catch (RuntimeException error) {
            throw error;
        } catch (Exception error) {
            throw new IllegalStateException("while waiting for " + what, error);
        }
    }

    interface Ask {
        void run() throws Exception;
    }

    /** What a call comes to: `ok`, or the name of its error. */
    static String outcome(Ask ask) {
        try {
            ask.run();
            return "ok";
        } catch (Exception error) {
            return name(error);
        }
    }

    static String name(Throwable error) {
        boolean wrapped = error instanceof ExecutionException && error.getCause() != null;
        return (wrapped ? error.getCause() : error).getClass().getSimpleName();
    }

    /** What an answer is, or the name and text of its error. */
    static void say(String what, Callable<?> ask) {
        try {
            line(what + " " + ask.call());
        } catch (Exception error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            line(what + " " + name(error) + " | " + cause.getMessage());
        }
    }

    static void print(Object... words) {
        List<String> line = new ArrayList<>();
        for (Object word : words) {
            line.add(word instanceof Optional<?> some ? some.map(Object::toString).orElse("-") : "" + word);
        }
        line(String.join(" ", line));
    }

    private static void line(String line) {
        List<String> kept = KEPT.get();
        if (kept == null) {
            System.out.println(line);
        } else {
            kept.add(line);
        }
    }

    /** Runs the parts at the same time; what they print comes in their order. */
    static void sideBySide(Ask... parts) throws Exception {
        List<CompletableFuture<List<String>>> running = new ArrayList<>();
        var threads = Executors.newFixedThreadPool(parts.length);
        for (Ask part : parts) {
            running.add(CompletableFuture.supplyAsync(() -> {
                KEPT.set(new ArrayList<>());
                try {
                    part.run();
                } catch (Exception error) {
                    throw new IllegalStateException("after " + KEPT.get(), error);
                }
                return KEPT.get();
            }, threads));
        }
        for (var part : running) {
            part.get().forEach(System.out::println);
        }
        threads.shutdown();
    }

    /** This program as another process, with a part of its own to play. */
    static Process start(String... words) throws Exception {
        List<String> command = new ArrayList<>();
        command.addAll(List.of(ProcessHandle.current().info().command().orElse("java"), "-Xmx128m", "-cp"));
        command.addAll(List.of(System.getProperty("java.class.path"), "Scenarios", words[0], at));
        command.addAll(Arrays.asList(words).subList(1, words.length));
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }

    /** Done when the process has said this line; failed when it ends before. */
    static CompletableFuture<Void> line(Process process, String line) {
        return CompletableFuture.runAsync(() -> {
            var lines = new BufferedReader(new InputStreamReader(process.getInputStream()));
            if (lines.lines().noneMatch(line::equals)) {
                throw new IllegalStateException("a process ended without saying " + line);
            }
        });
    }
}
