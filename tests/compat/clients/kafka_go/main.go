// The scenarios of the compatibility suite by kafka-go: `kafka_go SCENARIO HOST:PORT`.
package main

import (
	"errors"
	"net"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"play"
)

func main() {
	play.ErrorName = errorName
	play.Main("kafka-go", map[string]func(*play.Run){
		"codecs":       scenario(codecs),
		"records":      scenario(records),
		"resets":       scenario(resets),
		"joins":        scenario(joins),
		"static":       scenario(static),
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
	client *kafka.Client
}

func newRun(r *play.Run) *run {
	address := play.Must(net.ResolveTCPAddr("tcp", r.At))
	return &run{r, newClient(address)}
}

func scenario(of func(*run)) func(*play.Run) {
	return func(r *play.Run) { of(newRun(r)) }
}

// The client's title of the protocol's error, else what the client says.
func errorName(err error) string {
	var several kafka.WriteErrors
	if errors.As(err, &several) {
		for _, one := range several {
			if one != nil {
				return errorName(one)
			}
		}
	}
	var known kafka.Error
	if errors.As(err, &known) {
		return known.Title()
	}
	return err.Error()
}

// An error with the broker's own words, where the client has them.
func (r *run) told(err error) string {
	if err == nil {
		return "ok"
	}
	return r.plain(err.Error())
}

func (r *run) plain(text string) string { return strings.ReplaceAll(text, r.Prefix, "") }

// Creates a topic, settings as "name", "value", ...; its full name.
func (r *run) topic(short string, partitions int, named ...string) string {
	topic := r.Name(short)
	// Some messages are of 1970: a broker may look for old ones at any moment.
	entries := []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "-1"}}
	for i := 0; i < len(named); i += 2 {
		entries = append(entries, kafka.ConfigEntry{ConfigName: named[i], ConfigValue: named[i+1]})
	}
	config := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}
	created := play.Must(r.client.CreateTopics(play.Step(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}}))
	play.Done(created.Errors[topic])
	r.led(topic, partitions)
	return topic
}

func (r *run) described(topic string) kafka.Topic {
	r.renew()
	return play.Must(r.client.Metadata(play.Step(), &kafka.MetadataRequest{Topics: []string{topic}})).Topics[0]
}

// Waits until the broker shows so many partitions with a leader.
func (r *run) led(topic string, partitions int) {
	play.Await("leaders of "+r.plain(topic), func() bool {
		led := 0
		for _, partition := range r.described(topic).Partitions {
			if partition.Error == nil && partition.Leader.Port > 0 {
				led++
			}
		}
		return led == partitions
	})
}

func newClient(address net.Addr) *kafka.Client {
	return &kafka.Client{Addr: address, Timeout: play.StepLimit, Transport: &kafka.Transport{}}
}

// What a client knows of the cluster it keeps for seconds, and if told to keep it shortly, asking may not take
// longer than that either. So a new one asks anew.
func (r *run) renew() {
	r.client.Transport.(*kafka.Transport).CloseIdleConnections()
	r.client = newClient(r.client.Addr)
}

// A writer that goes by the partition that the message names in `WriterData`.
func (r *run) writer(topic string) *kafka.Writer {
	return &kafka.Writer{
		Addr: r.client.Addr, Topic: topic, RequiredAcks: kafka.RequireAll, Balancer: byHand{},
		BatchTimeout: 5 * time.Millisecond, MaxAttempts: 3, Transport: &kafka.Transport{},
	}
}

type byHand struct{}

func (byHand) Balance(message kafka.Message, partitions ...int) int {
	if partition, named := message.WriterData.(int); named {
		return partition
	}
	return partitions[0]
}
