// Consume, transform, produce, exactly once: the first process dies half way.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What a transformer does; it dies within the transaction after so many (0: never).
type transformSpec struct {
	Group, ID, From, To string
	DieAfter            int
}

func transform(r *run) {
	from, to, group := r.topic("from", 3), r.topic("to", 2), r.name("group")
	r.write(from, 3, 0, 60)
	spec := transformSpec{Group: group, ID: r.name("id"), From: from, To: to, DieAfter: 3}
	first := r.start("transformer", spec)
	await("a transaction half way", func() bool { lock.Lock(); defer lock.Unlock(); return first.ready })
	first.kill()
	say("killed in its third transaction: %s", r.transaction("id", "Ongoing"))
	before := r.values(to, kgo.ReadCommitted())
	all := r.values(to, kgo.ReadUncommitted())
	say("readers see %d, and %d that may never be", len(before), len(all)-len(before))

	spec.DieAfter = 0
	second := r.start("transformer", spec)
	await("the rest", func() bool {
		return len(r.values(to, kgo.ReadCommitted())) >= 60 && r.committed(group) >= 60
	})
	second.leave()
	say("committed: %s", short(r.values(to, kgo.ReadCommitted())))
	say("all: %d", len(r.values(to, kgo.ReadUncommitted())))
	say("offsets: %d", r.committed(group))
	lag := must(r.admin.Lag(step(), group))[group]
	say("lag: %d", lag.Lag.Total())
}

func transformerRole(r *run, args []string) {
	endWithParent()
	var spec transformSpec
	done(json.Unmarshal([]byte(args[0]), &spec))
	session := must(kgo.NewGroupTransactSession(r.options(
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.TransactionalID(spec.ID), kgo.ConsumerGroup(spec.Group), kgo.ConsumeTopics(spec.From),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
	)...))
	for round := 1; ; round++ {
		fetches := session.PollRecords(context.Background(), 5)
		done(fetches.Err())
		done(session.Begin())
		fetches.EachRecord(func(record *kgo.Record) {
			out := &kgo.Record{Topic: spec.To, Partition: record.Partition % 2, Value: record.Value}
			session.Produce(context.Background(), out, func(_ *kgo.Record, err error) { done(err) })
		})
		done(session.Client().Flush(step()))
		if round == spec.DieAfter {
			tell(event{What: "ready"})
			select {}
		}
		if _, err := session.End(step(), kgo.TryCommit); err != nil {
			fail("round %d: %v", round, fmt.Errorf("end: %w", err))
		}
	}
}
