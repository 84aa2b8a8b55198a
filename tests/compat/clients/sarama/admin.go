// A tour through what an administrator does: topics, partitions, settings.
package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"play"
)

func adminTour(r *run) {
	node := r.cluster()
	r.topics(node)
	r.settings(node)
	r.partitions(node)
	r.groupOffsets()
	r.quotas()
	r.removal()
}

func (r *run) cluster() int32 {
	brokers, controller, err := r.admin.DescribeCluster()
	play.Done(err)
	play.Say("brokers: %d, controller is one: %t, rack %q", len(brokers), controller == brokers[0].ID(), brokers[0].Rack())
	host, _, _ := strings.Cut(brokers[0].Addr(), ":")
	play.Say("host %s", host)
	return brokers[0].ID()
}

func (r *run) topics(node int32) {
	text := func(value string) *string { return &value }
	create := func(what string, detail sarama.TopicDetail, topic string, dry bool) {
		play.Say("create %s: %s", what, r.told(r.admin.CreateTopic(topic, &detail, dry)))
	}
	named := map[string]*string{"retention.ms": text("86400000"), "cleanup.policy": text("compact,delete")}
	create("dry", sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, r.Name("dry"), true)
	create("one", sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1, ConfigEntries: named}, r.Name("one"), false)
	create("one again", sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, r.Name("one"), false)
	create("with defaults", sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1}, r.Name("two"), false)
	create("no partitions", sarama.TopicDetail{NumPartitions: 0, ReplicationFactor: 1}, r.Name("bad"), false)
	create("three replicas", sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 3}, r.Name("bad"), false)
	wrong := func(name, value string) sarama.TopicDetail {
		return sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{name: text(value)}}
	}
	create("a wrong value", wrong("retention.ms", "never"), r.Name("bad"), false)
	create("an unknown setting", wrong("no.such", "1"), r.Name("bad"), false)
	create("an odd name", sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, "a/b", false)
	byHand := func(assigned map[int32][]int32) sarama.TopicDetail {
		return sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1, ReplicaAssignment: assigned}
	}
	create("on no broker of this cluster", byHand(map[int32][]int32{0: {node + 98}}), r.Name("by-hand"), false)
	create("on a broker twice", byHand(map[int32][]int32{0: {node, node}}), r.Name("by-hand"), false)
	create("with a gap", byHand(map[int32][]int32{0: {node}, 2: {node}}), r.Name("by-hand"), false)
	create("by hand", byHand(map[int32][]int32{0: {node}, 1: {node}}), r.Name("by-hand"), false)

	for short, count := range map[string]int{"one": 3, "two": 1, "by-hand": 2} {
		r.led(r.Name(short), count)
	}
	wanted := []string{r.Name("one"), r.Name("two"), r.Name("by-hand"), r.Name("nothing")}
	described := play.Must(r.admin.DescribeTopics(wanted))
	slices.SortFunc(described, func(a, b *sarama.TopicMetadata) int { return strings.Compare(a.Name, b.Name) })
	for _, topic := range described {
		play.Say("%s: %s, internal %t, an id: %t", r.plain(topic.Name), errorName(topic.Err), topic.IsInternal, topic.Uuid != sarama.Uuid{})
		slices.SortFunc(topic.Partitions, func(a, b *sarama.PartitionMetadata) int { return int(a.ID - b.ID) })
		for _, of := range topic.Partitions {
			only := []int32{node}
			held := of.Leader == node && slices.Equal(of.Replicas, only) && slices.Equal(of.Isr, only)
			play.Say("  %d: led and held by the one broker: %t, epoch %d, offline %d", of.ID, held, of.LeaderEpoch, len(of.OfflineReplicas))
		}
	}
	r.listedTopics(node)
}

func (r *run) listedTopics(node int32) {
	listed := play.Must(r.admin.ListTopics())
	for _, short := range []string{"dry", "one", "two", "by-hand"} {
		detail, there := listed[r.Name(short)]
		var named []string
		for name, value := range detail.ConfigEntries {
			named = append(named, fmt.Sprintf("%s=%s", name, *value))
		}
		slices.Sort(named)
		play.Say("listed %s: %t, %d partitions, %d replicas, %v", short, there, detail.NumPartitions, detail.ReplicationFactor, named)
	}
}

func (r *run) settings(node int32) {
	topic := r.Name("one")
	incremental := func(what string, operation sarama.IncrementalAlterConfigsOperation, name string, value *string) {
		entries := map[string]sarama.IncrementalAlterConfigsEntry{name: {Operation: operation, Value: value}}
		play.Say("%s: %s", what, r.told(r.admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false)))
	}
	text := func(value string) *string { return &value }
	set, remove := sarama.IncrementalAlterConfigsOperationSet, sarama.IncrementalAlterConfigsOperationDelete
	add, take := sarama.IncrementalAlterConfigsOperationAppend, sarama.IncrementalAlterConfigsOperationSubtract
	incremental("set", set, "retention.ms", text("5000"))
	incremental("set a wrong value", set, "retention.ms", text("x"))
	incremental("set an unknown one", set, "no.such", text("x"))
	incremental("set too little", set, "segment.bytes", text("1"))
	incremental("take from a list", take, "cleanup.policy", text("compact"))
	incremental("add to no list", add, "retention.ms", text("1"))
	// A broker shows a change a moment after it is answered.
	play.Await("the shorter list", func() bool { return r.setting(topic, "cleanup.policy") == "delete" })
	r.shown(topic, "cleanup.policy", "retention.ms", "segment.bytes")
	incremental("add to a list", add, "cleanup.policy", text("compact"))
	incremental("delete", remove, "retention.ms", nil)
	play.Await("the default", func() bool { return r.setting(topic, "retention.ms") == "604800000" })
	r.shown(topic, "cleanup.policy", "retention.ms")

	anew := func(what, topic, name, value string, dry bool) {
		err := r.admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{name: &value}, dry)
		play.Say("%s: %s", what, r.told(err))
	}
	anew("dry run", topic, "retention.ms", "9", true)
	anew("a wrong value", topic, "retention.ms", "x", false)
	anew("of an unknown topic", r.Name("nothing"), "retention.ms", "9", false)
	anew("all anew", topic, "max.message.bytes", "5000", false)
	play.Await("the new settings", func() bool { return r.setting(topic, "max.message.bytes") == "5000" })
	r.shown(topic, "cleanup.policy", "retention.ms", "max.message.bytes")
	r.brokerSettings(topic, fmt.Sprint(node))
	for _, of := range play.Must(r.admin.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: r.Name("nothing")}}, sarama.DescribeConfigsOptions{})) {
		play.Say("settings of an unknown topic: %s: %s", errorName(of.ErrorCode), r.plain(of.ErrorMsg))
	}
}

// A default of the cluster, and one broker's own.
func (r *run) brokerSettings(topic, node string) {
	change := func(what, broker string, operation sarama.IncrementalAlterConfigsOperation, value string) {
		entry := sarama.IncrementalAlterConfigsEntry{Operation: operation, Value: &value}
		entries := map[string]sarama.IncrementalAlterConfigsEntry{"log.retention.ms": entry}
		play.Say("%s: %s", what, r.told(r.admin.IncrementalAlterConfig(sarama.BrokerResource, broker, entries, false)))
	}
	change("cluster default", "", sarama.IncrementalAlterConfigsOperationSet, "777777")
	change("of the broker", node, sarama.IncrementalAlterConfigsOperationSet, "888888")
	play.Await("the topic's default", func() bool { return r.setting(topic, "retention.ms") == "888888" })
	r.shown(topic, "retention.ms")
	change("cluster default away", "", sarama.IncrementalAlterConfigsOperationDelete, "")
	change("of the broker away", node, sarama.IncrementalAlterConfigsOperationDelete, "")
	play.Await("the topic's default", func() bool { return r.setting(topic, "retention.ms") == "604800000" })
}

func (r *run) described(topic string, options sarama.DescribeConfigsOptions, names ...string) []sarama.ConfigEntry {
	wanted := []*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic, ConfigNames: names}}
	found := play.Must(r.admin.DescribeConfigs(wanted, options))[0]
	play.Check(found.ErrorCode == sarama.ErrNoError, "%s: %s", topic, found.ErrorMsg)
	slices.SortFunc(found.Configs, func(a, b sarama.ConfigEntry) int { return strings.Compare(a.Name, b.Name) })
	return found.Configs
}

func (r *run) setting(topic, name string) string {
	return r.described(topic, sarama.DescribeConfigsOptions{}, name)[0].Value
}

func (r *run) shown(topic string, names ...string) {
	options := sarama.DescribeConfigsOptions{IncludeSynonyms: true, IncludeDocumentation: true}
	for _, config := range r.described(topic, options, names...) {
		var synonyms []string
		for _, of := range config.Synonyms {
			synonyms = append(synonyms, fmt.Sprintf("%s=%s from %s", of.ConfigName, of.ConfigValue, of.Source))
		}
		play.Say("  %s=%s from %s, type %d, fixed %t, secret %t, told: %t, %v", config.Name, config.Value, config.Source, config.Type,
			config.ReadOnly, config.Sensitive, config.Documentation != nil && *config.Documentation != "", synonyms)
	}
}

// A code and its words, of an answer that has both.
func (r *run) answered(code sarama.KError, words *string) string {
	if words == nil || *words == "" {
		return errorName(code)
	}
	return errorName(code) + ": " + r.plain(*words)
}

func firstCode(err error) string {
	var code sarama.KError
	if errors.As(err, &code) {
		return errorName(code)
	}
	return play.Outcome(err)
}
