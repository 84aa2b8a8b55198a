import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.AlterClientQuotasOptions;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;

/** Settings of topics, brokers and groups, with their sources and synonyms; quotas of clients. */
final class AdminSettings {
    private static final String[] NAMES = {
        "cleanup.policy", "segment.bytes", "min.insync.replicas", "retention.ms", "compression.type", "max.message.bytes",
    };

    /** A setting of the whole broker that other clients' scenarios do not look at meanwhile. */
    private static final String BROAD = "log.index.interval.bytes";

    private AdminSettings() {}

    private static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    private static Config described(ConfigResource resource) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        return Broker.admin().describeConfigs(List.of(resource), options).all().get().get(resource);
    }

    private static void show(ConfigResource resource, String... names) throws Exception {
        Config config = described(resource);
        for (String name : names) {
            ConfigEntry of = config.get(name);
            List<String> synonyms = new ArrayList<>();
            of.synonyms().forEach(each -> synonyms.add(each.name() + "=" + each.value() + " " + each.source()));
            boolean documented = of.documentation() != null && !of.documentation().isEmpty();
            Broker.print("setting", name, of.value(), of.source(), of.type(), of.isReadOnly(), of.isSensitive(), documented, synonyms);
        }
    }

    private static void alter(ConfigResource of, String name, String value, AlterConfigOp.OpType type, boolean validate) {
        var options = new AlterConfigsOptions().validateOnly(validate);
        var operation = new AlterConfigOp(new ConfigEntry(name, value), type);
        String what = (validate ? "validated " : "") + type + " " + name + "=" + value;
        Broker.say(what, () -> Broker.admin().incrementalAlterConfigs(Map.of(of, List.of(operation)), options).all().get());
    }

    static void topics() throws Exception {
        ConfigResource one = topic(AdminTopics.ONE);
        Broker.print("settings", described(one).entries().stream().map(ConfigEntry::name).sorted().toList());
        show(one, NAMES);
        alter(one, "retention.ms", "1", AlterConfigOp.OpType.SET, true);
        alter(one, "retention.ms", "3600000", AlterConfigOp.OpType.SET, false);
        alter(one, "cleanup.policy", "delete", AlterConfigOp.OpType.APPEND, false);
        await(one, "cleanup.policy", "compact,delete");
        show(one, NAMES);
        alter(one, "cleanup.policy", "compact", AlterConfigOp.OpType.SUBTRACT, false);
        alter(one, "segment.bytes", null, AlterConfigOp.OpType.DELETE, false);
        alter(one, "retention.ms", "1", AlterConfigOp.OpType.APPEND, false);
        alter(one, "retention.ms", "long", AlterConfigOp.OpType.SET, false);
        alter(one, "segment.bytes", "-1", AlterConfigOp.OpType.SET, false);
        alter(one, "compression.type", "best", AlterConfigOp.OpType.SET, false);
        alter(one, "no.such", "1", AlterConfigOp.OpType.SET, false);
        alter(topic(AdminTopics.MISSING), "retention.ms", "1", AlterConfigOp.OpType.SET, false);
        await(one, "segment.bytes", "1073741824");
        show(one, NAMES);
        Broker.say("describe a missing one", () -> described(topic(AdminTopics.MISSING)));
    }

    static void brokers(int node) throws Exception {
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "" + node);
        ConfigResource all = new ConfigResource(ConfigResource.Type.BROKER, "");
        show(broker, "message.max.bytes", "log.cleanup.policy", "num.partitions", BROAD);
        alter(all, BROAD, "8192", AlterConfigOp.OpType.SET, false);
        alter(broker, BROAD, "16384", AlterConfigOp.OpType.SET, false);
        alter(broker, BROAD, "-1", AlterConfigOp.OpType.SET, false);
        alter(broker, "num.partitions", "7", AlterConfigOp.OpType.SET, false);
        await(topic(AdminTopics.TWO), "index.interval.bytes", "16384");
        show(broker, BROAD);
        show(topic(AdminTopics.TWO), "index.interval.bytes");
        alter(broker, BROAD, null, AlterConfigOp.OpType.DELETE, false);
        alter(all, BROAD, null, AlterConfigOp.OpType.DELETE, false);
        await(topic(AdminTopics.TWO), "index.interval.bytes", "4096");
        show(broker, BROAD);
    }

    /** Until the broker has heard of it from its controller. */
    private static void await(ConfigResource of, String name, String value) {
        Broker.until(name + "=" + value, () -> described(of).get(name).value().equals(value));
    }

    static void groups() throws Exception {
        ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, "java-admin-group");
        alter(group, "consumer.session.timeout.ms", "50000", AlterConfigOp.OpType.SET, false);
        alter(group, "consumer.session.timeout.ms", "1", AlterConfigOp.OpType.SET, false);
        alter(group, "no.such", "1", AlterConfigOp.OpType.SET, false);
        await(group, "consumer.session.timeout.ms", "50000");
        show(group, "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms");
        var types = java.util.Set.of(ConfigResource.Type.GROUP, ConfigResource.Type.TOPIC);
        Broker.say("resources", () -> Broker.admin().listConfigResources(types, new ListConfigResourcesOptions()).all().get()
            .stream().filter(of -> of.name().startsWith("java-admin")).map(of -> of.type() + " " + of.name()).sorted().toList());
        alter(group, "consumer.session.timeout.ms", null, AlterConfigOp.OpType.DELETE, false);
    }

    static void quotas() {
        Map<String, String> client = Map.of(ClientQuotaEntity.CLIENT_ID, "java-admin");
        Map<String, String> user = Map.of(ClientQuotaEntity.USER, "java-admin");
        Map<String, String> anyClient = new TreeMap<>(user);
        anyClient.put(ClientQuotaEntity.CLIENT_ID, null);
        quota("validated", client, "producer_byte_rate", 1.0, true);
        quota("set", client, "producer_byte_rate", 1_000_000.0, false);
        quota("set", client, "consumer_byte_rate", 2_000_000.0, false);
        quota("set", user, "request_percentage", 150.0, false);
        quota("default", anyClient, "producer_byte_rate", 9_000_000.0, false);
        quota("unknown", client, "no_such_rate", 1.0, false);
        quota("negative", client, "producer_byte_rate", -1.0, false);
        ClientQuotaFilter ours = ClientQuotaFilter.contains(List.of(
            ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.USER, "java-admin")));
        Broker.until("all quotas", () -> Broker.admin().describeClientQuotas(ours).entities().get().size() == 2);
        shown("clients", ClientQuotaFilter.contains(List.of(
            ClientQuotaFilterComponent.ofEntityType(ClientQuotaEntity.CLIENT_ID))));
        shown("users and clients", ClientQuotaFilter.containsOnly(List.of(
            ClientQuotaFilterComponent.ofEntityType(ClientQuotaEntity.USER),
            ClientQuotaFilterComponent.ofEntityType(ClientQuotaEntity.CLIENT_ID))));
        shown("this client", ClientQuotaFilter.containsOnly(List.of(
            ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, "java-admin"))));
        shown("the default", ClientQuotaFilter.containsOnly(List.of(
            ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.USER, "java-admin"),
            ClientQuotaFilterComponent.ofDefaultEntity(ClientQuotaEntity.CLIENT_ID))));
        shown("this user", ours);
        quota("remove", client, "producer_byte_rate", null, false);
        quota("remove", client, "consumer_byte_rate", null, false);
        quota("remove", user, "request_percentage", null, false);
        quota("remove", anyClient, "producer_byte_rate", null, false);
        Broker.until("no quotas", () -> Broker.admin().describeClientQuotas(ours).entities().get().isEmpty());
        shown("none", ClientQuotaFilter.contains(List.of(
            ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, "java-admin"))));
    }

    private static void quota(String what, Map<String, String> entity, String name, Double value, boolean validate) {
        var operation = new ClientQuotaAlteration.Op(name, value);
        var alteration = new ClientQuotaAlteration(new ClientQuotaEntity(entity), List.of(operation));
        var options = new AlterClientQuotasOptions().validateOnly(validate);
        Broker.say("quota " + what, () -> Broker.admin().alterClientQuotas(List.of(alteration), options).all().get());
    }

    private static void shown(String what, ClientQuotaFilter filter) {
        Broker.say("quotas of " + what, () -> {
            List<String> lines = new ArrayList<>();
            Broker.admin().describeClientQuotas(filter).entities().get().forEach((entity, quotas) ->
                lines.add(new TreeMap<>(entity.entries()) + " " + new TreeMap<>(quotas)));
            lines.removeIf(line -> !line.contains("java-admin"));
            lines.sort(null);
            return lines;
        });
    }
}
