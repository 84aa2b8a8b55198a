/** A tour of the admin client. */
final class Admin {
    private Admin() {}

    static void run() throws Exception {
        int node = AdminCluster.node();
        AdminTopics.make(node);
        AdminTopics.enlarge();
        AdminCluster.tour(node);
        AdminSettings.topics();
        AdminSettings.brokers(node);
        AdminSettings.groups();
        AdminSettings.quotas();
        AdminTopics.records();
        AdminGroups.both();
        AdminGroups.members();
        AdminTransactions.tour();
        AdminTopics.delete();
    }
}
