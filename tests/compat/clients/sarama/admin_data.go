// The tour goes on: partitions and their data, groups and their offsets, quotas.
package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"play"
)

func (r *run) partitions(node int32) {
	topic, nothing := r.Name("two"), r.Name("nothing")
	more := func(what, topic string, count int32, assigned [][]int32, dry bool) {
		play.Say("%s: %s", what, r.told(r.admin.CreatePartitions(topic, count, assigned, dry)))
	}
	more("dry run", topic, 2, nil, true)
	more("on no broker of this cluster", topic, 2, [][]int32{{node + 98}}, false)
	more("two partitions", topic, 2, [][]int32{{node}}, false)
	r.led(topic, 2)
	more("three partitions", topic, 3, nil, false)
	r.led(topic, 3)
	more("of an unknown topic", nothing, 3, nil, false)
	more("two partitions", topic, 2, nil, false)
	more("three again", topic, 3, nil, false)
	r.write(topic, 3, 0, 30)

	remove := func(what, topic string, partition int32, to int64) {
		play.Say("%s: %s", what, firstCode(r.admin.DeleteRecords(topic, map[int32]int64{partition: to})))
	}
	remove("records before 4", topic, 0, 4)
	remove("records before 2", topic, 0, 2)
	remove("all records", topic, 1, -1)
	remove("records before 11", topic, 2, 11)
	for partition := range int32(3) {
		play.Say("%d: from %d to %d", partition, r.offset(topic, partition, sarama.OffsetOldest, sarama.ReadUncommitted).Offset,
			r.offset(topic, partition, sarama.OffsetNewest, sarama.ReadUncommitted).Offset)
	}
	for _, folder := range play.Must(r.admin.DescribeLogDirs([]int32{node}))[node] {
		full := 0
		for _, of := range folder.Topics {
			for _, partition := range of.Partitions {
				if of.Topic == topic && partition.Size > 0 && partition.OffsetLag == 0 && !partition.IsTemporary {
					full++
				}
			}
		}
		play.Say("folder: %s, %d partitions with data, room: %t", errorName(folder.ErrorCode), full, folder.UsableBytes > 0)
	}
	r.moves(topic, node)
}

func (r *run) moves(topic string, node int32) {
	for _, kind := range []sarama.ElectionType{sarama.PreferredElection, sarama.UncleanElection} {
		elected, err := r.admin.ElectLeaders(kind, map[string][]int32{topic: {0, 9}})
		play.Say("elect: %s", play.Outcome(err))
		for _, partition := range []int32{0, 9} {
			if of := elected[topic][partition]; of != nil {
				play.Say("  %d: %s", partition, r.answered(of.ErrorCode, of.ErrorMessage))
			}
		}
	}
	status := play.Must(r.admin.ListPartitionReassignments(topic, []int32{0, 1, 2}))
	play.Say("being moved: %d", len(status[topic]))
	move := func(what string, brokers ...[]int32) {
		play.Say("%s: %s", what, firstCode(r.admin.AlterPartitionReassignments(topic, brokers)))
	}
	here := []int32{node}
	move("move to where it is", here, here, here)
	move("move to nowhere", []int32{node + 98}, here, here)
	move("move to one twice", []int32{node, node}, here, here)
	move("cancel", nil, nil, nil)
}

func (r *run) groupOffsets() {
	topic, idle, live := r.Name("two"), r.Name("idle"), r.Name("live")
	commit := func(what, group string, partition int32, at sarama.OffsetAndMetadata) {
		offsets := map[string]map[int32]sarama.OffsetAndMetadata{topic: {partition: at}}
		answer, err := r.admin.AlterConsumerGroupOffsets(group, offsets, nil)
		code := sarama.ErrNoError
		if answer != nil {
			code = answer.Errors[topic][partition]
		}
		play.Say("%s: %s %s", what, firstCode(err), errorName(code))
	}
	commit("commit", idle, 0, sarama.OffsetAndMetadata{Offset: 5, LeaderEpoch: -1})
	commit("commit", idle, 2, sarama.OffsetAndMetadata{Offset: 3, LeaderEpoch: 0, Metadata: "by hand"})
	commit("commit of an unknown partition", idle, 9, sarama.OffsetAndMetadata{Offset: 1, LeaderEpoch: -1})
	long := strings.Repeat("x", 5_000)
	commit("commit with much metadata", idle, 1, sarama.OffsetAndMetadata{Offset: 1, LeaderEpoch: -1, Metadata: long})
	r.offsets(idle)

	member := r.member(live, "range", "", topic)
	play.Shares("a member", []*play.Child{member}, 3)
	r.readBy(live, 16, member)
	groups := play.Must(r.admin.DescribeConsumerGroups([]string{idle, live, r.Name("nobody")}))
	slices.SortFunc(groups, func(a, b *sarama.GroupDescription) int { return strings.Compare(a.GroupId, b.GroupId) })
	for _, group := range groups {
		play.Say("described %s: %s, %s %q %q, %d members", r.plain(group.GroupId), errorName(group.Err), group.State, group.ProtocolType,
			group.Protocol, len(group.Members))
		for _, of := range group.Members {
			assigned := play.Must(of.GetMemberAssignment())
			play.Say("  member: client %s at %s holds %v", of.ClientId, strings.TrimPrefix(of.ClientHost, "/"), assigned.Topics[topic])
		}
	}
	listed := play.Must(r.admin.ListConsumerGroups())
	play.Say("listed: idle %q, live %q", listed[idle], listed[live])

	commit("commit beside a member", live, 0, sarama.OffsetAndMetadata{Offset: 1, LeaderEpoch: -1})
	play.Say("delete offsets beside a member: %s", firstCode(r.admin.DeleteConsumerGroupOffset(live, topic, 0)))
	play.Say("delete a group with a member: %s", firstCode(r.admin.DeleteConsumerGroup(live)))
	for _, partition := range []int32{0, 1} {
		play.Say("delete offsets of %d: %s", partition, firstCode(r.admin.DeleteConsumerGroupOffset(idle, topic, partition)))
	}
	play.Say("delete offsets of an unknown group: %s", firstCode(r.admin.DeleteConsumerGroupOffset(r.Name("nobody"), topic, 0)))
	r.offsets(idle)
	member.Leave()
	r.state(live, "Empty", 0)
	for _, group := range []string{"idle", "live", "nobody"} {
		play.Say("delete %s: %s", group, firstCode(r.admin.DeleteConsumerGroup(r.Name(group))))
	}
	dead := play.Must(r.admin.DescribeConsumerGroups([]string{idle}))[0]
	play.Say("described: %s, %s", dead.State, errorName(dead.Err))
}

func (r *run) offsets(group string) {
	listed := play.Must(r.admin.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: nil}))[group]
	var lines []string
	for topic, partitions := range listed.Blocks {
		for partition, of := range partitions {
			lines = append(lines, fmt.Sprintf("  %s/%d: %d, epoch %d, %q", r.plain(topic), partition, of.Offset, of.LeaderEpoch, of.Metadata))
		}
	}
	slices.Sort(lines)
	play.Say("offsets of %s: %s\n%s", r.plain(group), errorName(listed.Err), strings.Join(lines, "\n"))
}

func (r *run) quotas() {
	name := r.Name("client")
	entity := []sarama.QuotaEntityComponent{{EntityType: sarama.QuotaEntityClientID, MatchType: sarama.QuotaMatchExact, Name: name}}
	wanted := []sarama.QuotaFilterComponent{{EntityType: sarama.QuotaEntityClientID, MatchType: sarama.QuotaMatchExact, Match: name}}
	alter := func(what string, op sarama.ClientQuotasOp, dry bool) {
		play.Say("%s: %s", what, r.told(r.admin.AlterClientQuotas(entity, op, dry)))
	}
	found := func() []sarama.DescribeClientQuotasEntry {
		return play.Must(r.admin.DescribeClientQuotas(wanted, true))
	}
	alter("dry run", sarama.ClientQuotasOp{Key: "producer_byte_rate", Value: 1}, true)
	alter("quota", sarama.ClientQuotasOp{Key: "producer_byte_rate", Value: 1e6}, false)
	alter("quota", sarama.ClientQuotasOp{Key: "request_percentage", Value: 50.5}, false)
	play.Await("the quotas", func() bool { return len(found()) == 1 && len(found()[0].Values) == 2 })
	play.Say("  %v", found()[0].Values)
	alter("an unknown quota", sarama.ClientQuotasOp{Key: "no_such", Value: 1}, false)
	alter("too little", sarama.ClientQuotasOp{Key: "producer_byte_rate", Value: -1}, false)
	for _, key := range []string{"producer_byte_rate", "request_percentage"} {
		alter("no quota", sarama.ClientQuotasOp{Key: key, Remove: true}, false)
	}
	play.Await("no quotas", func() bool { return len(found()) == 0 })
	users := play.Must(r.admin.DescribeUserScramCredentials([]string{r.Name("user")}))
	for _, user := range users {
		play.Say("credentials of an unknown user: %s", r.answered(user.ErrorCode, user.ErrorMessage))
	}
}

func (r *run) removal() {
	for _, short := range []string{"one", "two", "by-hand", "nothing"} {
		play.Say("delete %s: %s", short, r.told(r.admin.DeleteTopic(r.Name(short))))
	}
	play.Await("their end", func() bool {
		for name := range play.Must(r.admin.ListTopics()) {
			if strings.HasPrefix(name, r.Prefix) {
				return false
			}
		}
		return true
	})
	play.Say("all gone")
}
