// Writing and reading topics as a whole.
package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"play"
)

// A reader has seen the end when so many fetches in a row brought nothing.
const idleFetches = 4

// Messages with the values from-to (excluded), over the partitions in turn.
func numbered(partitions, from, to int) []kafka.Message {
	var messages []kafka.Message
	for n := from; n < to; n++ {
		messages = append(messages, kafka.Message{WriterData: n % partitions, Value: fmt.Append(nil, n)})
	}
	return messages
}

func (r *run) write(topic string, partitions, from, to int) {
	writer := r.writer(topic)
	play.Done(writer.WriteMessages(play.Step(), numbered(partitions, from, to)...))
	play.Done(writer.Close())
}

// First and last offset of a partition.
func (r *run) ends(topic string, partition int, level kafka.IsolationLevel) kafka.PartitionOffsets {
	asked := []kafka.OffsetRequest{kafka.FirstOffsetOf(partition), kafka.LastOffsetOf(partition)}
	request := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: asked}, IsolationLevel: level}
	found := play.Must(r.client.ListOffsets(play.Step(), request)).Topics[topic][0]
	play.Done(found.Error)
	return found
}

func (r *run) reader(topic string, partition int, level kafka.IsolationLevel) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{r.At}, Topic: topic, Partition: partition, IsolationLevel: level,
		MinBytes: 1, MaxBytes: 10 << 20, MaxWait: 50 * time.Millisecond, ReadBackoffMin: time.Millisecond, ReadBackoffMax: 10 * time.Millisecond,
		// What is out of range is an error here; else the reader waits for ever.
		OffsetOutOfRangeError: true,
	})
}

// All messages of a topic in the order of partition and offset. The client shows the markers of transactions
// as messages too: they are known by their key.
func (r *run) readAll(topic string, level kafka.IsolationLevel) []kafka.Message {
	var found []kafka.Message
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, partition := range r.described(topic).Partitions {
		all.Go(func() {
			ends := r.ends(topic, partition.ID, level)
			if ends.LastOffset > ends.FirstOffset {
				read := r.readPartition(topic, partition.ID, ends, level)
				lock.Lock()
				found = append(found, read...)
				lock.Unlock()
			}
		})
	}
	all.Wait()
	slices.SortStableFunc(found, func(a, b kafka.Message) int { return a.Partition - b.Partition })
	isMarker := func(m kafka.Message) bool { return len(m.Key) == 4 && m.Key[0] == 0 && m.Key[1] == 0 && m.Key[2] == 0 }
	return slices.DeleteFunc(found, isMarker)
}

// The end may be something that is not shown: then the number of fetches tells.
func (r *run) readPartition(topic string, partition int, ends kafka.PartitionOffsets, level kafka.IsolationLevel) []kafka.Message {
	reader := r.reader(topic, partition, level)
	defer reader.Close()
	play.Done(reader.SetOffset(ends.FirstOffset))
	var found []kafka.Message
	idle := int64(0)
	for end := time.Now().Add(play.StepLimit); idle < idleFetches; {
		play.Check(time.Now().Before(end), "%s/%d: no end came", r.plain(topic), partition)
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
		message, err := reader.FetchMessage(ctx)
		stop()
		fetches := reader.Stats().Fetches
		if errors.Is(err, context.DeadlineExceeded) {
			idle += fetches
			continue
		}
		play.Done(err)
		found, idle = append(found, message), 0
		if message.Offset+1 >= ends.LastOffset {
			break
		}
	}
	return found
}

func (r *run) values(topic string, level kafka.IsolationLevel) []string {
	var values []string
	for _, message := range r.readAll(topic, level) {
		values = append(values, string(message.Value))
	}
	return play.SortedNumbers(values)
}

// The codecs that partition 0 is kept in, and how many markers it has.
func (r *run) kept(topic string) (codecs []string, markers int) {
	ends := r.ends(topic, 0, kafka.ReadUncommitted)
	for at := ends.FirstOffset; at < ends.LastOffset; {
		request := &kafka.FetchRequest{Topic: topic, Offset: at, MinBytes: 1, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond}
		fetched := play.Must(r.client.Fetch(play.Step(), request))
		play.Done(fetched.Error)
		before := at
		for _, batch := range fetched.Records.(*protocol.RecordStream).Records {
			var records kafka.RecordReader
			switch batch := batch.(type) {
			case *protocol.RecordBatch:
				codecs, records = append(codecs, batch.Attributes.Compression().String()), batch.Records
			case *protocol.ControlBatch:
				markers, records = markers+1, batch.Records
			default:
				play.Fail("%s: a batch of another kind: %T", topic, batch)
			}
			for record, err := records.ReadRecord(); err == nil; record, err = records.ReadRecord() {
				at = record.Offset + 1
			}
		}
		play.Check(at > before, "%s: nothing at %d", topic, at)
	}
	slices.Sort(codecs)
	return slices.Compact(codecs), markers
}

// The sum of a group's committed offsets.
func (r *run) committed(group, topic string) int64 {
	var sum int64
	offsets := play.Must(r.client.ConsumerOffsets(play.Step(), kafka.TopicAndGroup{Topic: topic, GroupId: group}))
	for _, offset := range offsets {
		sum += max(offset, 0)
	}
	return sum
}
