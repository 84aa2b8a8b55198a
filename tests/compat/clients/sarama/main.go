// The scenarios of the compatibility suite by sarama: `sarama SCENARIO HOST:PORT`.
package main

import (
	"errors"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"play"
)

func main() {
	play.ErrorName = errorName
	play.Main("sarama", map[string]func(*play.Run){
		"codecs":       scenario(codecs),
		"records":      scenario(records),
		"resets":       scenario(resets),
		"joins":        scenario(joins),
		"static":       scenario(static),
		"cooperative":  scenario(cooperative),
		"transactions": scenario(transactions),
		"fencing":      scenario(fencing),
		"transform":    scenario(transform),
		"admin":        scenario(adminTour),
	}, map[string]func(*play.Run, []string){
		"member":      memberRole,
		"open":        openRole,
		"transformer": transformerRole,
	})
}

// One run of a scenario, with what all of them ask the broker.
type run struct {
	*play.Run
	client sarama.Client
	admin  sarama.ClusterAdmin
}

func scenario(of func(*run)) func(*play.Run) {
	return func(r *play.Run) {
		client := play.Must(sarama.NewClient([]string{r.At}, settings()))
		of(&run{r, client, play.Must(sarama.NewClusterAdminFromClient(client))})
	}
}

// The newest protocol that the client knows; the shortest waits.
func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.ClientID = "sarama"
	config.Version = sarama.MaxVersion
	config.Metadata.Retry.Backoff = 50 * time.Millisecond
	config.Metadata.Retry.Max = 100
	config.Admin.Retry.Backoff = 50 * time.Millisecond
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Retry.Backoff = 50 * time.Millisecond
	config.Producer.Transaction.Retry.Backoff = 50 * time.Millisecond
	config.Producer.Transaction.Retry.Max = 200
	config.Consumer.Return.Errors = true
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	config.Consumer.Retry.Backoff = 50 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	return config
}

// The client's words, without the part that says whose they are.
func errorName(err error) string {
	var failed sarama.ProducerErrors
	if errors.As(err, &failed) {
		return errorName(failed[0].Err)
	}
	var known sarama.KError
	if errors.As(err, &known) {
		err = known
	}
	if err == sarama.ErrNoError {
		return "ok"
	}
	return strings.TrimPrefix(err.Error(), "kafka server: ")
}

// An error with the broker's own words, where the client has them.
func (r *run) told(err error) string {
	if err == nil {
		return "ok"
	}
	return r.plain(strings.TrimPrefix(err.Error(), "kafka server: "))
}

func (r *run) plain(text string) string { return strings.ReplaceAll(text, r.Prefix, "") }

// Creates a topic, settings as "name", "value", ...; its full name.
func (r *run) topic(short string, partitions int32, named ...string) string {
	topic := r.Name(short)
	// Some records are of 1970: a broker may look for old ones at any moment.
	forever := "-1"
	entries := map[string]*string{"retention.ms": &forever}
	for i := 0; i < len(named); i += 2 {
		entries[named[i]] = &named[i+1]
	}
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}
	play.Done(r.admin.CreateTopic(topic, detail, false))
	r.led(topic, int(partitions))
	return topic
}

// Waits until the broker shows so many partitions with a leader.
func (r *run) led(topic string, partitions int) {
	play.Await("leaders of "+r.plain(topic), func() bool {
		if r.client.RefreshMetadata(topic) != nil {
			return false
		}
		numbers, err := r.client.WritablePartitions(topic)
		return err == nil && len(numbers) == partitions
	})
}
