// Groups of the classic protocol: members that join, leave, fall silent and die.
package main

import (
	"slices"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

func (r *run) member(group, protocol, instance string, topics ...string) *child {
	return r.start("member", memberSpec{Group: group, Topics: topics, Protocol: protocol, Instance: instance})
}

func (r *run) write(topic string, partitions, from, to int) {
	producer := r.producer()
	defer producer.Close()
	write(producer, numbered(topic, partitions, from, to))
}

// Waits for a state and a number of members, as anybody may ask.
func (r *run) state(group, state string, members int) kadm.DescribedGroup {
	var described kadm.DescribedGroup
	await(group+" "+state, func() bool {
		groups, err := r.admin.DescribeGroups(step(), group)
		described = groups[group]
		return err == nil && described.State == state && len(described.Members) == members
	})
	return described
}

func joins(r *run) {
	topic, group := r.topic("topic", 6), r.name("group")
	a := r.member(group, "range", "", topic)
	shares("one", []*child{a}, 6)
	b := r.member(group, "range", "", topic)
	shares("two", []*child{a, b}, 3, 3)
	c := r.member(group, "range", "", topic)
	shares("three", []*child{a, b, c}, 2, 2, 2)
	described := r.state(group, "Stable", 3)
	say("described: %s, %s", described.ProtocolType, described.Protocol)
	r.write(topic, 6, 0, 60)
	say("read %s", short(r.readBy(group, []*child{a, b, c}, 60)))

	leaving := time.Now()
	c.leave()
	shares("one left", []*child{a, b}, 3, 3)
	check(time.Since(leaving) < 5*time.Second, "the others waited for the session timeout")
	r.write(topic, 6, 60, 90)
	say("read %s", short(r.readBy(group, []*child{a, b, c}, 90)))

	b.signal(syscall.SIGSTOP)
	shares("one is silent", []*child{a}, 6)
	r.write(topic, 6, 90, 120)
	all := r.readBy(group, []*child{a, b, c}, 120)
	say("read %s", short(all))
	b.signal(syscall.SIGCONT)
	shares("it is back", []*child{a, b}, 3, 3)
	lock.Lock()
	say("it had lost %d", len(b.lost))
	lock.Unlock()
	r.write(topic, 6, 120, 150)
	say("read %s", short(r.readBy(group, []*child{a, b, c}, 150)))
	b.kill()
	shares("one is killed", []*child{a}, 6)
	a.leave()
	r.state(group, "Empty", 0)

	r.write(topic, 6, 150, 180)
	d := r.member(group, "sticky", "", topic)
	say("a new one goes on: %s", short(r.readBy(group, []*child{d}, 30)))
	d.leave()
	say("committed %d", r.committed(group))
}

func static(r *run) {
	topic, group := r.topic("topic", 6), r.name("group")
	x := r.member(group, "range", "x", topic)
	y := r.member(group, "range", "y", topic)
	shares("two", []*child{x, y}, 3, 3)
	described := r.state(group, "Stable", 2)
	for _, member := range described.Members {
		say("described: %s", *member.InstanceID)
	}
	held, kept := x.held(), y.held()
	generation, told := y.generation, y.assigned

	untouched := func(what string) {
		lock.Lock()
		defer lock.Unlock()
		same := y.generation == generation && y.assigned == told
		check(same, "%s: the other member was told of it", what)
	}
	x.kill()
	x = r.member(group, "range", "x", topic)
	shares("killed and started again", []*child{x, y}, 3, 3)
	check(slices.Equal(x.held(), held) && slices.Equal(y.held(), kept), "partitions went to others")
	check(x.generation == generation, "generation %d after %d", x.generation, generation)
	untouched("restart")
	// A static member does not leave when it ends.
	x.leave()
	x2 := r.member(group, "range", "x", topic)
	shares("ended and started again", []*child{x2, y}, 3, 3)
	check(slices.Equal(x2.held(), held), "partitions went to others")
	untouched("end")

	x3 := r.member(group, "range", "x", topic)
	x2.gone()
	say("two of one name: the first gets %v", x2.errors)
	shares("two of one name", []*child{x3, y}, 3, 3)
	check(slices.Equal(x3.held(), held), "partitions went to others")
	untouched("second of one name")
	r.write(topic, 6, 0, 30)
	say("read %s", short(r.readBy(group, []*child{x3, y}, 30)))

	x3.kill()
	left := must(r.admin.LeaveGroup(step(), kadm.LeaveGroup(group).InstanceIDs("x", "nobody").Reason("removed")))
	for _, name := range []string{"x", "nobody"} {
		say("removing %s: %s", name, errorName(left[name].Err))
	}
	shares("the other has all", []*child{y}, 6)
	y.kill()
	r.state(group, "Empty", 0)
	say("a silent static member is removed")
}

func cooperative(r *run) {
	topic, group := r.topic("topic", 6), r.name("group")
	producer := r.producer()
	stop, stopped := make(chan struct{}), make(chan int)
	// Records come in all the time: a stop would be seen as a gap.
	go func() {
		n := 0
		for ; ; n += 6 {
			select {
			case <-stop:
				stopped <- n
				return
			case <-time.After(20 * time.Millisecond):
				write(producer, numbered(topic, 6, n, n+6))
			}
		}
	}()
	a := r.member(group, "cooperative", "", topic)
	shares("one", []*child{a}, 6)
	b := r.member(group, "cooperative", "", topic)
	shares("two", []*child{a, b}, 3, 3)
	taken("the first", a)
	c := r.member(group, "cooperative", "", topic)
	shares("three", []*child{a, b, c}, 2, 2, 2)
	taken("the first", a)
	taken("the second", b)
	described := r.state(group, "Stable", 3)
	say("described: %s", described.Protocol)
	c.leave()
	shares("one left", []*child{a, b}, 3, 3)
	taken("the first", a)
	taken("the second", b)
	b.kill()
	shares("one is killed", []*child{a}, 6)
	taken("the first", a)
	close(stop)
	count := <-stopped
	await("all records", func() bool { return r.committed(group) == int64(count) })
	lock.Lock()
	defer lock.Unlock()
	read := map[string]bool{}
	for _, member := range []*child{a, b, c} {
		for _, value := range member.read {
			read[value] = true
		}
		check(len(member.errors) == 0, "errors: %v", member.errors)
	}
	say("every record read: %t", len(read) == count)
}

// How many partitions were taken from a member so far.
func taken(who string, member *child) {
	lock.Lock()
	defer lock.Unlock()
	say("  %s gave away %d, lost %d", who, len(member.revoked), len(member.lost))
}
