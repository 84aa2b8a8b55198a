// Records: codecs, and all that a record carries.
package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var codecNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func codecOf(name string) kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[name]
}

// Small records and one of half a megabyte that packs badly.
func mixed(topic string) []*kgo.Record {
	records := numbered(topic, 1, 0, 200)
	for _, record := range records {
		record.Key = []byte("key")
		record.Value = bytes.Repeat(record.Value, 50)
		record.Headers = []kgo.RecordHeader{{Key: "codec", Value: record.Value}}
	}
	big := make([]byte, 500_000)
	rand.New(rand.NewSource(1)).Read(big)
	return append(records, &kgo.Record{Topic: topic, Value: big})
}

func codecs(r *run) {
	for _, codec := range codecNames {
		topic := r.topic("by-"+codec, 1)
		r.through(topic, codec)
	}
	// The topic's own codec wins over the producer's.
	for _, codec := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		topic := r.topic("to-"+codec, 1, "compression.type", codec)
		r.through(topic, "lz4")
	}
}

func (r *run) through(topic, codec string) {
	sent := mixed(topic)
	producer := r.producer(kgo.ProducerBatchCompression(codecOf(codec)), kgo.ProducerLinger(50*time.Millisecond))
	write(producer, sent)
	producer.Close()
	found, _ := r.readAll(topic, kgo.ReadUncommitted())
	check(len(found) == len(sent), "%d records of %d", len(found), len(sent))
	var kept []string
	for i, record := range found {
		same := bytes.Equal(record.Value, sent[i].Value) && bytes.Equal(record.Key, sent[i].Key)
		check(same && len(record.Headers) == len(sent[i].Headers), "record %d is another", i)
		kept = append(kept, codecNames[record.Attrs.CompressionType()])
	}
	slices.Sort(kept)
	say("%s: %d records as sent in %s, kept as %v", topic[len(r.prefix):], len(found), codec, slices.Compact(kept))
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
	header := func(key string, value []byte) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: value} }
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	sent := []*kgo.Record{
		{Key: nil, Value: []byte("no key"), Timestamp: at(1_000)},
		{Key: []byte{}, Value: []byte("empty key"), Timestamp: at(2_000)},
		{Key: []byte("k"), Value: nil, Timestamp: at(3_000)},
		{Key: []byte("k"), Value: []byte{}, Timestamp: at(3_000)},
		{Key: []byte{0, 255, 10}, Value: []byte("бüß"), Timestamp: at(9_000)},
		{Value: []byte("headers"), Timestamp: at(5_000), Headers: []kgo.RecordHeader{
			header("a", []byte("1")), header("a", []byte("2")), header("", []byte("no name")),
			header("empty", []byte{}), header("null", nil), header("b", []byte{0, 1, 254}),
		}},
	}
	producer := r.producer(kgo.DefaultProduceTopic(topic))
	// One at a time: offsets by time find a batch, then a record.
	for _, record := range sent {
		write(producer, []*kgo.Record{record})
	}
	producer.Close()
	found, _ := r.readAll(topic, kgo.ReadUncommitted())
	for _, record := range found {
		say("%d at %d: key %s, value %s", record.Offset, record.Timestamp.UnixMilli(), bytesOf(record.Key), bytesOf(record.Value))
		for _, header := range record.Headers {
			say("  header %q %s", header.Key, bytesOf(header.Value))
		}
	}
	for _, ms := range []int64{0, 1_000, 1_001, 3_000, 3_001, 5_001, 9_000, 9_001} {
		listed := must(r.admin.ListOffsetsAfterMilli(step(), ms, topic))[topic][0]
		say("from %d on: offset %d, time %d, %s", ms, listed.Offset, listed.Timestamp, errorName(listed.Err))
	}
	latest := must(r.admin.ListMaxTimestampOffsets(step(), topic))[topic][0]
	say("latest time: offset %d, time %d", latest.Offset, latest.Timestamp)
	start, end := must(r.admin.ListStartOffsets(step(), topic))[topic][0], must(r.admin.ListEndOffsets(step(), topic))[topic][0]
	say("from %d to %d, epoch %d", start.Offset, end.Offset, end.LeaderEpoch)
}

// "null", or the bytes.
func bytesOf(value []byte) string {
	if value == nil {
		return "null"
	}
	return fmt.Sprintf("%q", value)
}

// Keys go to the partitions that Java's hash says.
func (r *run) spread() {
	topic := r.topic("spread", 6)
	producer := r.client(kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	var records []*kgo.Record
	for n := range 30 {
		records = append(records, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", n%10), Value: fmt.Append(nil, n)})
	}
	write(producer, records)
	producer.Close()
	found, _ := r.readAll(topic, kgo.ReadUncommitted())
	for _, record := range found {
		say("%d/%d: %s is %s", record.Partition, record.Offset, record.Key, record.Value)
	}
}

// The broker's clock where the topic asks for it.
func (r *run) stamped() {
	topic := r.topic("stamped", 1, "message.timestamp.type", "LogAppendTime")
	producer := r.producer()
	before := time.Now().Add(-time.Minute)
	write(producer, []*kgo.Record{{Topic: topic, Value: []byte("now"), Timestamp: time.UnixMilli(1_000)}})
	producer.Close()
	found, _ := r.readAll(topic, kgo.ReadUncommitted())
	record := found[0]
	near := record.Timestamp.After(before) && record.Timestamp.Before(before.Add(2*time.Minute))
	say("stamped by the broker: type %d, now: %t", record.Attrs.TimestampType(), near)
}

// What a broker does not take.
func (r *run) refused() {
	small := r.topic("small", 1, "max.message.bytes", "1000")
	keyed := r.topic("keyed", 1, "cleanup.policy", "compact")
	timely := r.topic("timely", 1, "message.timestamp.before.max.ms", "1000")
	producer := r.producer(kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer producer.Close()
	odd := []*kgo.Record{
		{Topic: small, Value: make([]byte, 2_000)},
		{Topic: keyed, Value: []byte("no key")},
		{Topic: timely, Value: []byte("too old"), Timestamp: time.UnixMilli(1_000)},
	}
	for _, record := range odd {
		err := producer.ProduceSync(step(), record).FirstErr()
		say("%s: %s", record.Topic[len(r.prefix):], errorName(err))
	}
	write(producer, []*kgo.Record{{Topic: keyed, Key: []byte("key"), Value: []byte("taken")}})
	say("and then: %s", short(r.values(keyed, kgo.ReadUncommitted())))
}
