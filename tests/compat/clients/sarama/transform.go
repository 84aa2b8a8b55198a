// Consume, transform, produce, exactly once: the first process dies half way.
package main

import (
	"context"
	"encoding/json"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/IBM/sarama"

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
	spec := transformSpec{Group: group, ID: r.Name("id"), From: from, To: to, DieAfter: 3}
	first := r.Start("transformer", spec)
	first.AwaitReady("a transaction half way")
	first.Kill()
	play.Say("killed in its third transaction: %s", r.transaction("id", "Ongoing"))
	before, all := r.values(to, sarama.ReadCommitted), r.values(to, sarama.ReadUncommitted)
	play.Say("readers see %d, and %d that may never be; offsets %d", len(before), len(all)-len(before), r.committed(group))

	spec.DieAfter = 0
	second := r.Start("transformer", spec)
	play.Await("the rest", func() bool { return r.committed(group) >= 60 })
	second.Leave()
	play.Say("committed: %s", play.Short(r.values(to, sarama.ReadCommitted)))
	play.Say("written: %s", play.Short(slices.Compact(r.values(to, sarama.ReadUncommitted))))
	play.Say("all: %d, offsets: %d", len(r.values(to, sarama.ReadUncommitted)), r.committed(group))
}

// Five records, one transaction, whatever partition they are of.
type transformer struct {
	spec     transformSpec
	producer sarama.SyncProducer
	lock     sync.Mutex
	held     []*sarama.ConsumerMessage
	round    int
}

func (*transformer) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*transformer) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (t *transformer) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		t.lock.Lock()
		t.held = append(t.held, message)
		if len(t.held) == 5 {
			t.transact(session)
		}
		t.lock.Unlock()
	}
	return nil
}

func (t *transformer) transact(session sarama.ConsumerGroupSession) {
	var sent []*sarama.ProducerMessage
	for _, message := range t.held {
		sent = append(sent, &sarama.ProducerMessage{Topic: t.spec.To, Partition: message.Partition % 2, Value: sarama.ByteEncoder(message.Value)})
	}
	begin(t.producer, sent)
	member := sarama.NewConsumerGroupMetadataFromSession(session, t.spec.Group, nil)
	for _, message := range t.held {
		play.Done(t.producer.AddMessageToTxnWithGroupMetadata(message, member, nil))
	}
	t.round++
	if t.round == t.spec.DieAfter {
		play.Tell(play.Event{What: "ready"})
		select {}
	}
	play.Done(t.producer.CommitTxn())
	t.held = nil
}

func transformerRole(r *play.Run, args []string) {
	var spec transformSpec
	play.Done(json.Unmarshal([]byte(args[0]), &spec))
	config := settings()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	// The producer comes first: it ends what was left open.
	t := &transformer{spec: spec, producer: transactional(r.At, spec.ID)}
	consumer := play.Must(sarama.NewConsumerGroup([]string{r.At}, spec.Group, config))
	ending, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		for failed := range consumer.Errors() {
			play.Done(failed)
		}
	}()
	for ending.Err() == nil {
		play.Done(consumer.Consume(ending, []string{spec.From}, t))
	}
	play.Done(consumer.Close())
	play.Done(t.producer.Close())
}
