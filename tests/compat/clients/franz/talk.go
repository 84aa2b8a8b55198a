// Writing and reading topics as a whole.
package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func panicked(err error) {
	fail("%s: %v\n%s", errorName(err), err, debug.Stack())
}

// A producer that goes by the partition in the record.
func (r *run) producer(more ...kgo.Opt) *kgo.Client {
	return r.client(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, more...)...)
}

// Records with the values from-to (excluded), over the partitions in turn.
func numbered(topic string, partitions, from, to int) []*kgo.Record {
	var records []*kgo.Record
	for n := from; n < to; n++ {
		records = append(records, &kgo.Record{
			Topic:     topic,
			Partition: int32(n % partitions),
			Value:     []byte(fmt.Sprint(n)),
		})
	}
	return records
}

// Writes them and waits until all are there.
func write(producer *kgo.Client, records []*kgo.Record) {
	done(producer.ProduceSync(step(), records...).FirstErr())
}

// All records of a topic in the order of partition and offset, markers of transactions apart.
func (r *run) readAll(topic string, level kgo.IsolationLevel) (records, markers []*kgo.Record) {
	offsets := kadm.ListedOffsets{}
	if level == kgo.ReadCommitted() {
		offsets = must(r.admin.ListCommittedOffsets(step(), topic))
	} else {
		offsets = must(r.admin.ListEndOffsets(step(), topic))
	}
	from := map[int32]kgo.Offset{}
	ends := map[int32]int64{}
	starts := must(r.admin.ListStartOffsets(step(), topic))
	for partition, end := range offsets[topic] {
		done(end.Err)
		if end.Offset > starts[topic][partition].Offset {
			from[partition] = kgo.NewOffset().AtStart()
			ends[partition] = end.Offset
		}
	}
	if len(from) == 0 {
		return nil, nil
	}
	consumer := r.client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(level),
		// The last before the end may be a marker.
		kgo.KeepControlRecords(),
	)
	defer consumer.Close()
	for limit := step(); len(ends) > 0; {
		fetches := consumer.PollFetches(limit)
		done(fetches.Err0())
		fetches.EachError(func(_ string, _ int32, err error) { done(err) })
		fetches.EachRecord(func(record *kgo.Record) {
			if record.Attrs.IsControl() {
				markers = append(markers, record)
			} else {
				records = append(records, record)
			}
			if record.Offset+1 >= ends[record.Partition] {
				delete(ends, record.Partition)
			}
		})
	}
	for _, found := range [][]*kgo.Record{records, markers} {
		slices.SortFunc(found, func(a, b *kgo.Record) int {
			return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
		})
	}
	return records, markers
}

// The values of all records, sorted as numbers would be.
func (r *run) values(topic string, level kgo.IsolationLevel) []string {
	records, _ := r.readAll(topic, level)
	return valuesOf(records)
}

func valuesOf(records []*kgo.Record) []string {
	var values []string
	for _, record := range records {
		values = append(values, string(record.Value))
	}
	return sortedNumbers(values)
}

func sortedNumbers(values []string) []string {
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return values
}

// Numbers in short: "0-9, 12, 12" (a number twice is said twice).
func short(values []string) string {
	var parts []string
	for i := 0; i < len(values); {
		last := i
		for last+1 < len(values) && values[last+1] == next(values[last]) {
			last++
		}
		if last > i {
			parts = append(parts, values[i]+"-"+values[last])
		} else {
			parts = append(parts, values[i])
		}
		i = last + 1
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func next(number string) string {
	var n int
	if _, err := fmt.Sscan(number, &n); err != nil {
		return ""
	}
	return fmt.Sprint(n + 1)
}

// The sum of a group's committed offsets.
func (r *run) committed(group string) int64 {
	var sum int64
	offsets := must(r.admin.FetchOffsets(step(), group))
	for _, offset := range offsets.Sorted() {
		done(offset.Err)
		sum += offset.At
	}
	return sum
}
