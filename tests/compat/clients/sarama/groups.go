// Groups of the classic protocol: members that join, leave, fall silent and die.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/IBM/sarama"

	"play"
)

// A member of a group, as its parent wants it.
type memberSpec struct {
	Group, Topic, Strategy, Instance string
}

func (r *run) member(group, strategy, instance, topic string) *play.Child {
	return r.Start("member", memberSpec{group, topic, strategy, instance})
}

var strategies = map[string]func() sarama.BalanceStrategy{
	"range":       sarama.NewBalanceStrategyRange,
	"roundrobin":  sarama.NewBalanceStrategyRoundRobin,
	"sticky":      sarama.NewBalanceStrategySticky,
	"cooperative": sarama.NewBalanceStrategyCooperativeSticky,
}

// Tells what it holds and reads, and commits each record.
type teller struct{}

func (teller) Setup(session sarama.ConsumerGroupSession) error {
	play.Tell(play.Event{What: "session", Generation: session.GenerationID()})
	return nil
}

func (teller) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (teller) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	held := map[string][]int32{claim.Topic(): {claim.Partition()}}
	play.Tell(play.Event{What: "assigned", Partitions: held})
	for message := range claim.Messages() {
		play.Tell(play.Event{What: "read", Value: string(message.Value)})
		session.MarkMessage(message, "read")
		session.Commit()
	}
	play.Tell(play.Event{What: "revoked", Partitions: held})
	return nil
}

// Reads, tells and commits until SIGTERM, which is a clean end.
func memberRole(r *play.Run, args []string) {
	var spec memberSpec
	play.Done(json.Unmarshal([]byte(args[0]), &spec))
	config := settings()
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Consumer.Group.Rebalance.Timeout = 15 * time.Second
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[spec.Strategy]()}
	config.Consumer.Group.InstanceId = spec.Instance
	consumer := play.Must(sarama.NewConsumerGroup([]string{r.At}, spec.Group, config))
	ending, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		for failed := range consumer.Errors() {
			play.Tell(play.Event{What: "error", Error: errorName(failed)})
		}
	}()
	for ending.Err() == nil {
		err := consumer.Consume(ending, []string{spec.Topic}, teller{})
		if errors.Is(err, sarama.ErrFencedInstancedId) {
			play.Tell(play.Event{What: "error", Error: errorName(err)})
			os.Exit(0)
		}
	}
	play.Done(consumer.Close())
}

// Waits for a state and a number of members, as anybody may ask.
func (r *run) state(group, state string, members int) *sarama.GroupDescription {
	var described *sarama.GroupDescription
	play.Await(r.plain(group)+" "+state, func() bool {
		groups, err := r.admin.DescribeConsumerGroups([]string{group})
		if err != nil {
			return false
		}
		described = groups[0]
		return described.State == state && len(described.Members) == members
	})
	return described
}

// Waits until the members have read that many values together, and committed them; all values, sorted.
func (r *run) readBy(group string, count int, members ...*play.Child) []string {
	play.Await("records read", func() bool { return len(slices.Compact(play.Read(members...))) >= count })
	play.Await("commits", func() bool { return r.committed(group) >= int64(count) })
	return play.Read(members...)
}

func joins(r *run) {
	topic, group := r.topic("topic", 6), r.Name("group")
	a := r.member(group, "range", "", topic)
	play.Shares("one", []*play.Child{a}, 6)
	b := r.member(group, "range", "", topic)
	play.Shares("two", []*play.Child{a, b}, 3, 3)
	c := r.member(group, "range", "", topic)
	play.Shares("three", []*play.Child{a, b, c}, 2, 2, 2)
	described := r.state(group, "Stable", 3)
	play.Say("described: %s, %s", described.ProtocolType, described.Protocol)
	r.write(topic, 6, 0, 60)
	play.Say("read %s", play.Short(r.readBy(group, 60, a, b, c)))

	leaving := time.Now()
	c.Leave()
	play.Shares("one left", []*play.Child{a, b}, 3, 3)
	play.Check(time.Since(leaving) < 5*time.Second, "the others waited for the session timeout")
	r.write(topic, 6, 60, 90)
	play.Say("read %s", play.Short(r.readBy(group, 90, a, b, c)))

	b.Signal(syscall.SIGSTOP)
	play.Shares("one is silent", []*play.Child{a}, 6)
	r.write(topic, 6, 90, 120)
	play.Say("read %s", play.Short(r.readBy(group, 120, a, b, c)))
	// Until it learns that it is out it may read what is another's; its commits are refused.
	b.Signal(syscall.SIGCONT)
	play.Shares("it is back", []*play.Child{a, b}, 3, 3)
	r.write(topic, 6, 120, 150)
	play.Say("read %s", play.Short(slices.Compact(r.readBy(group, 150, a, b, c))))
	b.Kill()
	play.Shares("one is killed", []*play.Child{a}, 6)
	a.Leave()
	r.state(group, "Empty", 0)

	for _, strategy := range []string{"sticky", "roundrobin"} {
		before := r.committed(group)
		r.write(topic, 6, int(before), int(before)+30)
		d := r.member(group, strategy, "", topic)
		e := r.member(group, strategy, "", topic)
		play.Shares(strategy, []*play.Child{d, e}, 3, 3)
		play.Await("commits", func() bool { return r.committed(group) == before+30 })
		play.Say("new ones go on: %s by %s", play.Short(slices.Compact(play.Read(d, e))), r.state(group, "Stable", 2).Protocol)
		d.Leave()
		e.Leave()
	}
	play.Say("committed %d", r.committed(group))
	r.metadata(group, topic)
}

// What the commits carry besides.
func (r *run) metadata(group, topic string) {
	listed := play.Must(r.admin.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: {topic: {0, 9}}}))[group]
	for _, partition := range []int32{0, 9} {
		block := listed.Blocks[topic][partition]
		play.Say("partition %d: offset %d, epoch %d, %q, %s", partition, block.Offset, block.LeaderEpoch, block.Metadata, errorName(block.Err))
	}
}

func static(r *run) {
	topic, group := r.topic("topic", 6), r.Name("group")
	x := r.member(group, "range", "x", topic)
	y := r.member(group, "range", "y", topic)
	play.Shares("two", []*play.Child{x, y}, 3, 3)
	var names []string
	for _, member := range r.state(group, "Stable", 2).Members {
		names = append(names, *member.GroupInstanceId)
	}
	slices.Sort(names)
	play.Say("described: %v", names)
	held, kept := x.Held(), y.Held()
	generation, told := y.Told()
	untouched := func(what string, x *play.Child) {
		play.Shares(what, []*play.Child{x, y}, 3, 3)
		play.Check(slices.Equal(x.Held(), held) && slices.Equal(y.Held(), kept), "%s: partitions went to others", what)
		now, times := y.Told()
		play.Check(now == generation && times == told, "%s: the other member was told of it", what)
		now, _ = x.Told()
		play.Check(now == generation, "%s: generation %d after %d", what, now, generation)
	}
	x.Kill()
	x = r.member(group, "range", "x", topic)
	untouched("killed and started again", x)
	// A static member does not leave when it ends.
	x.Leave()
	x2 := r.member(group, "range", "x", topic)
	untouched("ended and started again", x2)
	x3 := r.member(group, "range", "x", topic)
	x2.Gone()
	play.Say("two of one name: the first gets %v", slices.Compact(x2.Errors()))
	untouched("two of one name", x3)
	r.write(topic, 6, 0, 30)
	play.Say("read %s", play.Short(r.readBy(group, 30, x3, y)))

	x3.Kill()
	left, err := r.admin.RemoveMemberFromConsumerGroup(group, []string{"x", "nobody"})
	play.Done(err)
	for _, member := range left.Members {
		play.Say("removing %s: %s", *member.GroupInstanceId, errorName(member.Err))
	}
	play.Shares("the other has all", []*play.Child{y}, 6)
	y.Kill()
	r.state(group, "Empty", 0)
	play.Say("a silent static member is removed")
}

func cooperative(r *run) {
	topic, group := r.topic("topic", 6), r.Name("group")
	producer := r.producer()
	stop, stopped := make(chan struct{}), make(chan int)
	// Records come in all the time: a stop would be seen as a gap.
	go func() {
		for n := 0; ; n += 6 {
			select {
			case <-stop:
				stopped <- n
				return
			case <-time.After(100 * time.Millisecond):
				play.Done(producer.SendMessages(numbered(topic, 6, n, n+6)))
			}
		}
	}()
	gaveAway := func(who string, member *play.Child) {
		_, sessions := member.Told()
		play.Say("  %s gave away %d, began %d times", who, member.Revoked(), sessions)
	}
	a := r.member(group, "cooperative", "", topic)
	play.Shares("one", []*play.Child{a}, 6)
	b := r.member(group, "cooperative", "", topic)
	play.Shares("two", []*play.Child{a, b}, 3, 3)
	gaveAway("the first", a)
	c := r.member(group, "cooperative", "", topic)
	play.Shares("three", []*play.Child{a, b, c}, 2, 2, 2)
	gaveAway("the first", a)
	gaveAway("the second", b)
	play.Say("described: %s", r.state(group, "Stable", 3).Protocol)
	c.Leave()
	play.Shares("one left", []*play.Child{a, b}, 3, 3)
	gaveAway("the first", a)
	gaveAway("the second", b)
	b.Kill()
	play.Shares("one is killed", []*play.Child{a}, 6)
	gaveAway("the first", a)
	close(stop)
	count := <-stopped
	play.Await("all records", func() bool { return r.committed(group) == int64(count) })
	play.Check(len(a.Errors()) == 0 && len(b.Errors()) == 0, "errors: %v, %v", a.Errors(), b.Errors())
	play.Say("every record read: %t", len(slices.Compact(play.Read(a, b, c))) == count)
}
