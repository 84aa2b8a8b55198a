// Groups: members that join, leave, fall silent and die.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"

	"play"
)

// A member of a group, as its parent wants it.
type memberSpec struct{ Group, Topic, Balancer string }

func (r *run) member(group, balancer, topic string) *play.Child {
	return r.Start("member", memberSpec{group, topic, balancer})
}

var balancers = map[string]kafka.GroupBalancer{
	"range": kafka.RangeGroupBalancer{}, "roundrobin": kafka.RoundRobinGroupBalancer{}, "rack": kafka.RackAffinityGroupBalancer{},
}

// The groups' own settings; the rest is for the one who asks.
func groupConfig(at string, spec memberSpec) kafka.ConsumerGroupConfig {
	return kafka.ConsumerGroupConfig{
		ID: spec.Group, Brokers: []string{at}, Topics: []string{spec.Topic},
		GroupBalancers: []kafka.GroupBalancer{balancers[spec.Balancer]}, StartOffset: kafka.FirstOffset,
		SessionTimeout: 6 * time.Second, HeartbeatInterval: 500 * time.Millisecond, RebalanceTimeout: 15 * time.Second,
		JoinGroupBackoff: 100 * time.Millisecond,
	}
}

// Reads, tells and commits until SIGTERM, which is a clean end.
func memberRole(played *play.Run, args []string) {
	r := newRun(played)
	var spec memberSpec
	play.Done(json.Unmarshal([]byte(args[0]), &spec))
	ending, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	group := play.Must(kafka.NewConsumerGroup(groupConfig(r.At, spec)))
	for {
		generation, err := group.Next(ending)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			play.Tell(play.Event{What: "error", Error: errorName(err)})
			continue
		}
		play.Tell(play.Event{What: "session", Generation: generation.ID})
		for topic, partitions := range generation.Assignments {
			for _, partition := range partitions {
				generation.Start(func(ctx context.Context) { r.readIn(ctx, generation, topic, partition) })
			}
		}
	}
	play.Done(group.Close())
}

// Reads a partition as long as the generation lasts.
func (r *run) readIn(ctx context.Context, generation *kafka.Generation, topic string, partition kafka.PartitionAssignment) {
	held := map[string][]int32{topic: {int32(partition.ID)}}
	play.Tell(play.Event{What: "assigned", Partitions: held})
	defer play.Tell(play.Event{What: "revoked", Partitions: held})
	reader := r.reader(topic, partition.ID, kafka.ReadCommitted)
	defer reader.Close()
	play.Done(reader.SetOffset(partition.Offset))
	for {
		message, err := reader.FetchMessage(ctx)
		if err != nil {
			if !errors.Is(err, kafka.ErrGenerationEnded) && ctx.Err() == nil {
				play.Tell(play.Event{What: "error", Error: errorName(err)})
			}
			return
		}
		play.Tell(play.Event{What: "read", Value: string(message.Value)})
		at := map[string]map[int]int64{topic: {partition.ID: message.Offset + 1}}
		if err := generation.CommitOffsets(at); err != nil {
			play.Tell(play.Event{What: "error", Error: "commit: " + errorName(err)})
		}
	}
}

func (r *run) group1(group string) kafka.DescribeGroupsResponseGroup {
	return play.Must(r.client.DescribeGroups(play.Step(), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})).Groups[0]
}

// Waits until the groups' coordinator has read what it keeps of them: on a new broker that takes a moment.
func (r *run) coordinated(groups ...string) {
	play.Await("the coordinator", func() bool {
		described, err := r.client.DescribeGroups(play.Step(), &kafka.DescribeGroupsRequest{GroupIDs: groups})
		if isLoading(err) {
			return false
		}
		play.Done(err)
		return !slices.ContainsFunc(described.Groups, func(of kafka.DescribeGroupsResponseGroup) bool { return isLoading(of.Error) })
	})
}

func isLoading(err error) bool {
	loading := func(code kafka.Error) bool { return errors.Is(err, code) }
	return slices.ContainsFunc([]kafka.Error{kafka.GroupLoadInProgress, kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup}, loading)
}

// Waits for a state and a number of members, as anybody may ask.
func (r *run) state(group, state string, members int) kafka.DescribeGroupsResponseGroup {
	var described kafka.DescribeGroupsResponseGroup
	play.Await(r.plain(group)+" "+state, func() bool {
		described = r.group1(group)
		return described.Error == nil && described.GroupState == state && len(described.Members) == members
	})
	return described
}

// Waits until the members have read that many values together, and committed them; all values, sorted.
func (r *run) readBy(group, topic string, count int, members ...*play.Child) []string {
	play.Await("messages read", func() bool { return len(slices.Compact(play.Read(members...))) >= count })
	play.Await("commits", func() bool { return r.committed(group, topic) >= int64(count) })
	return play.Read(members...)
}

func joins(r *run) {
	topic, group := r.topic("topic", 6), r.Name("group")
	a := r.member(group, "range", topic)
	play.Shares("one", []*play.Child{a}, 6)
	b := r.member(group, "range", topic)
	play.Shares("two", []*play.Child{a, b}, 3, 3)
	c := r.member(group, "range", topic)
	play.Shares("three", []*play.Child{a, b, c}, 2, 2, 2)
	for _, member := range r.state(group, "Stable", 3).Members {
		of := member.MemberAssignments.Topics
		play.Say("described: subscribed to %d topics, holds %d partitions", len(member.MemberMetadata.Topics), len(of[0].Partitions))
	}
	r.write(topic, 6, 0, 60)
	play.Say("read %s", play.Short(r.readBy(group, topic, 60, a, b, c)))

	leaving := time.Now()
	c.Leave()
	play.Shares("one left", []*play.Child{a, b}, 3, 3)
	play.Check(time.Since(leaving) < 5*time.Second, "the others waited for the session timeout")
	r.write(topic, 6, 60, 90)
	play.Say("read %s", play.Short(r.readBy(group, topic, 90, a, b, c)))

	b.Signal(syscall.SIGSTOP)
	play.Shares("one is silent", []*play.Child{a}, 6)
	r.write(topic, 6, 90, 120)
	play.Say("read %s", play.Short(r.readBy(group, topic, 120, a, b, c)))
	// Until it learns that it is out it may read what is another's; its commits are refused.
	b.Signal(syscall.SIGCONT)
	play.Shares("it is back", []*play.Child{a, b}, 3, 3)
	r.write(topic, 6, 120, 150)
	play.Say("read %s", play.Short(slices.Compact(r.readBy(group, topic, 150, a, b, c))))
	b.Kill()
	play.Shares("one is killed", []*play.Child{a}, 6)
	a.Leave()
	r.state(group, "Empty", 0)

	for _, balancer := range []string{"roundrobin", "rack"} {
		before := r.committed(group, topic)
		r.write(topic, 6, int(before), int(before)+30)
		d := r.member(group, balancer, topic)
		e := r.member(group, balancer, topic)
		play.Shares(balancer, []*play.Child{d, e}, 3, 3)
		play.Await("commits", func() bool { return r.committed(group, topic) == before+30 })
		play.Say("new ones go on: %s", play.Short(slices.Compact(play.Read(d, e))))
		d.Leave()
		e.Leave()
	}
	play.Say("committed %d", r.committed(group, topic))
	r.readers(group, topic)
}

// The client's own reader of a group goes on as well, and commits by hand.
func (r *run) readers(group, topic string) {
	before := r.committed(group, topic)
	r.write(topic, 6, int(before), int(before)+30)
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{r.At}, GroupID: group, GroupTopics: []string{topic}, MinBytes: 1, MaxBytes: 1 << 20,
		MaxWait: 50 * time.Millisecond, JoinGroupBackoff: 100 * time.Millisecond, SessionTimeout: 6 * time.Second, HeartbeatInterval: 500 * time.Millisecond,
	})
	var values []string
	for range 30 {
		message := play.Must(reader.FetchMessage(play.Step()))
		values = append(values, string(message.Value))
		play.Done(reader.CommitMessages(play.Step(), message))
	}
	play.Done(reader.Close())
	play.Say("a reader: %s, committed %d", play.Short(play.SortedNumbers(values)), r.committed(group, topic))
}
