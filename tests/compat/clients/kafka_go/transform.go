// Consume, transform, produce, exactly once: the first process dies half way.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/segmentio/kafka-go"

	"play"
)

// What a transformer does; it dies within the transaction after so many (0: never).
type transformSpec struct {
	Group, ID, From, To string
	DieAfter            int
}

func transform(r *run) {
	from, to, group := r.topic("from", 3), r.topic("to", 2), r.Name("group")
	r.write(from, 3, 0, 60)
	spec := transformSpec{Group: group, ID: "id", From: from, To: to, DieAfter: 3}
	first := r.Start("transformer", spec)
	first.AwaitReady("a transaction half way")
	first.Kill()
	before, all := r.values(to, kafka.ReadCommitted), r.values(to, kafka.ReadUncommitted)
	play.Say("killed in its third transaction: decided %d, and %d that may never be; offsets %d", len(before), len(all)-len(before),
		r.committed(group, from))

	spec.DieAfter = 0
	second := r.Start("transformer", spec)
	play.Await("the rest", func() bool { return r.committed(group, from) >= 60 })
	second.Leave()
	// What was aborted is shown by this client too; no number is missing.
	play.Say("written: %s", play.Short(slices.Compact(r.values(to, kafka.ReadUncommitted))))
	play.Say("all: %d, offsets: %d", len(r.values(to, kafka.ReadCommitted)), r.committed(group, from))
}

// Five messages, one transaction, whatever partition they are of.
type transformer struct {
	*run
	spec       transformSpec
	producer   *producer
	generation *kafka.Generation
	lock       sync.Mutex
	held       []kafka.Message
	round      int
}

func transformerRole(played *play.Run, args []string) {
	r := newRun(played)
	var spec transformSpec
	play.Done(json.Unmarshal([]byte(args[0]), &spec))
	ending, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	// The producer comes first: it ends what was left open.
	t := &transformer{run: r, spec: spec, producer: r.transactional(spec.ID)}
	group := play.Must(kafka.NewConsumerGroup(groupConfig(r.At, memberSpec{spec.Group, spec.From, "range"})))
	for {
		generation, err := group.Next(ending)
		if errors.Is(err, context.Canceled) {
			break
		}
		play.Done(err)
		t.generation, t.held = generation, nil
		for _, partition := range generation.Assignments[spec.From] {
			generation.Start(func(ctx context.Context) { t.read(ctx, partition) })
		}
	}
	play.Done(group.Close())
}

func (t *transformer) read(ctx context.Context, partition kafka.PartitionAssignment) {
	reader := t.reader(t.spec.From, partition.ID, kafka.ReadCommitted)
	defer reader.Close()
	play.Done(reader.SetOffset(partition.Offset))
	for {
		message, err := reader.FetchMessage(ctx)
		if err != nil {
			return
		}
		t.lock.Lock()
		if t.held = append(t.held, message); len(t.held) == 5 {
			t.transact()
		}
		t.lock.Unlock()
	}
}

func (t *transformer) transact() {
	for _, message := range t.held {
		t.producer.write(t.spec.To, message.Partition%2, string(message.Value))
		at := kafka.TxnOffsetCommit{Partition: message.Partition, Offset: message.Offset + 1}
		play.Done(t.producer.offsets(t.spec.Group, t.spec.From, at, int(t.generation.ID), t.generation.MemberID))
	}
	t.round++
	if t.round == t.spec.DieAfter {
		play.Tell(play.Event{What: "ready"})
		select {}
	}
	play.Done(t.producer.end(true))
	t.held = nil
}
