// Transactions: commit and abort, who sees what, and zombies.
package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/IBM/sarama"

	"play"
)

func transactional(at, id string) sarama.SyncProducer {
	config := settings()
	config.Producer.Idempotent, config.Net.MaxOpenRequests = true, 1
	config.Producer.Transaction.ID = id
	return play.Must(sarama.NewSyncProducer([]string{at}, config))
}

func (r *run) transactional(id string) sarama.SyncProducer { return transactional(r.At, r.Name(id)) }

func begin(producer sarama.SyncProducer, sent []*sarama.ProducerMessage) {
	play.Done(producer.BeginTxn())
	play.Done(producer.SendMessages(sent))
}

// What both kinds of readers see now, and how many markers partition 0 has.
func (r *run) seen(topics ...string) {
	for _, topic := range topics {
		markers := 0
		for _, batch := range r.batches(topic) {
			if batch.Control {
				markers++
			}
		}
		var committed, all string
		var both sync.WaitGroup
		both.Go(func() { committed = play.Short(r.values(topic, sarama.ReadCommitted)) })
		both.Go(func() { all = play.Short(r.values(topic, sarama.ReadUncommitted)) })
		both.Wait()
		play.Say("  %s: committed %s; all %s; %d markers", r.plain(topic), committed, all, markers)
	}
}

func transactions(r *run) {
	one, two := r.topic("one", 2), r.topic("two", 1)
	producer := r.transactional("id")
	both := func(from, to int) []*sarama.ProducerMessage {
		return append(numbered(one, 2, from, to), numbered(two, 1, from, to)...)
	}
	begin(producer, both(0, 5))
	play.Say("open: %s", r.transaction("id", "Ongoing"))
	r.seen(one, two)
	r.open(two)
	play.Say("commit: %s: %s", play.Outcome(producer.CommitTxn()), r.transaction("id", "CompleteCommit"))
	r.seen(one, two)
	begin(producer, both(5, 10))
	play.Say("abort: %s: %s", play.Outcome(producer.AbortTxn()), r.transaction("id", "CompleteAbort"))
	r.seen(one, two)
	begin(producer, numbered(one, 2, 10, 12))
	play.Say("commit: %s: %s", play.Outcome(producer.CommitTxn()), r.transaction("id", "CompleteCommit"))
	r.seen(one, two)

	// Somebody else's records go by an open transaction, but nobody sees them before its end.
	begin(producer, numbered(two, 1, 20, 22))
	r.write(two, 1, 30, 32)
	play.Say("others write beside an open one")
	r.seen(two)
	play.Say("abort: %s: %s", play.Outcome(producer.AbortTxn()), r.transaction("id", "CompleteAbort"))
	r.seen(two)
	play.Done(producer.BeginTxn())
	play.Say("an empty one: %s", play.Outcome(producer.CommitTxn()))
	play.Done(producer.Close())

	killed := r.Start("open", openSpec{ID: r.Name("killed"), Topic: two})
	killed.AwaitReady("a transaction of another process")
	killed.Kill()
	play.Say("its producer is killed: %s", r.transaction("killed", "Ongoing"))
	r.seen(two)
	producer = r.transactional("killed")
	play.Say("the next of that id starts: %s", r.transaction("killed", "Empty"))
	begin(producer, numbered(two, 1, 50, 53))
	play.Say("commit: %s: %s", play.Outcome(producer.CommitTxn()), r.transaction("killed", "CompleteCommit"))
	play.Done(producer.Close())
	r.seen(two)
	r.listed()
	r.offsetsInside(two)
}

// Offsets are part of a transaction, or none of it.
func (r *run) offsetsInside(topic string) {
	producer, group := r.transactional("offsets"), r.Name("group")
	// The client sends them with the commit, so what is aborted never comes to the broker.
	for n, end := range []func() error{producer.CommitTxn, producer.AbortTxn} {
		play.Done(producer.BeginTxn())
		about := "about"
		offsets := map[string][]*sarama.PartitionOffsetMetadata{
			topic: {{Partition: 0, Offset: int64(3 + 6*n), LeaderEpoch: -1, Metadata: &about}},
		}
		play.Done(producer.AddOffsetsToTxn(offsets, group))
		play.Done(end())
		play.Say("%s: offsets %d", r.transaction("offsets", "CompleteCommit"), r.committed(group))
		r.metadata(group, topic)
	}
	play.Done(producer.Close())
}

func (r *run) watcher() sarama.TransactionClusterAdmin {
	return r.admin.(sarama.TransactionClusterAdmin)
}

// Waits for a state; says it, and the partitions in the transaction.
func (r *run) transaction(id, state string) string {
	var found sarama.TransactionState
	play.Await(id+" "+state, func() bool {
		found = play.Must(r.watcher().DescribeTransactions([]string{r.Name(id)}))[r.Name(id)]
		play.Check(found.ErrorCode == sarama.ErrNoError, "%s: %s", id, found.ErrorCode)
		return found.TransactionState == state
	})
	var partitions []string
	for _, topic := range found.Topics {
		slices.Sort(topic.Partitions)
		partitions = append(partitions, fmt.Sprint(r.plain(topic.Topic), topic.Partitions))
	}
	slices.Sort(partitions)
	return fmt.Sprint(state, " ", partitions, " of ", found.TransactionTimeout)
}

// The partition's own view of an open transaction.
func (r *run) open(topic string) {
	of := play.Must(r.watcher().DescribeProducers(map[string][]int32{topic: {0}}))[topic][0]
	for _, producer := range of.ActiveProducers {
		play.Say("  a producer of epoch %d wrote sequence %d; open from offset %d", producer.ProducerEpoch,
			producer.LastSequence, producer.CurrentTxnStartOffset)
	}
	play.Say("  last stable offset %d of %d", r.offset(topic, 0, sarama.OffsetNewest, sarama.ReadCommitted).Offset,
		r.offset(topic, 0, sarama.OffsetNewest, sarama.ReadUncommitted).Offset)
}

func (r *run) listed() {
	for _, states := range [][]string{nil, {"Ongoing"}} {
		count := 0
		for _, of := range play.Must(r.watcher().ListTransactions(states, nil, -1)) {
			if of.TransactionalID == r.Name("id") || of.TransactionalID == r.Name("killed") {
				count++
			}
		}
		play.Say("listed in states %v: %d", states, count)
	}
	of, err := r.watcher().DescribeTransactions([]string{r.Name("nobody")})
	play.Say("describe an unknown one: %s %d", r.told(err), of[r.Name("nobody")].ErrorCode)
}

// What the child of `transactions` leaves open.
type openSpec struct{ ID, Topic string }

func openRole(r *play.Run, args []string) {
	var spec openSpec
	play.Done(json.Unmarshal([]byte(args[0]), &spec))
	begin(transactional(r.At, spec.ID), numbered(spec.Topic, 1, 40, 43))
	play.Tell(play.Event{What: "ready"})
	select {}
}

func fencing(r *run) {
	group := r.Name("group")
	for _, at := range []string{"writes", "commits", "aborts", "commits-offsets", "begins"} {
		topic := r.topic(at, 1)
		first := r.transactional("by-" + at)
		begin(first, numbered(topic, 1, 0, 2))
		if at == "begins" {
			play.Done(first.CommitTxn())
		}
		// The second start ends what the first has open.
		second := r.transactional("by-" + at)
		play.Say("the zombie %s: %s", at, r.zombie(first, topic, group, at))
		begin(second, numbered(topic, 1, 10, 12))
		play.Say("the owner commits: %s: %s", play.Outcome(second.CommitTxn()), r.transaction("by-"+at, "CompleteCommit"))
		r.seen(topic)
		_ = first.Close()
		play.Done(second.Close())
	}
	play.Say("offsets: %d", r.committed(group))
}

// What the first of two producers of one id is told.
func (r *run) zombie(producer sarama.SyncProducer, topic, group, does string) string {
	switch does {
	case "writes":
		return play.Outcome(producer.SendMessages(numbered(topic, 1, 2, 3)))
	case "commits":
		return play.Outcome(producer.CommitTxn())
	case "aborts":
		return play.Outcome(producer.AbortTxn())
	case "commits-offsets":
		offsets := map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: 1, LeaderEpoch: -1}}}
		// The client sends them with the commit.
		play.Done(producer.AddOffsetsToTxn(offsets, group))
		return play.Outcome(producer.CommitTxn())
	default:
		play.Done(producer.BeginTxn())
		return play.Outcome(producer.SendMessages(numbered(topic, 1, 2, 3)))
	}
}
