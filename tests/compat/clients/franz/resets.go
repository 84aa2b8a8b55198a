// Where a consumer begins when it has no committed offset, or one that is not in the log.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Twenty records, a second apart; the first five are deleted in the end.
func resets(r *run) {
	topic := r.topic("topic", 1)
	producer := r.producer()
	defer producer.Close()
	sent := numbered(topic, 1, 0, 20)
	for n, record := range sent {
		record.Timestamp = time.UnixMilli(int64(n) * 1_000)
		write(producer, []*kgo.Record{record})
	}
	start := kgo.NewOffset().AtStart()
	say("earliest: %s", r.first(topic, -1, start))
	say("three before the end: %s", r.first(topic, -1, kgo.NewOffset().AtEnd().Relative(-3)))
	say("from 7500 ms on: %s", r.first(topic, -1, kgo.NewOffset().AfterMilli(7_500)))
	say("none: %s", r.first(topic, -1, kgo.NewOffset().AtCommitted()))
	say("committed 12: %s", r.first(topic, 12, start))
	say("committed 100, earliest: %s", r.first(topic, 100, start))
	say("committed 100, none: %s", r.first(topic, 100, kgo.NoResetOffset()))

	deleting := kadm.Offsets{}
	deleting.AddOffset(topic, 0, 5, -1)
	deleted := must(r.admin.DeleteRecords(step(), deleting))
	say("deleted up to %d", deleted[topic][0].LowWatermark)
	say("committed 2, earliest: %s", r.first(topic, 2, start))
	say("committed 2, none: %s", r.first(topic, 2, kgo.NoResetOffset()))
	say("earliest: %s", r.first(topic, -1, start))
	r.latest(topic, producer, -1)
	r.latest(topic, producer, 1_000_000)
}

func (r *run) beginning(topic string, committed int64, reset kgo.Offset) *kgo.Client {
	group := r.name(fmt.Sprintf("group-%d", time.Now().UnixNano()))
	if committed >= 0 {
		offsets := kadm.Offsets{}
		offsets.AddOffset(topic, 0, committed, -1)
		done(r.admin.CommitAllOffsets(step(), group, offsets))
	}
	return r.client(
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(reset),
		kgo.DisableAutoCommit(),
		kgo.FetchMaxWait(100*time.Millisecond),
	)
}

// The first that a new group sees: a record, or an error.
func (r *run) first(topic string, committed int64, reset kgo.Offset) string {
	consumer := r.beginning(topic, committed, reset)
	defer consumer.Close()
	for limit := step(); ; {
		fetches := consumer.PollFetches(limit)
		done(limit.Err())
		for _, failed := range fetches.Errors() {
			// The client says so and goes on where it was told to.
			var loss *kgo.ErrDataLoss
			if !errors.As(failed.Err, &loss) {
				return errorName(failed.Err)
			}
		}
		if records := fetches.Records(); len(records) > 0 {
			return fmt.Sprintf("offset %d is %s", records[0].Offset, records[0].Value)
		}
	}
}

// Writes until the consumer sees something: nothing that was there before.
func (r *run) latest(topic string, producer *kgo.Client, committed int64) {
	before := must(r.admin.ListEndOffsets(step(), topic))[topic][0].Offset
	consumer := r.beginning(topic, committed, kgo.NewOffset().AtEnd())
	defer consumer.Close()
	seen := []*kgo.Record(nil)
	await("a record", func() bool {
		write(producer, []*kgo.Record{{Topic: topic, Value: []byte("new")}})
		short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		seen = consumer.PollFetches(short).Records()
		return len(seen) > 0
	})
	say("committed %d, latest: only new ones: %t", committed, seen[0].Offset >= before && string(seen[0].Value) == "new")
}
