// Messages: codecs, and all that a message carries.
package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"play"
)

var codecsKnown = []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd}

// Small messages and one of half a megabyte that packs badly.
func mixed() []kafka.Message {
	sent := numbered(1, 0, 200)
	for n := range sent {
		value := bytes.Repeat(sent[n].Value, 50)
		sent[n].Key, sent[n].Value = []byte("key"), value
		sent[n].Headers = []kafka.Header{{Key: "codec", Value: value}}
	}
	big := make([]byte, 500_000)
	rand.New(rand.NewSource(1)).Read(big)
	return append(sent, kafka.Message{Value: big})
}

func codecs(r *run) {
	for _, codec := range codecsKnown {
		r.through(r.topic("by-"+codec.String(), 1), codec)
	}
	// What the broker packs anew.
	for _, kept := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		r.through(r.topic("to-"+kept, 1, "compression.type", kept), kafka.Lz4)
	}
}

func (r *run) through(topic string, codec kafka.Compression) {
	sent := mixed()
	writer := r.writer(topic)
	writer.Compression, writer.BatchSize = codec, 1000
	play.Done(writer.WriteMessages(play.Step(), sent...))
	play.Done(writer.Close())
	found := r.readAll(topic, kafka.ReadUncommitted)
	play.Check(len(found) == len(sent), "%d messages of %d", len(found), len(sent))
	for i, message := range found {
		same := bytes.Equal(message.Key, sent[i].Key) && bytes.Equal(message.Value, sent[i].Value)
		play.Check(same && len(message.Headers) == len(sent[i].Headers), "message %d is another", i)
	}
	kept, _ := r.kept(topic)
	play.Say("%s: %d messages as sent in %s, kept as %v", r.plain(topic), len(found), codec, kept)
}

func records(r *run) {
	r.carried()
	r.spread()
	r.stamped()
	r.refused()
}

// Keys, values, headers and timestamps come back as they went.
func (r *run) carried() {
	topic := r.topic("carried", 1)
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	sent := []kafka.Message{
		{Key: nil, Value: []byte("no key"), Time: at(1_000)},
		{Key: []byte{}, Value: []byte("empty key"), Time: at(2_000)},
		{Key: []byte("k"), Value: nil, Time: at(3_000)},
		{Key: []byte("k"), Value: []byte{}, Time: at(3_000)},
		{Key: []byte{0, 255, 10}, Value: []byte("büß"), Time: at(9_000)},
		{Value: []byte("headers"), Time: at(5_000), Headers: []kafka.Header{
			{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "", Value: []byte("no name")},
			{Key: "empty", Value: []byte{}}, {Key: "null", Value: nil}, {Key: "b", Value: []byte{0, 1, 254}},
		}},
	}
	writer := r.writer(topic)
	// One at a time: offsets by time find a batch, then a record.
	for _, message := range sent {
		play.Done(writer.WriteMessages(play.Step(), message))
	}
	play.Done(writer.Close())
	for _, message := range r.readAll(topic, kafka.ReadUncommitted) {
		play.Say("%d at %d of %d: key %s, value %s", message.Offset, message.Time.UnixMilli(), message.HighWaterMark,
			play.BytesOf(message.Key), play.BytesOf(message.Value))
		for _, header := range message.Headers {
			play.Say("  header %q %s", header.Key, play.BytesOf(header.Value))
		}
	}
	for _, ms := range []int64{0, 1_000, 1_001, 3_000, 3_001, 5_001, 9_000, 9_001} {
		offset, time := r.atTime(topic, ms)
		play.Say("from %d on: offset %d, time %s", ms, offset, time)
	}
	ends := r.ends(topic, 0, kafka.ReadUncommitted)
	play.Say("from %d to %d", ends.FirstOffset, ends.LastOffset)
}

// The offset that a time leads to, and the time that is found.
func (r *run) atTime(topic string, ms int64) (int64, string) {
	asked := []kafka.OffsetRequest{kafka.TimeOffsetOf(0, time.UnixMilli(ms))}
	request := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: asked}}
	found := play.Must(r.client.ListOffsets(play.Step(), request)).Topics[topic][0]
	play.Done(found.Error)
	for offset, time := range found.Offsets {
		if time.IsZero() {
			return offset, "none"
		}
		return offset, fmt.Sprint(time.UnixMilli())
	}
	return -1, "none"
}

// Keys go to the partitions that other clients would choose.
func (r *run) spread() {
	for _, by := range []struct {
		name     string
		balancer kafka.Balancer
	}{{"as-sarama", &kafka.Hash{}}, {"as-librdkafka", kafka.CRC32Balancer{}}, {"as-java", kafka.Murmur2Balancer{}}} {
		topic := r.topic(by.name, 6)
		writer := r.writer(topic)
		writer.Balancer = by.balancer
		var sent []kafka.Message
		for n := range 20 {
			sent = append(sent, kafka.Message{Key: fmt.Appendf(nil, "key-%d", n%10), Value: fmt.Append(nil, n)})
		}
		play.Done(writer.WriteMessages(play.Step(), sent...))
		play.Done(writer.Close())
		var found []string
		for _, message := range r.readAll(topic, kafka.ReadUncommitted) {
			found = append(found, fmt.Sprintf("%s=%s in %d/%d", message.Key, message.Value, message.Partition, message.Offset))
		}
		play.Say("%s: %s", by.name, strings.Join(found, ", "))
	}
}

// The broker's clock where the topic asks for it.
func (r *run) stamped() {
	topic := r.topic("stamped", 1, "message.timestamp.type", "LogAppendTime")
	before := time.Now().Add(-time.Minute)
	near := func(at time.Time) bool { return at.After(before) && at.Before(before.Add(2*time.Minute)) }
	record := kafka.Record{Value: kafka.NewBytes([]byte("now")), Time: time.UnixMilli(1_000)}
	request := &kafka.ProduceRequest{Topic: topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(record)}
	answer := play.Must(r.client.Produce(play.Step(), request))
	found := r.readAll(topic, kafka.ReadUncommitted)[0]
	play.Say("stamped by the broker: told now: %t, kept now: %t; offset %d, the log from %d on: %s", near(answer.LogAppendTime), near(found.Time),
		answer.BaseOffset, answer.LogStartOffset, play.Outcome(answer.Error))
}

// What a broker does not take.
func (r *run) refused() {
	small := r.topic("small", 1, "max.message.bytes", "1000")
	keyed := r.topic("keyed", 1, "cleanup.policy", "compact")
	timely := r.topic("timely", 1, "message.timestamp.before.max.ms", "1000")
	ahead := r.topic("ahead", 1, "message.timestamp.after.max.ms", "1000")
	send := func(topic string, message kafka.Message) string {
		writer := r.writer(topic)
		defer writer.Close()
		return play.Outcome(writer.WriteMessages(play.Step(), message))
	}
	play.Say("too big: %s", send(small, kafka.Message{Value: make([]byte, 2_000)}))
	play.Say("no key: %s", send(keyed, kafka.Message{Value: []byte("x")}))
	play.Say("too old: %s", send(timely, kafka.Message{Value: []byte("x"), Time: time.UnixMilli(1_000)}))
	play.Say("of the future: %s", send(ahead, kafka.Message{Value: []byte("x"), Time: time.Now().Add(time.Hour)}))
	play.Say("and then: %s", send(keyed, kafka.Message{Key: []byte("k"), Value: []byte("taken")}))
	play.Say("unknown topic: %s", send(r.Name("nothing"), kafka.Message{Value: []byte("x")}))
	writer := r.writer(small)
	writer.RequiredAcks = kafka.RequireNone
	play.Done(writer.WriteMessages(play.Step(), numbered(1, 0, 10)...))
	play.Await("what got no answer", func() bool { return r.ends(small, 0, kafka.ReadUncommitted).LastOffset == 10 })
	play.Done(writer.Close())
	play.Say("without an answer: %s", play.Short(r.values(small, kafka.ReadUncommitted)))
}
