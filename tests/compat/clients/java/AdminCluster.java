import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;

/** The cluster: its node, quorum, features, folders; leaders and replicas, of which there is one each. */
final class AdminCluster {
    /** What both brokers have; Kafka has share and streams groups besides. */
    private static final List<String> FEATURES = List.of(
        "eligible.leader.replicas.version", "group.version", "kraft.version", "metadata.version", "transaction.version");

    private AdminCluster() {}

    static int node() throws Exception {
        return Broker.admin().describeCluster().nodes().get().iterator().next().id();
    }

    static void tour(int node) throws Exception {
        var options = new DescribeClusterOptions().includeAuthorizedOperations(true);
        Broker.say("cluster", () -> {
            var of = Broker.admin().describeCluster(options);
            var allowed = of.authorizedOperations().get().stream().map(Enum::name).sorted().toList();
            return of.nodes().get().size() + " " + (of.controller().get().id() == node) + " " + allowed;
        });
        Broker.say("quorum", () -> {
            var of = Broker.admin().describeMetadataQuorum().quorumInfo().get();
            return (of.leaderId() == node) + " " + of.voters().size() + " " + of.observers().size() + " " + (of.highWatermark() > 0);
        });
        features();
        folders(node);
        leaders();
        replicas(node);
    }

    private static void features() {
        Broker.say("features", () -> {
            var of = Broker.admin().describeFeatures().featureMetadata().get();
            Map<String, String> shown = new TreeMap<>();
            for (String name : FEATURES) {
                shown.put(name, of.finalizedFeatures().get(name) + " of " + of.supportedFeatures().get(name));
            }
            return shown + " " + of.finalizedFeaturesEpoch().isPresent();
        });
        for (var update : Map.of("group.version", (short) 99).entrySet()) {
            var to = new FeatureUpdate(update.getValue(), FeatureUpdate.UpgradeType.UPGRADE);
            var only = new UpdateFeaturesOptions().validateOnly(true);
            Broker.say("update", () -> Broker.outcome(() ->
                Broker.admin().updateFeatures(Map.of(update.getKey(), to), only).all().get()));
        }
    }

    private static void folders(int node) {
        Broker.say("log dirs", () -> {
            var folders = Broker.admin().describeLogDirs(List.of(node)).allDescriptions().get().get(node);
            var folder = folders.values().iterator().next();
            long mine = folder.replicaInfos().keySet().stream().filter(at -> at.topic().startsWith("java-admin-")).count();
            return folders.size() + " " + folder.error() + " " + mine + " " + (folder.totalBytes().orElse(0) > 0);
        });
        var replica = new TopicPartitionReplica(AdminTopics.ONE, 0, node);
        Broker.say("replica", () -> {
            var of = Broker.admin().describeReplicaLogDirs(List.of(replica)).all().get().get(replica);
            return (of.getCurrentReplicaLogDir() != null) + " " + of.getCurrentReplicaOffsetLag();
        });
    }

    private static void leaders() {
        for (ElectionType type : ElectionType.values()) {
            Broker.say("elect " + type, () -> {
                var places = Set.of(new TopicPartition(AdminTopics.ONE, 0), new TopicPartition(AdminTopics.MISSING, 0));
                Map<String, String> shown = new TreeMap<>();
                Broker.admin().electLeaders(type, places).partitions().get().forEach((at, error) ->
                    shown.put(at.toString(), error.map(Broker::name).orElse("-")));
                return shown;
            });
        }
    }

    private static void replicas(int node) {
        var place = new TopicPartition(AdminTopics.ONE, 0);
        Map<String, Optional<NewPartitionReassignment>> moves = new TreeMap<>();
        moves.put("where it is", Optional.of(new NewPartitionReassignment(List.of(node))));
        moves.put("nowhere", Optional.of(new NewPartitionReassignment(List.of(99))));
        moves.put("cancel", Optional.empty());
        moves.forEach((what, move) -> Broker.say("move " + what, () -> {
            Map<TopicPartition, Optional<NewPartitionReassignment>> asked = new HashMap<>();
            asked.put(place, move);
            return Broker.admin().alterPartitionReassignments(asked).all().get();
        }));
        Broker.say("moving", () -> Broker.admin().listPartitionReassignments().reassignments().get());
        Broker.say("users", () -> Broker.admin().describeUserScramCredentials().all().get());
    }
}
