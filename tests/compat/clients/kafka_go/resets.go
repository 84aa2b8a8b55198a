// Where a reader begins when it has no committed offset, or one that is not in the log.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"play"
)

// Twenty messages, a second apart. This client deletes none, so no offset is before the log.
func resets(r *run) {
	topic := r.topic("topic", 1)
	writer := r.writer(topic)
	for n, message := range numbered(1, 0, 20) {
		// Not from 0 on: that is no time to this client.
		message.Time = time.UnixMilli(int64(n+1) * 1_000)
		play.Done(writer.WriteMessages(play.Step(), message))
	}
	play.Done(writer.Close())
	for _, at := range []int64{kafka.FirstOffset, 0, 5, 19, 21, 100} {
		play.Say("a reader from %d: %s", at, r.from(topic, func(reader *kafka.Reader) error { return reader.SetOffset(at) }))
	}
	for _, ms := range []int64{0, 7_500, 20_000} {
		play.Say("from %d ms on: %s", ms, r.from(topic, func(reader *kafka.Reader) error {
			return reader.SetOffsetAt(play.Step(), time.UnixMilli(ms))
		}))
	}
	offset, _ := r.atTime(topic, 20_001)
	play.Say("from 20001 ms on: offset %d", offset)
	for _, start := range []int64{kafka.FirstOffset, kafka.LastOffset} {
		for _, committed := range []int64{-1, 0, 12, 19, 100} {
			if start == kafka.FirstOffset || committed >= 0 {
				play.Say("a group, committed %d, start %d: %s", committed, start, r.first(topic, committed, start))
			}
		}
	}
	r.onlyNew(topic, "a reader", r.atEnd(topic))
	r.onlyNew(topic, "a group", r.group(topic, -1, kafka.LastOffset))
}

// The first message, or an error.
func firstOf(reader *kafka.Reader) string {
	message, err := reader.FetchMessage(play.Step())
	if err != nil {
		return errorName(err)
	}
	return fmt.Sprintf("offset %d is %s", message.Offset, message.Value)
}

func (r *run) from(topic string, set func(*kafka.Reader) error) string {
	reader := r.reader(topic, 0, kafka.ReadUncommitted)
	defer reader.Close()
	play.Done(set(reader))
	return firstOf(reader)
}

func (r *run) atEnd(topic string) *kafka.Reader {
	reader := r.reader(topic, 0, kafka.ReadUncommitted)
	play.Done(reader.SetOffset(kafka.LastOffset))
	return reader
}

func (r *run) group(topic string, committed, start int64) *kafka.Reader {
	group := r.Name(fmt.Sprintf("group-%d", time.Now().UnixNano()))
	r.coordinated(group)
	if committed >= 0 {
		play.Done(r.commit(group, topic, kafka.OffsetCommit{Partition: 0, Offset: committed}))
	}
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{r.At}, GroupID: group, Topic: topic, StartOffset: start, MinBytes: 1, MaxBytes: 1 << 20,
		MaxWait: 50 * time.Millisecond, ReadBackoffMin: time.Millisecond, ReadBackoffMax: 10 * time.Millisecond, JoinGroupBackoff: 100 * time.Millisecond,
		OffsetOutOfRangeError: true,
	})
}

func (r *run) first(topic string, committed, start int64) string {
	reader := r.group(topic, committed, start)
	defer reader.Close()
	return firstOf(reader)
}

// Commits for a group without members.
func (r *run) commit(group, topic string, at kafka.OffsetCommit) error {
	request := &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{topic: {at}}}
	answer, err := r.client.OffsetCommit(play.Step(), request)
	if err != nil {
		return err
	}
	return answer.Topics[topic][0].Error
}

// Writes until the reader sees something: nothing that was there before.
func (r *run) onlyNew(topic, what string, reader *kafka.Reader) {
	defer reader.Close()
	end := r.ends(topic, 0, kafka.ReadUncommitted).LastOffset
	play.Await(what+" to see something", func() bool {
		r.write(topic, 1, 77, 78)
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer stop()
		message, err := reader.FetchMessage(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return false
		}
		play.Done(err)
		play.Say("%s at the end: only what is new: %t", what, message.Offset >= end && string(message.Value) == "77")
		return true
	})
}
