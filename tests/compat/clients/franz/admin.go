// A tour through what an administrator does: topics, partitions, settings.
package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
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

// Says what a broker answered, and its words.
func answered(what string, err error, words string) {
	if words != "" {
		words = ": " + words
	}
	say("%s: %s%s", what, errorName(err), words)
}

func (r *run) plain(text string) string { return strings.ReplaceAll(text, r.prefix, "") }

func (r *run) cluster() int32 {
	cluster := must(r.admin.BrokerMetadata(step()))
	say("brokers: %d, cluster id: %t", len(cluster.Brokers), cluster.Cluster != "")
	node := cluster.Brokers[0]
	say("controller is a broker: %t, host %s, rack %t", cluster.Controller == node.NodeID, node.Host, node.Rack != nil)
	return node.NodeID
}

func (r *run) topics(node int32) {
	text := func(value string) *string { return &value }
	create := func(what string, partitions int32, replicas int16, configs map[string]*string, topic string) {
		created := must(r.admin.CreateTopics(step(), partitions, replicas, configs, topic))[topic]
		answered("create "+what, created.Err, r.plain(created.ErrMessage))
		if created.Err == nil {
			say("  partitions %d, replicas %d, an id: %t", created.NumPartitions, created.ReplicationFactor, created.ID != kadm.TopicID{})
			for _, key := range sortedKeys(created.Configs) {
				config := created.Configs[key]
				say("  %s=%s from %v", key, config.MaybeValue(), config.Source)
			}
		}
	}
	dry := must(r.admin.ValidateCreateTopics(step(), 3, 1, nil, r.name("dry")))
	say("dry run: %s, there: %t", errorName(dry[r.name("dry")].Err), must(r.admin.ListTopics(step())).Has(r.name("dry")))
	settings := map[string]*string{"retention.ms": text("86400000"), "cleanup.policy": text("compact,delete")}
	create("one", 3, 1, settings, r.name("one"))
	create("one again", 3, 1, nil, r.name("one"))
	create("with defaults", -1, -1, nil, r.name("two"))
	create("no partitions", 0, 1, nil, r.name("bad"))
	create("three replicas", 1, 3, nil, r.name("bad"))
	create("a wrong value", 1, 1, map[string]*string{"retention.ms": text("never")}, r.name("bad"))
	create("an unknown setting", 1, 1, map[string]*string{"no.such": text("1")}, r.name("bad"))
	create("an odd name", 1, 1, nil, "a/b")

	// By hand: partitions on named brokers, which this client asks for in a raw request only.
	byHand := func(what string, replicas ...[]int32) {
		request := kmsg.NewPtrCreateTopicsRequest()
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = r.name("by-hand"), -1, -1
		for number, brokers := range replicas {
			assigned := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			assigned.Partition, assigned.Replicas = int32(number), brokers
			topic.ReplicaAssignment = append(topic.ReplicaAssignment, assigned)
		}
		request.Topics = append(request.Topics, topic)
		response := must(request.RequestWith(step(), r.client()))
		answered(what, kerr.ErrorForCode(response.Topics[0].ErrorCode), "")
	}
	byHand("assigned to no broker of this cluster", []int32{node + 1})
	byHand("assigned to a broker twice", []int32{node, node})
	byHand("assigned", []int32{node}, []int32{node})
	for _, short := range []string{"one", "two", "by-hand"} {
		detail := must(r.admin.ListTopics(step(), r.name(short)))[r.name(short)]
		for _, partition := range detail.Partitions.Sorted() {
			led := partition.Leader == node && slices.Equal(partition.Replicas, []int32{node}) && slices.Equal(partition.ISR, []int32{node})
			say("%s/%d: led and held by the one broker: %t, offline %d", short, partition.Partition, led, len(partition.OfflineReplicas))
		}
	}
	unknown := must(r.admin.ListTopics(step(), r.name("nothing")))[r.name("nothing")]
	say("an unknown topic: %s", errorName(unknown.Err))
}

func sortedKeys[V any](of map[string]V) []string {
	var keys []string
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (r *run) settings(node int32) {
	topic := r.name("one")
	change := func(op kadm.IncrementalOp, name, value string) []kadm.AlterConfig {
		return []kadm.AlterConfig{{Op: op, Name: name, Value: &value}}
	}
	incremental := func(what string, changes []kadm.AlterConfig) {
		for _, changed := range must(r.admin.AlterTopicConfigs(step(), changes, topic)) {
			answered(what, changed.Err, r.plain(changed.ErrMessage))
		}
	}
	incremental("set", change(kadm.SetConfig, "retention.ms", "5000"))
	incremental("set a wrong value", change(kadm.SetConfig, "retention.ms", "x"))
	incremental("set an unknown one", change(kadm.SetConfig, "no.such", "x"))
	incremental("set too little", change(kadm.SetConfig, "segment.bytes", "1"))
	incremental("take from a list", change(kadm.SubtractConfig, "cleanup.policy", "compact"))
	incremental("add to no list", change(kadm.AppendConfig, "retention.ms", "1"))
	// A broker shows a change a moment after it is answered.
	await("the shorter list", func() bool { return r.setting(topic, "cleanup.policy") == "delete" })
	r.shown(topic, "cleanup.policy", "retention.ms", "segment.bytes")
	incremental("add to a list", change(kadm.AppendConfig, "cleanup.policy", "compact"))
	incremental("delete", change(kadm.DeleteConfig, "retention.ms", ""))
	await("the default", func() bool { return r.setting(topic, "retention.ms") == "604800000" })
	r.shown(topic, "cleanup.policy", "retention.ms")
	for _, dry := range must(r.admin.ValidateAlterTopicConfigs(step(), change(kadm.SetConfig, "retention.ms", "9"), topic)) {
		say("dry run: %s", errorName(dry.Err))
	}
	state := change(kadm.SetConfig, "max.message.bytes", "5000")
	for _, set := range must(r.admin.AlterTopicConfigsState(step(), state, topic)) {
		say("all anew: %s", errorName(set.Err))
	}
	await("the new settings", func() bool { return r.setting(topic, "max.message.bytes") == "5000" })
	r.shown(topic, "cleanup.policy", "retention.ms", "max.message.bytes")

	// A default of the cluster, and one broker's own.
	for _, changed := range must(r.admin.AlterBrokerConfigs(step(), change(kadm.SetConfig, "log.retention.ms", "777777"))) {
		say("cluster default: %s", errorName(changed.Err))
	}
	for _, changed := range must(r.admin.AlterBrokerConfigs(step(), change(kadm.SetConfig, "log.retention.ms", "888888"), node)) {
		say("of the broker: %s", errorName(changed.Err))
	}
	await("the topic's default", func() bool { return r.setting(topic, "retention.ms") == "888888" })
	r.shown(topic, "retention.ms")
	for _, brokers := range [][]int32{nil, {node}} {
		done(firstError(must(r.admin.AlterBrokerConfigs(step(), change(kadm.DeleteConfig, "log.retention.ms", ""), brokers...))))
	}
	await("the topic's default", func() bool { return r.setting(topic, "retention.ms") == "604800000" })
	unknown := must(r.admin.DescribeTopicConfigs(step(), r.name("nothing")))
	answered("settings of an unknown topic", unknown[0].Err, "")
	named := must(r.admin.ListConfigResources(step(), kadm.ConfigResourceTopic))
	for _, resource := range named.Sorted() {
		if strings.HasPrefix(resource.Name, r.prefix) {
			say("has settings: %s", r.plain(resource.Name))
		}
	}
}

func firstError(responses kadm.AlterConfigsResponses) error {
	for _, response := range responses {
		if response.Err != nil {
			return response.Err
		}
	}
	return nil
}

func (r *run) setting(topic, name string) string {
	for _, config := range must(r.admin.DescribeTopicConfigs(step(), topic))[0].Configs {
		if config.Key == name {
			return config.MaybeValue()
		}
	}
	return ""
}

func (r *run) shown(topic string, names ...string) {
	described := must(r.admin.DescribeTopicConfigs(step(), topic))[0]
	done(described.Err)
	slices.SortFunc(described.Configs, func(a, b kadm.Config) int { return strings.Compare(a.Key, b.Key) })
	for _, config := range described.Configs {
		if slices.Contains(names, config.Key) {
			var synonyms []string
			for _, synonym := range config.Synonyms {
				value := "null"
				if synonym.Value != nil {
					value = *synonym.Value
				}
				synonyms = append(synonyms, fmt.Sprintf("%s=%s from %v", synonym.Key, value, synonym.Source))
			}
			say("  %s=%s from %v %v", config.Key, config.MaybeValue(), config.Source, synonyms)
		}
	}
}
