// Groups of the consumer protocol (KIP-848): the broker shares out.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Members hear of a change with their next heartbeat, five seconds on: the parts run side by side, as
// processes.
var serverParts = []struct {
	name string
	part func(*run)
}{
	{"sharing", serverSharing},
	{"ranges", serverRanges},
	{"names", serverNames},
	{"patterns", serverPatterns},
	{"both-protocols", bothProtocols},
}

func consumerProtocol(r *run) {
	var running []*exec.Cmd
	for _, part := range serverParts {
		process := exec.Command(must(os.Executable()), "part", r.at, r.name(part.name+"-"), part.name)
		process.Stdout, process.Stderr = &bytes.Buffer{}, os.Stderr
		must(process.StdinPipe())
		done(process.Start())
		running = append(running, process)
	}
	for i, process := range running {
		if err := process.Wait(); err != nil {
			fail("%s: %v", serverParts[i].name, err)
		}
		say("== %s", serverParts[i].name)
		fmt.Print(process.Stdout)
	}
}

func partRole(r *run, args []string) {
	endWithParent()
	for _, part := range serverParts {
		if part.name == args[0] {
			part.part(r)
		}
	}
	endAll()
}

// The group as a reader of consumer groups sees it, once its state is so.
func (r *run) serverState(group, state string, members int) kadm.DescribedConsumerGroup {
	var described kadm.DescribedConsumerGroup
	await(group+" "+state, func() bool {
		groups, err := r.admin.DescribeConsumerGroups(step(), group)
		described = groups[group]
		return err == nil && described.State == state && len(described.Members) == members
	})
	counts, kinds := []int{}, []int8{}
	for _, member := range described.Members {
		count := 0
		member.Assignment.Each(func(string, int32) { count++ })
		counts, kinds = append(counts, count), append(kinds, member.MemberType)
	}
	slices.Sort(counts)
	slices.Sort(kinds)
	say("described: %s by %s, members of kinds %v hold %v", described.State, described.AssignorName, kinds, counts)
	return described
}

func serverSharing(r *run) {
	topic, group := r.topic("topic", 6), r.name("group")
	a := r.member(group, "server-uniform", "", topic)
	shares("one", []*child{a}, 6)
	b := r.member(group, "server-uniform", "", topic)
	shares("two", []*child{a, b}, 3, 3)
	taken("the first", a)
	c := r.member(group, "server-uniform", "", topic)
	shares("three", []*child{a, b, c}, 2, 2, 2)
	taken("the first", a)
	taken("the second", b)
	r.serverState(group, "Stable", 3)
	r.write(topic, 6, 0, 60)
	say("read %s", short(r.readBy(group, []*child{a, b, c}, 60)))
	leaving := time.Now()
	c.leave()
	shares("one left", []*child{a, b}, 3, 3)
	check(time.Since(leaving) < 15*time.Second, "the others waited for the session timeout")
	taken("the first", a)
	taken("the second", b)
	r.write(topic, 6, 60, 90)
	say("read %s", short(r.readBy(group, []*child{a, b, c}, 90)))
	a.leave()
	b.leave()
	r.serverState(group, "Empty", 0)
	r.write(topic, 6, 90, 120)
	d := r.member(group, "server-uniform", "", topic)
	say("read %s", short(r.readBy(group, []*child{a, b, c, d}, 120)))
	for _, member := range []*child{a, b, c, d} {
		check(len(member.errors) == 0, "errors: %v", member.errors)
	}
	say("committed %d", r.committed(group))
}

// Range gives each member the same numbers of both topics.
func serverRanges(r *run) {
	one, two, group := r.topic("one", 4), r.topic("two", 4), r.name("group")
	a := r.member(group, "server-range", "a", one, two)
	shares("one", []*child{a}, 8)
	b := r.member(group, "server-range", "b", one, two)
	shares("two", []*child{a, b}, 4, 4)
	r.serverState(group, "Stable", 2)
	for _, member := range []*child{a, b} {
		var held []string
		for _, partition := range member.held() {
			held = append(held, partition[len(r.prefix):])
		}
		say("held: %v", held)
	}
}

func serverNames(r *run) {
	topic, group := r.topic("topic", 6), r.name("group")
	x := r.member(group, "server-uniform", "x", topic)
	shares("one", []*child{x}, 6)
	y := r.member(group, "server-uniform", "y", topic)
	shares("two", []*child{x, y}, 3, 3)
	held, kept, told := x.held(), y.held(), y.assigned
	x2 := r.member(group, "server-uniform", "x", topic)
	await("a refusal", func() bool { lock.Lock(); defer lock.Unlock(); return len(x2.errors) > 0 })
	lock.Lock()
	say("two of one name: the second gets %s", x2.errors[0])
	lock.Unlock()
	x2.kill()
	x.kill()
	say("it goes for a while: %s", r.goesForAWhile(group, "x"))
	x2 = r.member(group, "server-uniform", "x", topic)
	shares("started again", []*child{x2, y}, 3, 3)
	check(slices.Equal(x2.held(), held) && slices.Equal(y.held(), kept), "partitions went to others")
	check(y.assigned == told, "the other member was told of it")
	r.write(topic, 6, 0, 30)
	say("read %s", short(r.readBy(group, []*child{x2, y}, 30)))
	x2.kill()
	left := must(r.admin.LeaveGroup(step(), kadm.LeaveGroup(group).InstanceIDs("x", "nobody").Reason("removed")))
	for _, name := range []string{"x", "nobody"} {
		say("removing %s: %s", name, errorName(left[name].Err))
	}
}

// Says for a static member that it will be back. The client's own leaving forgets to name the instance,
// and brokers refuse that.
func (r *run) goesForAWhile(group, instance string) string {
	described := must(r.admin.DescribeConsumerGroups(step(), group))[group]
	for _, member := range described.Members {
		if *member.InstanceID == instance {
			leaving := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			leaving.Group, leaving.MemberID, leaving.InstanceID = group, member.MemberID, &instance
			leaving.MemberEpoch = -2
			answer := must(leaving.RequestWith(step(), r.client()))
			return errorName(kerr.ErrorForCode(answer.ErrorCode))
		}
	}
	return "there is no such member"
}

// Topics by a pattern that the broker resolves, also those that are new.
func serverPatterns(r *run) {
	r.topic("in-one", 2)
	r.topic("out", 2)
	group := r.name("group")
	spec := memberSpec{Group: group, Topics: []string{r.name("in-.*")}, Regex: true, Protocol: "server-uniform"}
	a := r.start("member", spec)
	shares("one topic", []*child{a}, 2)
	b := r.start("member", spec)
	shares("two members", []*child{a, b}, 1, 1)
	two := r.topic("in-two", 4)
	shares("a new topic", []*child{a, b}, 3, 3)
	r.write(two, 4, 0, 20)
	say("read %s", short(r.readBy(group, []*child{a, b}, 20)))
	must(r.admin.DeleteTopic(step(), two))
	shares("the topic is deleted", []*child{a, b}, 1, 1)
}

// A group goes from the classic protocol to the consumer protocol and back, with members in it.
func bothProtocols(r *run) {
	topic, group := r.topic("topic", 6), r.name("group")
	old := r.member(group, "cooperative", "", topic)
	shares("classic", []*child{old}, 6)
	r.write(topic, 6, 0, 30)
	say("read %s", short(r.readBy(group, []*child{old}, 30)))
	new := r.member(group, "server-uniform", "", topic)
	shares("classic and consumer", []*child{old, new}, 3, 3)
	r.serverState(group, "Stable", 2)
	r.write(topic, 6, 30, 60)
	say("read %s", short(r.readBy(group, []*child{old, new}, 60)))
	old.leave()
	shares("consumer", []*child{new}, 6)
	older := r.member(group, "cooperative", "", topic)
	shares("consumer and classic", []*child{new, older}, 3, 3)
	new.leave()
	shares("classic", []*child{older}, 6)
	described := r.state(group, "Stable", 1)
	say("described: %s by %s", described.ProtocolType, described.Protocol)
	r.write(topic, 6, 60, 90)
	say("read %s", short(r.readBy(group, []*child{old, new, older}, 90)))
	say("committed %d", r.committed(group))
}
