// Transactions. The client's writer has none, but its requests do; batches of a producer with an id go by
// its request of raw batches.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"play"
)

// A producer with a transactional id.
type producer struct {
	r        *run
	id       string
	session  kafka.ProducerSession
	sequence map[string]map[int]int32
}

func (r *run) transactional(id string) *producer {
	p := &producer{r: r, id: r.Name(id), sequence: map[string]map[int]int32{}}
	play.Await("the end of what was open", func() bool {
		request := &kafka.InitProducerIDRequest{TransactionalID: p.id, TransactionTimeoutMs: 60_000, ProducerID: -1, ProducerEpoch: -1}
		answer := play.Must(r.client.InitProducerID(play.Step(), request))
		if answer.Error == nil {
			p.session = *answer.Producer
			return true
		}
		busy := isLoading(answer.Error) || errorName(answer.Error) == "Concurrent Transactions"
		play.Check(busy, "%s: %v", id, answer.Error)
		return false
	})
	return p
}

// Where the fields are that the client leaves empty in a batch (KIP-98), after the set's four bytes of size.
const (
	crcAt, attributesAt, producerAt = 4 + 17, 4 + 21, 4 + 43
	transactionalBit                = 1 << 4
)

// One batch, as the client packs it, in this producer's name.
func (p *producer) batch(topic string, partition int, values ...string) []byte {
	var records []kafka.Record
	for _, value := range values {
		records = append(records, kafka.Record{Value: kafka.NewBytes([]byte(value))})
	}
	set := protocol.RecordSet{Version: 2, Attributes: transactionalBit, Records: kafka.NewRecordReader(records...)}
	var packed bytes.Buffer
	play.Must(set.WriteTo(&packed))
	batch := packed.Bytes()
	if p.sequence[topic] == nil {
		p.sequence[topic] = map[int]int32{}
	}
	binary.BigEndian.PutUint64(batch[producerAt:], uint64(p.session.ProducerID))
	binary.BigEndian.PutUint16(batch[producerAt+8:], uint16(p.session.ProducerEpoch))
	binary.BigEndian.PutUint32(batch[producerAt+10:], uint32(p.sequence[topic][partition]))
	p.sequence[topic][partition] += int32(len(values))
	sum := crc32.Checksum(batch[attributesAt:], crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(batch[crcAt:], sum)
	return batch
}

// Says which partition is to be in the transaction.
func (p *producer) add(topic string, partition int) error {
	answer := play.Must(p.r.client.AddPartitionsToTxn(play.Step(), &kafka.AddPartitionsToTxnRequest{
		TransactionalID: p.id, ProducerID: p.session.ProducerID, ProducerEpoch: p.session.ProducerEpoch,
		Topics: map[string][]kafka.AddPartitionToTxn{topic: {{Partition: partition}}},
	}))
	return answer.Topics[topic][0].Error
}

func (p *producer) send(topic string, partition int, values ...string) error {
	batch := p.batch(topic, partition, values...)
	var refusal error
	// A new partition's broker may hear of it a moment after the others.
	play.Await("a leader of "+topic, func() bool {
		answer, err := p.r.client.RawProduce(play.Step(), &kafka.RawProduceRequest{
			Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, TransactionalID: p.id,
			RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(batch)},
		})
		if refusal = err; err == nil {
			refusal = answer.Error
		}
		return !errors.Is(refusal, kafka.NotLeaderForPartition)
	})
	return refusal
}

// Adds the partition, while the last transaction is still being ended too, and writes.
func (p *producer) write(topic string, partition int, values ...string) {
	play.Await("the end of the last one", func() bool {
		err := p.add(topic, partition)
		if err == nil {
			return true
		}
		play.Check(errorName(err) == "Concurrent Transactions", "%s: %v", topic, err)
		return false
	})
	play.Done(p.send(topic, partition, values...))
}

func (p *producer) end(commit bool) error {
	answer := play.Must(p.r.client.EndTxn(play.Step(), &kafka.EndTxnRequest{
		TransactionalID: p.id, ProducerID: p.session.ProducerID, ProducerEpoch: p.session.ProducerEpoch, Committed: commit,
	}))
	return answer.Error
}

// The outcome of an end once the coordinator is done with the last one.
func (p *producer) ended(commit bool) string {
	var outcome string
	play.Await("the end of the last one", func() bool {
		outcome = play.Outcome(p.end(commit))
		return outcome != "Concurrent Transactions"
	})
	return outcome
}

func (p *producer) offsets(group, topic string, at kafka.TxnOffsetCommit, generation int, member string) error {
	added := play.Must(p.r.client.AddOffsetsToTxn(play.Step(), &kafka.AddOffsetsToTxnRequest{
		TransactionalID: p.id, ProducerID: p.session.ProducerID, ProducerEpoch: p.session.ProducerEpoch, GroupID: group,
	}))
	if added.Error != nil {
		return added.Error
	}
	answer := play.Must(p.r.client.TxnOffsetCommit(play.Step(), &kafka.TxnOffsetCommitRequest{
		TransactionalID: p.id, GroupID: group, ProducerID: p.session.ProducerID, ProducerEpoch: p.session.ProducerEpoch,
		GenerationID: generation, MemberID: member, Topics: map[string][]kafka.TxnOffsetCommit{topic: {at}},
	}))
	return answer.Topics[topic][0].Error
}

// Waits for so many markers in partition 0, and says what both kinds of readers see. The client leaves out
// what is not yet decided, but not what was aborted.
func (r *run) seen(topic string, markers int) {
	play.Await("markers", func() bool { _, found := r.kept(topic); return found == markers })
	all := r.values(topic, kafka.ReadUncommitted)
	stable := r.ends(topic, 0, kafka.ReadCommitted).LastOffset
	play.Say("  %s: decided %s; all %s; %d markers; stable up to %d", r.plain(topic), play.Short(r.values(topic, kafka.ReadCommitted)),
		play.Short(all), markers, stable)
}

func transactions(r *run) {
	topic, other := r.topic("one", 2), r.topic("two", 1)
	p := r.transactional("id")
	p.write(topic, 0, "0", "2")
	p.write(topic, 1, "1", "3")
	p.write(other, 0, "4")
	play.Say("open")
	r.seen(topic, 0)
	r.seen(other, 0)
	play.Say("commit: %s", play.Outcome(p.end(true)))
	r.seen(topic, 1)
	r.seen(other, 1)
	p = r.transactional("id")
	p.write(topic, 0, "5", "6")
	r.write(topic, 1, 7, 8)
	play.Say("others write beside an open one")
	r.seen(topic, 1)
	play.Say("abort: %s", play.Outcome(p.end(false)))
	r.seen(topic, 2)
	play.Say("abort again: %s, and commit: %s", p.ended(false), p.ended(true))

	plain := &kafka.ProduceRequest{
		Topic: topic, RequiredAcks: kafka.RequireAll, TransactionalID: r.Name("id"),
		Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("9"))}),
	}
	answer := play.Must(r.client.Produce(play.Step(), plain))
	play.Say("a batch of no producer, in the name of a transaction: %s", play.Outcome(answer.Error))
	p = r.transactional("id")
	play.Say("an end of nothing: %s", play.Outcome(p.end(true)))

	killed := r.Start("open", openSpec{ID: "killed", Topic: other})
	killed.AwaitReady("a transaction of another process")
	killed.Kill()
	play.Say("its producer is killed")
	r.seen(other, 1)
	p = r.transactional("killed")
	play.Say("the next of that id starts: epoch %d", p.session.ProducerEpoch)
	r.seen(other, 2)
	p.write(other, 0, "50", "51")
	play.Say("commit: %s", play.Outcome(p.end(true)))
	r.seen(other, 3)
	r.offsetsInside(other)
}

// Offsets are part of a transaction, or none of it.
func (r *run) offsetsInside(topic string) {
	group := r.Name("group")
	r.coordinated(group)
	for _, commit := range []bool{false, true, false} {
		p := r.transactional("offsets")
		at := kafka.TxnOffsetCommit{Partition: 0, Offset: 9, Metadata: "about"}
		if commit {
			at.Offset = 3
		}
		play.Say("offsets in it: %s", play.Outcome(p.offsets(group, topic, at, -1, "")))
		play.Say("  before the end: %d", r.committed(group, topic))
		play.Say("end, commit %t: %s", commit, play.Outcome(p.end(commit)))
		// Whoever starts next waits for the end of this one.
		r.transactional("offsets")
		play.Say("  after it: %d", r.committed(group, topic))
	}
}

// What the child of `transactions` leaves open.
type openSpec struct{ ID, Topic string }

func openRole(r *play.Run, args []string) {
	var spec openSpec
	play.Done(json.Unmarshal([]byte(args[0]), &spec))
	newRun(r).transactional(spec.ID).write(spec.Topic, 0, "40", "41", "42")
	play.Tell(play.Event{What: "ready"})
	select {}
}

func fencing(r *run) {
	group := r.Name("group")
	r.coordinated(group)
	for _, at := range []string{"adds", "writes", "commits", "aborts", "commits-offsets", "begins"} {
		topic := r.topic(at, 1)
		first := r.transactional("by-" + at)
		first.write(topic, 0, "0", "1")
		markers := 1
		if at == "begins" {
			play.Done(first.end(true))
		}
		// The second start ends what the first has open.
		second := r.transactional("by-" + at)
		play.Say("epochs %d and %d of the same id: %t", first.session.ProducerEpoch, second.session.ProducerEpoch,
			first.session.ProducerID == second.session.ProducerID)
		play.Say("the zombie %s: %s", at, play.Outcome(first.does(at, topic, group)))
		second.write(topic, 0, "10", "11")
		play.Say("the owner commits: %s", play.Outcome(second.end(true)))
		r.seen(topic, markers+1)
	}
	play.Say("offsets: %d", r.committed(group, r.Name("writes")))
}

func (p *producer) does(what, topic, group string) error {
	switch what {
	case "writes":
		return p.send(topic, 0, "2")
	case "commits":
		return p.end(true)
	case "aborts":
		return p.end(false)
	case "commits-offsets":
		return p.offsets(group, topic, kafka.TxnOffsetCommit{Partition: 0, Offset: 1}, -1, "")
	default:
		return p.add(topic, 0)
	}
}
