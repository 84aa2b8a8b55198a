// Where a consumer begins when it has no committed offset, or one that is not in the log.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"play"
)

// Twenty records, a second apart; the first five are deleted in the end.
func resets(r *run) {
	topic := r.topic("topic", 1)
	producer := r.producer()
	sent := numbered(topic, 1, 0, 20)
	for n, message := range sent {
		message.Timestamp = time.UnixMilli(int64(n) * 1_000)
		_, _, err := producer.SendMessage(message)
		play.Done(err)
	}
	play.Done(producer.Close())
	r.begins(topic)
	for _, ms := range []int64{0, 7_500, 19_000, 19_001} {
		at := r.offset(topic, 0, ms, sarama.ReadUncommitted).Offset
		if at >= 0 {
			play.Say("from %d ms on: offset %d, %s", ms, at, r.from(topic, at))
		} else {
			play.Say("from %d ms on: nothing", ms)
		}
	}
	play.Done(r.admin.DeleteRecords(topic, map[int32]int64{0: 5}))
	play.Say("records before 5 are deleted")
	r.begins(topic)
	r.onlyNew(topic)
}

// Writes until a reader at the end sees something: nothing that was there before.
func (r *run) onlyNew(topic string) {
	consumer := play.Must(sarama.NewConsumer([]string{r.At}, settings()))
	defer consumer.Close()
	reader := play.Must(consumer.ConsumePartition(topic, 0, sarama.OffsetNewest))
	defer reader.Close()
	end := r.offset(topic, 0, sarama.OffsetNewest, sarama.ReadUncommitted).Offset
	play.Await("a record", func() bool {
		r.write(topic, 1, 77, 78)
		select {
		case message := <-reader.Messages():
			play.Say("a reader at the end: only what is new: %t", message.Offset >= end && string(message.Value) == "77")
			return true
		case <-time.After(200 * time.Millisecond):
			return false
		}
	})
}

func (r *run) begins(topic string) {
	for _, at := range []int64{sarama.OffsetOldest, 0, 4, 5, 19, 21, 100} {
		play.Say("a reader from %d: %s", at, r.from(topic, at))
	}
	type begin struct {
		committed, initial int64
		reset              bool
		saw                string
	}
	var groups []*begin
	var ended sync.WaitGroup
	for _, initial := range []int64{sarama.OffsetOldest, sarama.OffsetNewest} {
		for _, committed := range []int64{-1, 2, 12, 100} {
			for _, reset := range []bool{true, false} {
				group := &begin{committed: committed, initial: initial, reset: reset}
				groups = append(groups, group)
				ended.Go(func() { group.saw = r.first(topic, committed, initial, reset) })
			}
		}
	}
	ended.Wait()
	for _, group := range groups {
		play.Say("a group, committed %d, initial %d, reset %t: %s", group.committed, group.initial, group.reset, group.saw)
	}
}

// The first that a reader without a group sees from an offset: a record, or an error.
func (r *run) from(topic string, at int64) string {
	consumer := play.Must(sarama.NewConsumer([]string{r.At}, settings()))
	defer consumer.Close()
	reader, err := consumer.ConsumePartition(topic, 0, at)
	if err != nil {
		return errorName(err)
	}
	defer reader.Close()
	select {
	case message := <-reader.Messages():
		return fmt.Sprintf("offset %d is %s", message.Offset, message.Value)
	case failed := <-reader.Errors():
		return errorName(failed.Err)
	case <-time.After(play.StepLimit):
		play.Fail("nothing comes from offset %d", at)
		return ""
	}
}

// Tells the first record that comes, and the offset that it began at.
type firstReader struct {
	began chan int64
	first chan string
}

func (*firstReader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*firstReader) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (f *firstReader) ConsumeClaim(_ sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	f.began <- claim.InitialOffset()
	for message := range claim.Messages() {
		select {
		case f.first <- fmt.Sprintf("offset %d is %s", message.Offset, message.Value):
		default:
		}
	}
	return nil
}

// The first that a new group sees: a record, an error, or what comes after it has begun.
func (r *run) first(topic string, committed, initial int64, reset bool) string {
	group := r.Name(fmt.Sprintf("group-%d", time.Now().UnixNano()))
	if committed >= 0 {
		offsets := map[string]map[int32]sarama.OffsetAndMetadata{topic: {0: {Offset: committed, LeaderEpoch: -1}}}
		play.Must(r.admin.AlterConsumerGroupOffsets(group, offsets, nil))
	}
	config := settings()
	config.Consumer.Offsets.Initial = initial
	config.Consumer.Group.ResetInvalidOffsets = reset
	consumer := play.Must(sarama.NewConsumerGroup([]string{r.At}, group, config))
	ctx, stop := context.WithCancel(play.Step())
	reader := &firstReader{make(chan int64, 1), make(chan string, 1)}
	ended := make(chan error, 1)
	go func() { ended <- consumer.Consume(ctx, []string{topic}, reader) }()
	defer func() {
		stop()
		_ = consumer.Close()
	}()
	began := "begins nowhere, "
	for {
		select {
		case at := <-reader.began:
			began = fmt.Sprintf("begins at %d, ", at)
			// Whoever begins at the end sees nothing that is there.
			if at == sarama.OffsetNewest {
				return began + "at the end"
			}
		case first := <-reader.first:
			return began + first
		case failed := <-consumer.Errors():
			return began + errorName(failed)
		case err := <-ended:
			return began + "ended: " + play.Outcome(err)
		}
	}
}
