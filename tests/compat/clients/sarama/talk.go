// Writing and reading topics as a whole.
package main

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"

	"play"
)

// A reader has seen the end when so many fetches in a row brought nothing.
const idleFetches = 4

func (r *run) producer(change ...func(*sarama.Config)) sarama.SyncProducer {
	config := settings()
	for _, one := range change {
		one(config)
	}
	return play.Must(sarama.NewSyncProducer([]string{r.At}, config))
}

// Records with the values from-to (excluded), over the partitions in turn.
func numbered(topic string, partitions, from, to int) []*sarama.ProducerMessage {
	var messages []*sarama.ProducerMessage
	for n := from; n < to; n++ {
		messages = append(messages, &sarama.ProducerMessage{
			Topic:     topic,
			Partition: int32(n % partitions),
			Value:     sarama.StringEncoder(fmt.Sprint(n)),
		})
	}
	return messages
}

func (r *run) write(topic string, partitions, from, to int) {
	producer := r.producer()
	play.Done(producer.SendMessages(numbered(topic, partitions, from, to)))
	play.Done(producer.Close())
}

func (r *run) offset(topic string, partition int32, at int64, level sarama.IsolationLevel) *sarama.OffsetResult {
	asked := map[string]map[int32]int64{topic: {partition: at}}
	listed := play.Must(r.admin.ListOffsets(asked, &sarama.ListOffsetsOptions{IsolationLevel: level}))
	return listed[topic][partition]
}

// All records of a topic in the order of partition and offset.
func (r *run) readAll(topic string, level sarama.IsolationLevel) []*sarama.ConsumerMessage {
	var found []*sarama.ConsumerMessage
	for _, partition := range play.Must(r.client.Partitions(topic)) {
		start := r.offset(topic, partition, sarama.OffsetOldest, level).Offset
		end := r.offset(topic, partition, sarama.OffsetNewest, level).Offset
		if end > start {
			found = append(found, r.readPartition(topic, partition, start, end, level)...)
		}
	}
	return found
}

// The client shows no markers, so the last record before the end may never come: the number of fetches tells.
func (r *run) readPartition(topic string, partition int32, start, end int64, level sarama.IsolationLevel) []*sarama.ConsumerMessage {
	config := settings()
	config.Consumer.IsolationLevel = level
	config.MetricRegistry = metrics.NewRegistry()
	consumer := play.Must(sarama.NewConsumer([]string{r.At}, config))
	defer consumer.Close()
	reader := play.Must(consumer.ConsumePartition(topic, partition, start))
	defer reader.Close()
	fetches := func() int64 {
		return metrics.GetOrRegisterMeter("consumer-fetch-rate", config.MetricRegistry).Snapshot().Count()
	}
	var found []*sarama.ConsumerMessage
	for limit, at := time.After(play.StepLimit), fetches(); fetches()-at < idleFetches; {
		select {
		case message := <-reader.Messages():
			found, at = append(found, message), fetches()
			if message.Offset+1 >= end {
				return found
			}
		case failed := <-reader.Errors():
			play.Done(failed.Err)
		case <-time.After(10 * time.Millisecond):
		case <-limit:
			play.Fail("%s/%d: no end came", r.plain(topic), partition)
		}
	}
	return found
}

func (r *run) values(topic string, level sarama.IsolationLevel) []string {
	var values []string
	for _, message := range r.readAll(topic, level) {
		values = append(values, string(message.Value))
	}
	return play.SortedNumbers(values)
}

// The batches of partition 0, as the broker keeps them.
func (r *run) batches(topic string) []*sarama.RecordBatch {
	leader := play.Must(r.client.Leader(topic, 0))
	var found []*sarama.RecordBatch
	end := r.offset(topic, 0, sarama.OffsetNewest, sarama.ReadUncommitted).Offset
	for at := r.offset(topic, 0, sarama.OffsetOldest, sarama.ReadUncommitted).Offset; at < end; {
		request := &sarama.FetchRequest{Version: 11, MaxWaitTime: 100, MinBytes: 1, MaxBytes: 10 << 20}
		request.AddBlock(topic, 0, at, 10<<20, -1)
		block := play.Must(leader.Fetch(request)).GetBlock(topic, 0)
		play.Check(block != nil && block.Err == sarama.ErrNoError && len(block.RecordsSet) > 0, "%s: nothing at %d", topic, at)
		for _, records := range block.RecordsSet {
			found = append(found, records.RecordBatch)
			at = records.RecordBatch.LastOffset() + 1
		}
	}
	return found
}

// The sum of a group's committed offsets.
func (r *run) committed(group string) int64 {
	var sum int64
	listed := play.Must(r.admin.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: nil}))[group]
	for _, partitions := range listed.Blocks {
		for _, block := range partitions {
			sum += block.Offset
		}
	}
	return sum
}
