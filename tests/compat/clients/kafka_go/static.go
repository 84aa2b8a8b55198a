// Static members. The client's own groups have none; its requests to a coordinator do.
package main

import (
	"slices"

	"github.com/segmentio/kafka-go"

	"play"
)

// One static member, by hand: what it joined as, and with what it was answered.
type staticMember struct {
	r          *run
	group      string
	topic      string
	instance   string
	id         string
	generation int
	leader     bool
	names      []string
}

func (m *staticMember) join() error {
	request := &kafka.JoinGroupRequest{
		GroupID: m.group, SessionTimeout: 6_000_000_000, RebalanceTimeout: 6_000_000_000,
		MemberID: m.id, GroupInstanceID: m.instance, ProtocolType: "consumer",
		Protocols: []kafka.GroupProtocol{{Name: "range", Metadata: kafka.GroupProtocolSubscription{Topics: []string{m.topic}}}},
	}
	answer, err := m.r.client.JoinGroup(play.Step(), request)
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		return err
	}
	m.id, m.generation, m.leader, m.names = answer.MemberID, answer.GenerationID, answer.LeaderID == answer.MemberID, nil
	for _, member := range answer.Members {
		m.names = append(m.names, member.GroupInstanceID)
	}
	slices.Sort(m.names)
	return nil
}

func (m *staticMember) sync(assignments ...kafka.SyncGroupRequestAssignment) ([]int, error) {
	answer, err := m.r.client.SyncGroup(play.Step(), &kafka.SyncGroupRequest{
		GroupID: m.group, GenerationID: m.generation, MemberID: m.id, GroupInstanceID: m.instance,
		ProtocolType: "consumer", ProtocolName: "range", Assignments: assignments,
	})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		return nil, err
	}
	return answer.Assignment.AssignedPartitions[m.topic], nil
}

// Whether its share is refused to it by now. With what the client cannot read, nor does it hear of anything by
// its heartbeat: it reads that answer in another order than the protocol's.
func (m *staticMember) refused() bool {
	_, err := m.sync()
	return err != nil
}

func (m *staticMember) commit(offset int64) error {
	answer, err := m.r.client.OffsetCommit(play.Step(), &kafka.OffsetCommitRequest{
		GroupID: m.group, GenerationID: m.generation, MemberID: m.id, InstanceID: m.instance,
		Topics: map[string][]kafka.OffsetCommit{m.topic: {{Partition: 0, Offset: offset}}},
	})
	if err == nil {
		err = answer.Topics[m.topic][0].Error
	}
	return err
}

func static(r *run) {
	topic, group := r.topic("topic", 2), r.Name("group")
	x := &staticMember{r: r, group: group, topic: topic, instance: "x"}
	y := &staticMember{r: r, group: group, topic: topic, instance: "y"}
	r.coordinated(group)
	play.Say("x joins: %s", play.Outcome(x.join()))
	share := func(m *staticMember, partitions ...int) kafka.SyncGroupRequestAssignment {
		of := kafka.GroupProtocolAssignment{AssignedPartitions: map[string][]int{topic: partitions}}
		return kafka.SyncGroupRequestAssignment{MemberID: m.id, Assignment: of}
	}
	held, err := x.sync(share(x, 0, 1))
	play.Say("x holds %v: %s", held, play.Outcome(err))
	// The second one comes: the first is told and joins again, both at once.
	joined := make(chan error)
	go func() { joined <- y.join() }()
	play.Await("a rebalance", x.refused)
	play.Say("y joins: x is to join again")
	play.Say("x joins again: %s", play.Outcome(x.join()))
	play.Say("y: %s, the same generation %t, leaders %t %t, known to x: %v", play.Outcome(<-joined), x.generation == y.generation, x.leader, y.leader, x.names)
	held, err = x.sync(share(x, 0), share(y, 1))
	play.Say("x holds %v: %s", held, play.Outcome(err))
	held, err = y.sync()
	play.Say("y holds %v: %s", held, play.Outcome(err))
	play.Say("commits: %s, %s", play.Outcome(x.commit(7)), play.Outcome(y.commit(8)))

	// x is started again: nobody is told, and the old x is out.
	again := &staticMember{r: r, group: group, topic: topic, instance: "x"}
	play.Say("x is started again: %s, the same generation %t, another id %t", play.Outcome(again.join()), again.generation == x.generation, again.id != x.id)
	held, err = again.sync()
	play.Say("it holds %v: %s", held, play.Outcome(err))
	play.Say("y has its share still: %t", !y.refused())
	play.Say("the old x: refused %t, commit %s, join %s", x.refused(), play.Outcome(x.commit(9)), play.Outcome(x.join()))
	var names []int
	for _, member := range r.state(group, "Stable", 2).Members {
		names = append(names, len(member.MemberAssignments.Topics[0].Partitions))
	}
	play.Say("described: %v", names)

	for _, name := range []string{"x", "nobody"} {
		answer := play.Must(r.client.LeaveGroup(play.Step(), &kafka.LeaveGroupRequest{
			GroupID: group, Members: []kafka.LeaveGroupRequestMember{{GroupInstanceID: name}},
		}))
		play.Done(answer.Error)
		play.Say("removing %s: %s", name, play.Outcome(answer.Members[0].Error))
	}
	play.Await("the other to be told", y.refused)
	play.Say("the other is to join again")
	r.state(group, "Empty", 0)
	play.Say("a silent static member is removed; committed %d", r.committed(group, topic))
}
