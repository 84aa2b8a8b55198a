// The tour goes on: partitions and their data, groups and their offsets, quotas.
package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (r *run) partitions(node int32) {
	topic := r.name("two")
	nothing := r.name("nothing")
	more := must(r.admin.UpdatePartitions(step(), 3, topic, nothing))
	answered("three partitions", more[topic].Err, r.plain(more[topic].ErrMessage))
	answered("of an unknown topic", more[nothing].Err, r.plain(more[nothing].ErrMessage))
	fewer := must(r.admin.UpdatePartitions(step(), 2, topic))[topic]
	answered("two partitions", fewer.Err, r.plain(fewer.ErrMessage))
	same := must(r.admin.UpdatePartitions(step(), 3, topic))[topic]
	answered("three again", same.Err, r.plain(same.ErrMessage))
	await("three partitions", func() bool { return len(must(r.admin.ListTopics(step(), topic))[topic].Partitions) == 3 })
	r.write(topic, 3, 0, 30)

	remove := func(what string, partition int32, to int64) {
		offsets := kadm.Offsets{}
		offsets.AddOffset(topic, partition, to, -1)
		removed, err := r.admin.DeleteRecords(step(), offsets)
		if err != nil {
			say("%s: %s", what, errorName(err))
			return
		}
		of := removed[topic][partition]
		say("%s: %s, from %d on", what, errorName(of.Err), of.LowWatermark)
	}
	remove("records before 4", 0, 4)
	remove("records before 2", 0, 2)
	remove("all records", 1, -1)
	remove("records before 11", 2, 11)
	starts, ends := must(r.admin.ListStartOffsets(step(), topic)), must(r.admin.ListEndOffsets(step(), topic))
	for partition := range int32(3) {
		say("%d: from %d to %d", partition, starts[topic][partition].Offset, ends[topic][partition].Offset)
	}
	var epochs kadm.OffsetForLeaderEpochRequest
	epochs.Add(topic, 0, 0)
	of := must(r.admin.OffsetForLeaderEpoch(step(), epochs))[topic][0]
	say("epoch %d ends at %d: %s", of.LeaderEpoch, of.EndOffset, errorName(of.Err))

	set := kadm.TopicsSet{}
	set.Add(topic, 0, 1, 2)
	for _, folder := range must(r.admin.DescribeAllLogDirs(step(), set))[node].Sorted() {
		sizes := 0
		folder.Topics.Each(func(partition kadm.DescribedLogDirPartition) {
			if partition.Size > 0 && partition.OffsetLag == 0 && !partition.IsFuture {
				sizes++
			}
		})
		say("folder: %s, %d partitions with data, room: %t", errorName(folder.Err), sizes, folder.UsableBytes > 0)
	}
	elected := must(r.admin.ElectLeaders(step(), kadm.ElectPreferredReplica, set))
	answered("elect", elected[topic][0].Err, elected[topic][0].ErrMessage)
	r.reassignments(topic, node)
}

func (r *run) reassignments(topic string, node int32) {
	set := kadm.TopicsSet{}
	set.Add(topic, 0)
	say("being moved: %d", len(must(r.admin.ListPartitionReassignments(step(), set))))
	move := func(what string, brokers []int32) {
		request := kadm.AlterPartitionAssignmentsReq{}
		if brokers == nil {
			request.CancelAssign(topic, 0)
		} else {
			request.Assign(topic, 0, brokers)
		}
		moved := must(r.admin.AlterPartitionAssignments(step(), request))[topic][0]
		answered(what, moved.Err, moved.ErrMessage)
	}
	move("move to where it is", []int32{node})
	move("move to nowhere", []int32{-1})
	move("move to two", []int32{node, node})
	move("cancel", nil)
}

func (r *run) groupOffsets() {
	topic, idle, live := r.name("two"), r.name("idle"), r.name("live")
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 5, -1)
	offsets.Add(kadm.Offset{Topic: topic, Partition: 2, At: 3, LeaderEpoch: 0, Metadata: "by hand"})
	done(r.admin.CommitAllOffsets(step(), idle, offsets))
	unknown := kadm.Offsets{}
	unknown.AddOffset(topic, 9, 1, -1)
	committed := must(r.admin.CommitOffsets(step(), idle, unknown))
	say("commit of an unknown partition: %s", errorName(committed[topic][9].Err))
	r.offsets(idle)
	lag := must(r.admin.Lag(step(), idle))[idle]
	say("lag %d, %s", lag.Lag.Total(), lag.State)

	member := r.member(live, "range", "", topic)
	shares("a member", []*child{member}, 3)
	r.readBy(live, []*child{member}, 16)
	for _, group := range []string{idle, live} {
		described := must(r.admin.DescribeGroups(step(), group))[group]
		say("described %s: %s %q %q, %d members", r.plain(group), described.State, described.ProtocolType, described.Protocol, len(described.Members))
		for _, of := range described.Members {
			say("  member: client %s at %s", of.ClientID, strings.TrimPrefix(of.ClientHost, "/"))
		}
	}
	for _, states := range [][]string{nil, {"Empty"}, {"Stable"}, {"Dead"}} {
		listed := must(r.admin.ListGroups(step(), states...))
		say("listed in %v: idle %t, live %t", states, has(listed, idle), has(listed, live))
	}
	classic := must(r.admin.ListGroupsByType(step(), []string{"consumer"}))
	say("listed as of the consumer protocol: %t", has(classic, live))
	r.refusals(topic, idle, live)
	member.leave()
	r.state(live, "Empty", 0)
	deleted := must(r.admin.DeleteGroups(step(), idle, live, r.name("nobody")))
	for _, group := range []string{"idle", "live", "nobody"} {
		say("delete %s: %s", group, errorName(deleted[r.name(group)].Err))
	}
	dead := must(r.admin.DescribeGroups(step(), idle))[idle]
	say("described: %s, %s", dead.State, errorName(dead.Err))
}

func has(groups kadm.ListedGroups, group string) bool {
	_, found := groups[group]
	return found
}

func (r *run) offsets(group string) {
	for _, offset := range must(r.admin.FetchOffsets(step(), group)).Sorted() {
		say("  %s/%d: %d, epoch %d, %q", r.plain(offset.Topic), offset.Partition, offset.At, offset.LeaderEpoch, offset.Metadata)
	}
}

// What is not done to a group with members; what is done to one without.
func (r *run) refusals(topic, idle, live string) {
	offsets, set := kadm.Offsets{}, kadm.TopicsSet{}
	offsets.AddOffset(topic, 0, 1, -1)
	set.Add(topic, 0)
	committed := must(r.admin.CommitOffsets(step(), live, offsets))
	say("commit beside a member: %s", errorName(committed[topic][0].Err))
	deleted, err := r.admin.DeleteOffsets(step(), live, set)
	say("delete offsets beside a member: %s %s", errorName(err), errorName(deleted[topic][0]))
	group := must(r.admin.DeleteGroups(step(), live))[live]
	say("delete a group with a member: %s", errorName(group.Err))
	set.Add(topic, 1)
	deleted, err = r.admin.DeleteOffsets(step(), idle, set)
	say("delete offsets: %s %s %s", errorName(err), errorName(deleted[topic][0]), errorName(deleted[topic][1]))
	r.offsets(idle)
	_, err = r.admin.DeleteOffsets(step(), r.name("nobody"), set)
	say("delete offsets of an unknown group: %s", errorName(err))
}

func (r *run) quotas() {
	name := r.name("client")
	entity := kadm.ClientQuotaEntity{{Type: "client-id", Name: &name}}
	alter := func(what string, ops ...kadm.AlterClientQuotaOp) {
		altered := must(r.admin.AlterClientQuotas(step(), []kadm.AlterClientQuotaEntry{{Entity: entity, Ops: ops}}))
		answered(what, altered[0].Err, r.plain(altered[0].ErrMessage))
	}
	show := func() {
		wanted := []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchName: &name}}
		for _, quota := range must(r.admin.DescribeClientQuotas(step(), true, wanted)) {
			slices.SortFunc(quota.Values, func(a, b kadm.ClientQuotaValue) int { return cmp.Compare(a.Key, b.Key) })
			say("  %s %v", r.plain(quota.Entity.String()), quota.Values)
		}
	}
	alter("quota", kadm.AlterClientQuotaOp{Key: "producer_byte_rate", Value: 1e6}, kadm.AlterClientQuotaOp{Key: "request_percentage", Value: 50.5})
	await("the quota", func() bool {
		wanted := []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchName: &name}}
		return len(must(r.admin.DescribeClientQuotas(step(), true, wanted))) > 0
	})
	show()
	alter("an unknown quota", kadm.AlterClientQuotaOp{Key: "no_such", Value: 1})
	alter("no quota", kadm.AlterClientQuotaOp{Key: "producer_byte_rate", Remove: true}, kadm.AlterClientQuotaOp{Key: "request_percentage", Remove: true})
	user := r.name("user")
	described := must(r.admin.DescribeUserSCRAMs(step(), user))[user]
	say("credentials of an unknown user: %s", errorName(described.Err))
}

func (r *run) removal() {
	id := must(r.admin.ListTopics(step(), r.name("one")))[r.name("one")].ID
	names := []string{r.name("one"), r.name("two"), r.name("by-hand"), r.name("nothing")}
	deleted := must(r.admin.DeleteTopics(step(), names...))
	for _, name := range names {
		answered("delete "+r.plain(name), deleted[name].Err, r.plain(deleted[name].ErrMessage))
	}
	await("their end", func() bool {
		for name := range must(r.admin.ListTopics(step())) {
			if strings.HasPrefix(name, r.prefix) {
				return false
			}
		}
		return true
	})
	// By the id that the topic had, which this client asks for in a raw request only.
	request := kmsg.NewPtrDeleteTopicsRequest()
	old := kmsg.NewDeleteTopicsRequestTopic()
	old.TopicID = id
	request.Topics = append(request.Topics, old)
	response := must(request.RequestWith(step(), r.client()))
	say("delete by an id of old: %s", errorName(kerr.ErrorForCode(response.Topics[0].ErrorCode)))
}
