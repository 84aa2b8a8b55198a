// A tour through what an administrator does: topics, partitions, settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go"

	"play"
)

func adminTour(r *run) {
	node := r.cluster()
	dry := r.dryRun()
	r.topics(node)
	r.settings(node)
	r.partitions(node)
	r.groupOffsets()
	r.quotas()
	play.Say("create dry: %s", dry())
	r.removal()
}

// A dry run of a creation. The client waits for the topic to appear, as long as it may: here until its outcome
// is asked for.
func (r *run) dryRun() (outcome func() string) {
	ctx, enough := context.WithCancel(play.Step())
	came := make(chan string)
	client := newClient(r.client.Addr)
	go func() {
		config := kafka.TopicConfig{Topic: r.Name("dry"), NumPartitions: 3, ReplicationFactor: 1}
		created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}, ValidateOnly: true})
		play.Done(err)
		came <- r.told(created.Errors[config.Topic])
	}()
	return func() string {
		enough()
		return <-came
	}
}

func (r *run) cluster() int {
	found := play.Must(r.client.Metadata(play.Step(), &kafka.MetadataRequest{}))
	node := found.Brokers[0]
	play.Say("brokers: %d, cluster id: %t, controller is one: %t, host %s, rack %q", len(found.Brokers), found.ClusterID != "",
		found.Controller.ID == node.ID, node.Host, node.Rack)
	return node.ID
}

func (r *run) create(what string, config kafka.TopicConfig) {
	request := &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}}
	created := play.Must(r.client.CreateTopics(play.Step(), request))
	play.Say("create %s: %s", what, r.told(created.Errors[config.Topic]))
}

func (r *run) topics(node int) {
	wrong := func(name, value string) kafka.TopicConfig {
		entry := kafka.ConfigEntry{ConfigName: name, ConfigValue: value}
		return kafka.TopicConfig{Topic: r.Name("bad"), NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{entry}}
	}
	byHand := func(brokers ...[]int) kafka.TopicConfig {
		config := kafka.TopicConfig{Topic: r.Name("by-hand"), NumPartitions: -1, ReplicationFactor: -1}
		for partition, replicas := range brokers {
			config.ReplicaAssignments = append(config.ReplicaAssignments, kafka.ReplicaAssignment{Partition: partition, Replicas: replicas})
		}
		return config
	}
	one := wrong("cleanup.policy", "compact,delete")
	one.Topic, one.NumPartitions = r.Name("one"), 3
	r.create("one", one)
	r.create("one again", one)
	r.create("with defaults", kafka.TopicConfig{Topic: r.Name("two"), NumPartitions: -1, ReplicationFactor: -1})
	r.create("no partitions", kafka.TopicConfig{Topic: r.Name("bad"), NumPartitions: 0, ReplicationFactor: 1})
	r.create("three replicas", kafka.TopicConfig{Topic: r.Name("bad"), NumPartitions: 1, ReplicationFactor: 3})
	r.create("a wrong value", wrong("retention.ms", "never"))
	r.create("an unknown setting", wrong("no.such", "1"))
	r.create("an odd name", kafka.TopicConfig{Topic: "a/b", NumPartitions: 1, ReplicationFactor: 1})
	r.create("on no broker of this cluster", byHand([]int{node + 98}))
	r.create("on a broker twice", byHand([]int{node, node}))
	r.create("by hand", byHand([]int{node}, []int{node}))

	for short, count := range map[string]int{"one": 3, "two": 1, "by-hand": 2} {
		r.led(r.Name(short), count)
	}
	for _, short := range []string{"one", "two", "by-hand", "dry"} {
		topic := r.described(r.Name(short))
		play.Say("%s: %s, internal %t", short, play.Outcome(topic.Error), topic.Internal)
		slices.SortFunc(topic.Partitions, func(a, b kafka.Partition) int { return a.ID - b.ID })
		for _, of := range topic.Partitions {
			led := of.Leader.ID == node && len(of.Replicas) == 1 && len(of.Isr) == 1 && of.Isr[0].ID == node
			play.Say("  %d: led and held by the one broker: %t, offline %d", of.ID, led, len(of.OfflineReplicas))
		}
	}
}

func (r *run) settings(node int) {
	topic := r.Name("one")
	r.change("set", topic, "retention.ms", "5000", kafka.ConfigOperationSet)
	r.change("set a wrong value", topic, "retention.ms", "x", kafka.ConfigOperationSet)
	r.change("set an unknown one", topic, "no.such", "x", kafka.ConfigOperationSet)
	r.change("set too little", topic, "segment.bytes", "1", kafka.ConfigOperationSet)
	r.change("take from a list", topic, "cleanup.policy", "compact", kafka.ConfigOperationSubtract)
	r.change("add to no list", topic, "retention.ms", "1", kafka.ConfigOperationAppend)
	r.change("of an unknown topic", r.Name("nothing"), "retention.ms", "1", kafka.ConfigOperationSet)
	// A broker shows a change a moment after it is answered.
	play.Await("the shorter list", func() bool { return r.setting(topic, "cleanup.policy") == "delete" })
	r.shown(topic, "cleanup.policy", "retention.ms", "segment.bytes")
	r.change("add to a list", topic, "cleanup.policy", "compact", kafka.ConfigOperationAppend)
	r.change("delete", topic, "retention.ms", "", kafka.ConfigOperationDelete)
	play.Await("the default", func() bool { return r.setting(topic, "retention.ms") == "604800000" })
	r.shown(topic, "cleanup.policy", "retention.ms")

	anew := func(what, name, value string, dry bool) {
		resource := kafka.AlterConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, Configs: []kafka.AlterConfigRequestConfig{{Name: name, Value: value}},
		}
		request := &kafka.AlterConfigsRequest{Resources: []kafka.AlterConfigRequestResource{resource}, ValidateOnly: dry}
		for _, err := range play.Must(r.client.AlterConfigs(play.Step(), request)).Errors {
			play.Say("%s: %s", what, r.told(err))
		}
	}
	anew("dry run", "retention.ms", "9", true)
	anew("a wrong value", "retention.ms", "x", false)
	anew("all anew", "max.message.bytes", "5000", false)
	play.Await("the new settings", func() bool { return r.setting(topic, "max.message.bytes") == "5000" })
	r.shown(topic, "cleanup.policy", "retention.ms", "max.message.bytes")

	// One broker's own.
	broker := fmt.Sprint(node)
	r.changeOf(kafka.ResourceTypeBroker, "of the broker", broker, "log.retention.ms", "888888", kafka.ConfigOperationSet)
	play.Await("the topic's default", func() bool { return r.setting(topic, "retention.ms") == "888888" })
	r.shown(topic, "retention.ms")
	r.changeOf(kafka.ResourceTypeBroker, "of the broker away", broker, "log.retention.ms", "", kafka.ConfigOperationDelete)
	play.Await("the topic's default", func() bool { return r.setting(topic, "retention.ms") == "604800000" })
	play.Say("settings of an unknown topic: %s", r.told(r.describe(r.Name("nothing"), "retention.ms").Error))
}

func (r *run) change(what, topic, name, value string, how kafka.ConfigOperation) {
	r.changeOf(kafka.ResourceTypeTopic, what, topic, name, value, how)
}

func (r *run) changeOf(kind kafka.ResourceType, what, of, name, value string, how kafka.ConfigOperation) {
	config := kafka.IncrementalAlterConfigsRequestConfig{Name: name, Value: value, ConfigOperation: how}
	resource := kafka.IncrementalAlterConfigsRequestResource{
		ResourceType: kind, ResourceName: of, Configs: []kafka.IncrementalAlterConfigsRequestConfig{config},
	}
	request := &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{resource}}
	for _, changed := range play.Must(r.client.IncrementalAlterConfigs(play.Step(), request)).Resources {
		play.Say("%s: %s", what, r.told(changed.Error))
	}
}

func (r *run) describe(topic string, names ...string) kafka.DescribeConfigResponseResource {
	resource := kafka.DescribeConfigRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: names}
	request := &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{resource}, IncludeSynonyms: true, IncludeDocumentation: true,
	}
	return play.Must(r.client.DescribeConfigs(play.Step(), request)).Resources[0]
}

func (r *run) setting(topic, name string) string {
	return r.describe(topic, name).ConfigEntries[0].ConfigValue
}

func (r *run) shown(topic string, names ...string) {
	found := r.describe(topic, names...)
	play.Done(found.Error)
	slices.SortFunc(found.ConfigEntries, func(a, b kafka.DescribeConfigResponseConfigEntry) int {
		return strings.Compare(a.ConfigName, b.ConfigName)
	})
	for _, config := range found.ConfigEntries {
		var synonyms []string
		for _, of := range config.ConfigSynonyms {
			synonyms = append(synonyms, fmt.Sprintf("%s=%s from %d", of.ConfigName, of.ConfigValue, of.ConfigSource))
		}
		play.Say("  %s=%s from %d, type %d, fixed %t, secret %t, told: %t, %v", config.ConfigName, config.ConfigValue, config.ConfigSource,
			config.ConfigType, config.ReadOnly, config.IsSensitive, config.ConfigDocumentation != "", synonyms)
	}
}

// The outcome of a request that may fail as a whole.
func whole(err, inside error) string { return play.Outcome(errors.Join(err, inside)) }
