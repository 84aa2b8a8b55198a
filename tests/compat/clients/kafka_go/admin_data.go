// The tour goes on: partitions and their data, groups and their offsets, quotas.
package main

import (
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"play"
)

func (r *run) partitions(node int) {
	topic := r.Name("two")
	more := func(what, topic string, count int32, dry bool, assigned ...int32) {
		config := kafka.TopicPartitionsConfig{Name: topic, Count: count}
		if len(assigned) > 0 {
			config.TopicPartitionAssignments = []kafka.TopicPartitionAssignment{{BrokerIDs: assigned}}
		}
		request := &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{config}, ValidateOnly: dry}
		created := play.Must(r.client.CreatePartitions(play.Step(), request))
		play.Say("%s: %s", what, r.told(created.Errors[topic]))
	}
	more("dry run", topic, 2, true)
	more("on no broker of this cluster", topic, 2, false, int32(node+98))
	more("two partitions", topic, 2, false, int32(node))
	r.led(topic, 2)
	more("three partitions", topic, 3, false)
	r.led(topic, 3)
	more("of an unknown topic", r.Name("nothing"), 3, false)
	more("two partitions", topic, 2, false)
	more("three again", topic, 3, false)
	r.write(topic, 3, 0, 30)
	for partition := range 3 {
		ends := r.ends(topic, partition, kafka.ReadUncommitted)
		play.Say("%d: from %d to %d", partition, ends.FirstOffset, ends.LastOffset)
	}

	// Without a limit of time the client sends 0: no time at all.
	for _, limit := range []time.Duration{play.StepLimit, 0} {
		elected := play.Must(r.client.ElectLeaders(play.Step(), &kafka.ElectLeadersRequest{Topic: topic, Partitions: []int{0, 9}, Timeout: limit}))
		play.Say("elect within %s: %s", limit, play.Outcome(elected.Error))
		slices.SortFunc(elected.PartitionResults, func(a, b kafka.ElectLeadersResponsePartitionResult) int { return a.Partition - b.Partition })
		for _, of := range elected.PartitionResults {
			play.Say("  %d: %s", of.Partition, r.told(of.Error))
		}
		r.moves(topic, node, limit)
	}
}

func (r *run) moves(topic string, node int, limit time.Duration) {
	moving := play.Must(r.client.ListPartitionReassignments(play.Step(), &kafka.ListPartitionReassignmentsRequest{
		Topics:  map[string]kafka.ListPartitionReassignmentsRequestTopic{topic: {PartitionIndexes: []int{0, 1, 2}}},
		Timeout: limit,
	}))
	play.Say("being moved: %d, %s", len(moving.Topics), play.Outcome(moving.Error))
	for _, move := range []struct {
		what    string
		brokers []int
	}{{"move to where it is", []int{node}}, {"move to nowhere", []int{node + 98}}, {"move to one twice", []int{node, node}}} {
		assigned := kafka.AlterPartitionReassignmentsRequestAssignment{PartitionID: 0, BrokerIDs: move.brokers}
		moved := play.Must(r.client.AlterPartitionReassignments(play.Step(), &kafka.AlterPartitionReassignmentsRequest{
			Topic: topic, Assignments: []kafka.AlterPartitionReassignmentsRequestAssignment{assigned}, Timeout: limit,
		}))
		play.Say("%s: %s, %s", move.what, play.Outcome(moved.Error), r.told(moved.PartitionResults[0].Error))
	}
}

func (r *run) groupOffsets() {
	topic, idle, live := r.Name("two"), r.Name("idle"), r.Name("live")
	r.coordinated(idle, live, r.Name("nobody"))
	commit := func(what, group string, at kafka.OffsetCommit) {
		play.Say("%s: %s", what, play.Outcome(r.commit(group, topic, at)))
	}
	commit("commit", idle, kafka.OffsetCommit{Partition: 0, Offset: 5})
	commit("commit", idle, kafka.OffsetCommit{Partition: 2, Offset: 3, Metadata: "by hand"})
	commit("commit of an unknown partition", idle, kafka.OffsetCommit{Partition: 9, Offset: 1})
	commit("commit with much metadata", idle, kafka.OffsetCommit{Partition: 1, Offset: 1, Metadata: strings.Repeat("x", 5_000)})
	r.offsets(idle, topic)

	member := r.member(live, "range", topic)
	play.Shares("a member", []*play.Child{member}, 3)
	r.readBy(live, topic, 30, member)
	for _, group := range []string{"idle", "live", "nobody"} {
		of := r.group1(r.Name(group))
		play.Say("described %s: %s, %s, %d members", group, play.Outcome(of.Error), of.GroupState, len(of.Members))
		for _, member := range of.Members {
			play.Say("  at %s holds %v", strings.TrimPrefix(member.ClientHost, "/"), member.MemberAssignments.Topics[0].Partitions)
		}
	}
	listed := play.Must(r.client.ListGroups(play.Step(), &kafka.ListGroupsRequest{}))
	for _, group := range []string{idle, live} {
		at := slices.IndexFunc(listed.Groups, func(of kafka.ListGroupsResponseGroup) bool { return of.GroupID == group })
		play.Say("listed %s: %t, protocol %q", r.plain(group), at >= 0, listed.Groups[at].ProtocolType)
	}

	commit("commit beside a member", live, kafka.OffsetCommit{Partition: 0, Offset: 1})
	play.Say("delete offsets beside a member: %s", r.deleteOffsets(live, topic, 0))
	play.Say("delete a group with a member: %s", r.deleteGroup(live))
	for _, partition := range []int{0, 1} {
		play.Say("delete offsets of %d: %s", partition, r.deleteOffsets(idle, topic, partition))
	}
	play.Say("delete offsets of an unknown group: %s", r.deleteOffsets(r.Name("nobody"), topic, 0))
	r.offsets(idle, topic)
	member.Leave()
	r.state(live, "Empty", 0)
	for _, group := range []string{"idle", "live", "nobody"} {
		play.Say("delete %s: %s", group, r.deleteGroup(r.Name(group)))
	}
	dead := r.group1(idle)
	play.Say("described: %s, %s", dead.GroupState, play.Outcome(dead.Error))
}

func (r *run) deleteOffsets(group, topic string, partition int) string {
	answer, err := r.client.OffsetDelete(play.Step(), &kafka.OffsetDeleteRequest{GroupID: group, Topics: map[string][]int{topic: {partition}}})
	if err != nil || answer.Error != nil || len(answer.Topics[topic]) == 0 {
		return whole(err, answer.Error)
	}
	return play.Outcome(answer.Topics[topic][0].Error)
}

func (r *run) deleteGroup(group string) string {
	return play.Outcome(play.Must(r.client.DeleteGroups(play.Step(), &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})).Errors[group])
}

func (r *run) offsets(group, topic string) {
	request := &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0, 1, 2, 9}}}
	found := play.Must(r.client.OffsetFetch(play.Step(), request))
	play.Say("offsets of %s: %s", r.plain(group), play.Outcome(found.Error))
	partitions := found.Topics[topic]
	slices.SortFunc(partitions, func(a, b kafka.OffsetFetchPartition) int { return a.Partition - b.Partition })
	for _, of := range partitions {
		play.Say("  %d: %d, %q, %s", of.Partition, of.CommittedOffset, of.Metadata, play.Outcome(of.Error))
	}
}

func (r *run) quotas() {
	name := r.Name("client")
	alter := func(what string, dry bool, ops ...kafka.AlterClientQuotaOps) {
		entity := []kafka.AlterClientQuotaEntity{{EntityType: "client-id", EntityName: name}}
		request := &kafka.AlterClientQuotasRequest{Entries: []kafka.AlterClientQuotaEntry{{Entities: entity, Ops: ops}}, ValidateOnly: dry}
		play.Say("%s: %s", what, r.told(play.Must(r.client.AlterClientQuotas(play.Step(), request)).Entries[0].Error))
	}
	found := func() []kafka.DescribeClientQuotasResponseQuotas {
		wanted := []kafka.DescribeClientQuotasRequestComponent{{EntityType: "client-id", MatchType: 0, Match: name}}
		answer := play.Must(r.client.DescribeClientQuotas(play.Step(), &kafka.DescribeClientQuotasRequest{Components: wanted, Strict: true}))
		play.Done(answer.Error)
		return answer.Entries
	}
	alter("dry run", true, kafka.AlterClientQuotaOps{Key: "producer_byte_rate", Value: 1})
	alter("quota", false, kafka.AlterClientQuotaOps{Key: "producer_byte_rate", Value: 1e6}, kafka.AlterClientQuotaOps{Key: "request_percentage", Value: 50.5})
	play.Await("the quotas", func() bool { return len(found()) == 1 })
	values := found()[0].Values
	slices.SortFunc(values, func(a, b kafka.DescribeClientQuotasValue) int { return strings.Compare(a.Key, b.Key) })
	play.Say("  %v", values)
	alter("an unknown quota", false, kafka.AlterClientQuotaOps{Key: "no_such", Value: 1})
	alter("no quota", false, kafka.AlterClientQuotaOps{Key: "producer_byte_rate", Remove: true}, kafka.AlterClientQuotaOps{Key: "request_percentage", Remove: true})
	play.Await("no quotas", func() bool { return len(found()) == 0 })
}

func (r *run) removal() {
	names := []string{r.Name("one"), r.Name("two"), r.Name("by-hand"), r.Name("nothing")}
	deleted := play.Must(r.client.DeleteTopics(play.Step(), &kafka.DeleteTopicsRequest{Topics: names}))
	for _, name := range names {
		play.Say("delete %s: %s", r.plain(name), r.told(deleted.Errors[name]))
	}
	play.Await("their end", func() bool {
		r.renew()
		return !slices.ContainsFunc(play.Must(r.client.Metadata(play.Step(), &kafka.MetadataRequest{})).Topics, func(topic kafka.Topic) bool {
			return strings.HasPrefix(topic.Name, r.Prefix)
		})
	})
	play.Say("all gone")
}
