// Transactions: commit and abort, who sees what, and zombies.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (r *run) transactional(id string) *kgo.Client {
	return r.producer(kgo.TransactionalID(r.name(id)))
}

func begin(producer *kgo.Client, records []*kgo.Record) {
	done(producer.BeginTransaction())
	write(producer, records)
}

func end(producer *kgo.Client, how kgo.TransactionEndTry) {
	done(producer.EndTransaction(step(), how))
}

// What both kinds of readers see now.
func (r *run) seen(topics ...string) {
	for _, topic := range topics {
		name := topic[len(r.prefix):]
		all, markers := r.readAll(topic, kgo.ReadUncommitted())
		say("  %s: committed %s; all %s; %d markers", name,
			short(r.values(topic, kgo.ReadCommitted())), short(valuesOf(all)), len(markers))
	}
}

func transactions(r *run) {
	one, two := r.topic("one", 2), r.topic("two", 1)
	producer := r.transactional("id")
	both := func(from, to int) []*kgo.Record {
		return append(numbered(one, 2, from, to), numbered(two, 1, from, to)...)
	}
	begin(producer, both(0, 5))
	say("open: %s", r.transaction("id", "Ongoing"))
	r.seen(one, two)
	r.open(two)
	end(producer, kgo.TryCommit)
	say("committed: %s", r.transaction("id", "CompleteCommit"))
	r.seen(one, two)

	begin(producer, both(5, 10))
	end(producer, kgo.TryAbort)
	say("aborted: %s", r.transaction("id", "CompleteAbort"))
	r.seen(one, two)
	begin(producer, numbered(one, 2, 10, 12))
	end(producer, kgo.TryCommit)
	say("committed: %s", r.transaction("id", "CompleteCommit"))
	r.seen(one, two)

	// Somebody else's records go by an open transaction, but nobody sees them before its end.
	begin(producer, numbered(two, 1, 20, 22))
	r.write(two, 1, 30, 32)
	say("others write beside an open one")
	r.seen(two)
	end(producer, kgo.TryAbort)
	say("aborted")
	r.seen(two)
	done(producer.BeginTransaction())
	end(producer, kgo.TryCommit)
	say("an empty one: %s", r.transaction("id", "CompleteAbort"))
	producer.Close()

	killed := r.start("open", openSpec{ID: r.name("killed"), Topic: two})
	await("a transaction of another process", func() bool { lock.Lock(); defer lock.Unlock(); return killed.ready })
	killed.kill()
	say("its producer is killed: %s", r.transaction("killed", "Ongoing"))
	r.seen(two)
	producer = r.transactional("killed")
	must2(producer.ProducerID(step()))
	say("the next of that id starts: %s", r.transaction("killed", "Empty"))
	begin(producer, numbered(two, 1, 50, 53))
	end(producer, kgo.TryCommit)
	producer.Close()
	r.seen(two)
	r.listed()
}

func must2[A, B any](_ A, _ B, err error) { done(err) }

// Waits for a state; says it, and the partitions in the transaction.
func (r *run) transaction(id, state string) string {
	var found kadm.DescribedTransaction
	await(id+" "+state, func() bool {
		described := must(r.admin.DescribeTransactions(step(), r.name(id)))
		found = described[r.name(id)]
		done(found.Err)
		return found.State == state
	})
	var partitions []string
	for _, topic := range found.Topics.Sorted() {
		partitions = append(partitions, fmt.Sprint(topic.Topic[len(r.prefix):], topic.Partitions))
	}
	return fmt.Sprint(state, " ", partitions)
}

// The partition's own view of an open transaction.
func (r *run) open(topic string) {
	set := kadm.TopicsSet{}
	set.Add(topic, 0)
	for _, producer := range must(r.admin.DescribeProducers(step(), set)).SortedProducers() {
		say("  a producer of epoch %d wrote sequence %d; open from offset %d", producer.ProducerEpoch,
			producer.LastSequence, producer.CurrentTxnStartOffset)
	}
	stable := must(r.admin.ListCommittedOffsets(step(), topic))[topic][0].Offset
	last := must(r.admin.ListEndOffsets(step(), topic))[topic][0].Offset
	say("  last stable offset %d of %d", stable, last)
}

func (r *run) listed() {
	for _, states := range [][]string{nil, {"Ongoing"}} {
		count := 0
		for id := range must(r.admin.ListTransactions(step(), nil, states)) {
			if id == r.name("id") || id == r.name("killed") {
				count++
			}
		}
		say("listed in states %v: %d", states, count)
	}
	described := must(r.admin.DescribeTransactions(step(), r.name("nobody")))
	say("describe an unknown one: %s", errorName(described[r.name("nobody")].Err))
}

// What the child of `transactions` leaves open.
type openSpec struct{ ID, Topic string }

func openRole(r *run, args []string) {
	endWithParent()
	var spec openSpec
	done(json.Unmarshal([]byte(args[0]), &spec))
	producer := r.producer(kgo.TransactionalID(spec.ID))
	begin(producer, numbered(spec.Topic, 1, 40, 43))
	tell(event{What: "ready"})
	select {}
}

func fencing(r *run) {
	topic := r.topic("topic", 1)
	for _, at := range []string{"writes", "commits", "aborts", "begins"} {
		first, second := r.transactional("by-"+at), r.transactional("by-"+at)
		if at == "begins" {
			begin(first, numbered(topic, 1, 0, 2))
			end(first, kgo.TryCommit)
		} else {
			begin(first, numbered(topic, 1, 0, 2))
		}
		// The second start ends what the first has open.
		must2(second.ProducerID(step()))
		say("the zombie %s: %s", at, r.zombie(first, topic, at))
		begin(second, numbered(topic, 1, 10, 12))
		end(second, kgo.TryCommit)
		r.transaction("by-"+at, "CompleteCommit")
		r.seen(topic)
		first.Close()
		second.Close()
	}
	r.fencedOffsets(topic)
}

// What the first of two producers of one id is told.
func (r *run) zombie(producer *kgo.Client, topic, does string) string {
	switch does {
	case "writes":
		return errorName(producer.ProduceSync(step(), numbered(topic, 1, 2, 3)...).FirstErr())
	case "commits":
		return errorName(producer.EndTransaction(step(), kgo.TryCommit))
	case "aborts":
		return errorName(producer.EndTransaction(step(), kgo.TryAbort))
	default:
		done(producer.BeginTransaction())
		return errorName(producer.ProduceSync(step(), numbered(topic, 1, 2, 3)...).FirstErr())
	}
}

// Offsets of a zombie's transaction are not committed either.
func (r *run) fencedOffsets(topic string) {
	group := r.name("group")
	options := r.options(
		kgo.TransactionalID(r.name("offsets")), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
	)
	session := must(kgo.NewGroupTransactSession(options...))
	defer session.Close()
	fetches := session.PollFetches(step())
	done(fetches.Err())
	done(session.Begin())
	session.Produce(context.Background(), &kgo.Record{Topic: topic, Value: []byte("99")}, nil)
	done(session.Client().Flush(step()))
	second := r.transactional("offsets")
	defer second.Close()
	must2(second.ProducerID(step()))
	committed, err := session.End(step(), kgo.TryCommit)
	say("the zombie commits offsets: committed %t, %s", committed, errorName(err))
	say("committed offsets: %d", r.committed(group))
	r.seen(topic)
}
