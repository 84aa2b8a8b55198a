// Records: codecs, and all that a record carries.
package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"play"
)

var codecsKnown = []sarama.CompressionCodec{
	sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
}

// Small records and one of half a megabyte that packs badly.
func mixed(topic string) []*sarama.ProducerMessage {
	sent := numbered(topic, 1, 0, 200)
	for n, message := range sent {
		value := bytes.Repeat(fmt.Append(nil, n), 50)
		message.Key, message.Value = sarama.StringEncoder("key"), sarama.ByteEncoder(value)
		message.Headers = []sarama.RecordHeader{{Key: []byte("codec"), Value: value}}
	}
	big := make([]byte, 500_000)
	rand.New(rand.NewSource(1)).Read(big)
	return append(sent, &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(big)})
}

func codecs(r *run) {
	for _, codec := range codecsKnown {
		r.through(r.topic("by-"+codec.String(), 1), codec, sarama.CompressionLevelDefault)
	}
	// What the broker packs anew, and at other levels.
	for _, kept := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		r.through(r.topic("to-"+kept, 1, "compression.type", kept), sarama.CompressionLZ4, sarama.CompressionLevelDefault)
	}
	r.through(r.topic("fast-gzip", 1), sarama.CompressionGZIP, 1)
	r.through(r.topic("small-gzip", 1), sarama.CompressionGZIP, 9)
	r.through(r.topic("small-zstd", 1), sarama.CompressionZSTD, 9)
}

func (r *run) through(topic string, codec sarama.CompressionCodec, level int) {
	sent := mixed(topic)
	producer := r.producer(func(config *sarama.Config) {
		config.Producer.Compression, config.Producer.CompressionLevel = codec, level
		config.Producer.Flush.Frequency = 50 * time.Millisecond
	})
	play.Done(producer.SendMessages(sent))
	play.Done(producer.Close())
	found := r.readAll(topic, sarama.ReadUncommitted)
	play.Check(len(found) == len(sent), "%d records of %d", len(found), len(sent))
	for i, message := range found {
		value := play.Must(sent[i].Value.Encode())
		same := bytes.Equal(message.Value, value) && message.Offset == int64(i) && len(message.Headers) == len(sent[i].Headers)
		play.Check(same, "record %d is another", i)
	}
	var kept []string
	for _, batch := range r.batches(topic) {
		kept = append(kept, batch.Codec.String())
	}
	slices.Sort(kept)
	play.Say("%s: %d records as sent in %s, kept as %v", r.plain(topic), len(found), codec, slices.Compact(kept))
}

func records(r *run) {
	r.carried()
	r.spread()
	r.stamped()
	r.refused()
	r.again()
}

func encoded(value []byte) sarama.Encoder {
	if value == nil {
		return nil
	}
	return sarama.ByteEncoder(value)
}

// Keys, values, headers and timestamps come back as they went.
func (r *run) carried() {
	topic := r.topic("carried", 1)
	header := func(key string, value []byte) sarama.RecordHeader {
		return sarama.RecordHeader{Key: []byte(key), Value: value}
	}
	sent := []struct {
		key, value []byte
		ms         int64
		headers    []sarama.RecordHeader
	}{
		{nil, []byte("no key"), 1_000, nil},
		{[]byte{}, []byte("empty key"), 2_000, nil},
		{[]byte("k"), nil, 3_000, nil},
		{[]byte("k"), []byte{}, 3_000, nil},
		{[]byte{0, 255, 10}, []byte("büß"), 9_000, nil},
		{nil, []byte("headers"), 5_000, []sarama.RecordHeader{
			header("a", []byte("1")), header("a", []byte("2")), header("", []byte("no name")),
			header("empty", []byte{}), header("null", nil), header("b", []byte{0, 1, 254}),
		}},
	}
	producer := r.producer()
	// One at a time: offsets by time find a batch, then a record.
	for _, one := range sent {
		message := &sarama.ProducerMessage{
			Topic: topic, Key: encoded(one.key), Value: encoded(one.value),
			Headers: one.headers, Timestamp: time.UnixMilli(one.ms),
		}
		_, offset, err := producer.SendMessage(message)
		play.Done(err)
		play.Say("sent to %d", offset)
	}
	play.Done(producer.Close())
	for _, message := range r.readAll(topic, sarama.ReadUncommitted) {
		play.Say("%d at %d: key %s, value %s", message.Offset, message.Timestamp.UnixMilli(), play.BytesOf(message.Key), play.BytesOf(message.Value))
		for _, header := range message.Headers {
			play.Say("  header %q %s", header.Key, play.BytesOf(header.Value))
		}
	}
	for _, ms := range []int64{0, 1_000, 1_001, 3_000, 3_001, 5_001, 9_000, 9_001} {
		at := r.offset(topic, 0, ms, sarama.ReadUncommitted)
		play.Say("from %d on: offset %d, time %d, epoch %d", ms, at.Offset, at.Timestamp, at.LeaderEpoch)
	}
	for _, what := range []int64{sarama.OffsetOldest, sarama.OffsetNewest} {
		at := r.offset(topic, 0, what, sarama.ReadUncommitted)
		play.Say("at %d: %d, epoch %d", what, at.Offset, at.LeaderEpoch)
	}
}

// Keys go to the partitions that Java's hash says, and to those of this client's own.
func (r *run) spread() {
	for _, by := range []struct {
		name        string
		partitioner sarama.PartitionerConstructor
	}{{"hashed", sarama.NewHashPartitioner}, {"as-java", sarama.NewMurmur2Partitioner}} {
		topic := r.topic(by.name, 6)
		producer := r.producer(func(config *sarama.Config) { config.Producer.Partitioner = by.partitioner })
		var sent []*sarama.ProducerMessage
		for n := range 20 {
			key := sarama.StringEncoder(fmt.Sprintf("key-%d", n%10))
			sent = append(sent, &sarama.ProducerMessage{Topic: topic, Key: key, Value: sarama.StringEncoder(fmt.Sprint(n))})
		}
		play.Done(producer.SendMessages(sent))
		play.Done(producer.Close())
		var found []string
		for _, message := range r.readAll(topic, sarama.ReadUncommitted) {
			found = append(found, fmt.Sprintf("%s=%s in %d/%d", message.Key, message.Value, message.Partition, message.Offset))
		}
		play.Say("%s: %s", by.name, strings.Join(found, ", "))
	}
}

// The broker's clock where the topic asks for it.
func (r *run) stamped() {
	topic := r.topic("stamped", 1, "message.timestamp.type", "LogAppendTime")
	before := time.Now().Add(-time.Minute)
	sent := &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("now"), Timestamp: time.UnixMilli(1_000)}
	producer := r.producer()
	_, _, err := producer.SendMessage(sent)
	play.Done(err)
	play.Done(producer.Close())
	near := func(at time.Time) bool { return at.After(before) && at.Before(before.Add(2*time.Minute)) }
	found := r.readAll(topic, sarama.ReadUncommitted)[0]
	play.Say("stamped by the broker: told now: %t, kept now: %t, its clock: %t", near(sent.Timestamp), near(found.Timestamp),
		r.batches(topic)[0].LogAppendTime)
}

// What a broker does not take.
func (r *run) refused() {
	small := r.topic("small", 1, "max.message.bytes", "1000")
	keyed := r.topic("keyed", 1, "cleanup.policy", "compact")
	timely := r.topic("timely", 1, "message.timestamp.before.max.ms", "1000")
	ahead := r.topic("ahead", 1, "message.timestamp.after.max.ms", "1000")
	producer := r.producer()
	send := func(message *sarama.ProducerMessage) string {
		_, _, err := producer.SendMessage(message)
		return play.Outcome(err)
	}
	play.Say("too big: %s", send(&sarama.ProducerMessage{Topic: small, Value: sarama.ByteEncoder(make([]byte, 2_000))}))
	play.Say("no key: %s", send(&sarama.ProducerMessage{Topic: keyed, Value: sarama.StringEncoder("x")}))
	play.Say("too old: %s", send(&sarama.ProducerMessage{Topic: timely, Value: sarama.StringEncoder("x"), Timestamp: time.UnixMilli(1_000)}))
	play.Say("of the future: %s", send(&sarama.ProducerMessage{Topic: ahead, Value: sarama.StringEncoder("x"), Timestamp: time.Now().Add(time.Hour)}))
	taken := &sarama.ProducerMessage{Topic: keyed, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder("taken")}
	play.Say("and then: %s, %v", send(taken), r.values(keyed, sarama.ReadUncommitted))
	play.Done(producer.Close())
}

// An idempotent producer's records, and those of one that waits for no answer.
func (r *run) again() {
	topic := r.topic("again", 1)
	producer := r.producer(func(config *sarama.Config) {
		config.Producer.Idempotent, config.Net.MaxOpenRequests = true, 1
		config.Producer.Flush.MaxMessages = 7
	})
	for from := 0; from < 500; from += 50 {
		play.Done(producer.SendMessages(numbered(topic, 1, from, from+50)))
	}
	play.Done(producer.Close())
	last := r.batches(topic)
	play.Say("idempotent: %s, last sequence %d", play.Short(r.values(topic, sarama.ReadUncommitted)),
		last[len(last)-1].FirstSequence+last[len(last)-1].LastOffsetDelta)
	producer = r.producer(func(config *sarama.Config) { config.Producer.RequiredAcks = sarama.NoResponse })
	play.Done(producer.SendMessages(numbered(topic, 1, 500, 510)))
	play.Await("what got no answer", func() bool { return r.offset(topic, 0, sarama.OffsetNewest, sarama.ReadUncommitted).Offset == 510 })
	play.Done(producer.Close())
	play.Say("without an answer: %s", play.Short(r.values(topic, sarama.ReadUncommitted)))
}
