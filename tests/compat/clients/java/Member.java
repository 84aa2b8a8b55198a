import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;

/** One member of a group: what it has, what it was told where anything changed, and what it read. */
final class Member implements ConsumerRebalanceListener, AutoCloseable {
    record Place(String topic, int partition, long offset) {}

    final KafkaConsumer<byte[], byte[]> consumer;
    final List<String> told = new ArrayList<>();
    final List<Place> read = new ArrayList<>();
    String failed;

    private Member(String group, Object... settings) {
        consumer = Broker.consumer(group, settings);
    }

    static Member of(String group, String topic, Object... settings) {
        return of(group, List.of(topic), settings);
    }

    static Member of(String group, List<String> topics, Object... settings) {
        Member member = new Member(group, settings);
        member.consumer.subscribe(topics, member);
        return member;
    }

    /** Of all topics that fit a pattern, which the broker looks for. */
    static Member ofPattern(String group, String pattern, Object... settings) {
        Member member = new Member(group, settings);
        member.consumer.subscribe(new SubscriptionPattern(pattern), member);
        return member;
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        hear("assigned", partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        hear("revoked", partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        hear("lost", partitions);
    }

    private void hear(String word, Collection<TopicPartition> partitions) {
        if (!partitions.isEmpty()) {
            told.add(word + " " + partitions.size());
        }
    }

    void poll() {
        if (failed != null) {
            return;
        }
        try {
            for (var record : consumer.poll(Duration.ofMillis(20))) {
                read.add(new Place(record.topic(), record.partition(), record.offset()));
            }
        } catch (RuntimeException error) {
            failed = Broker.name(error);
        }
    }

    Set<TopicPartition> has() {
        return new HashSet<>(consumer.assignment());
    }

    @Override
    public void close() {
        consumer.close();
    }

    static void forget(Member... members) {
        for (Member member : members) {
            member.told.clear();
            member.read.clear();
        }
    }

    /** Polls all until another process has said this line: it cannot join if they do not. */
    static void pollUntil(Process process, String line, Member... members) throws Exception {
        CompletableFuture<Void> said = Broker.line(process, line);
        Broker.until(line, () -> {
            List.of(members).forEach(Member::poll);
            return said.isDone();
        });
        said.get();
    }

    /** Polls all until they have these numbers of partitions, each partition once. */
    static void settle(String what, List<Member> members, Integer... shares) {
        settleRead(what, members, -1, shares);
    }

    /** And until they have read this many different records together. */
    static void settleRead(String what, List<Member> members, int records, Integer... shares) {
        List<Integer> wanted = Arrays.stream(shares).sorted().toList();
        Broker.until(what + " " + wanted + " " + records, () -> {
            Set<TopicPartition> all = new HashSet<>();
            Set<Place> seen = new HashSet<>();
            List<Integer> counts = new ArrayList<>();
            for (Member member : members) {
                member.poll();
                if (member.failed != null) {
                    throw new IllegalStateException(what + ": " + member.failed);
                }
            }
            for (Member member : members) {
                all.addAll(member.has());
                seen.addAll(member.read);
                counts.add(member.has().size());
            }
            counts.sort(null);
            boolean alone = all.size() == counts.stream().mapToInt(n -> n).sum();
            return alone && counts.equals(wanted) && (records < 0 || seen.size() == records);
        });
        Broker.print(what, wanted, records < 0 ? "" : "read " + records);
    }
}
