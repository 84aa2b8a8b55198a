// What this program does as a process of its own that can be stopped and killed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A member of a group, as its parent wants it.
type memberSpec struct {
	Group    string
	Topics   []string
	Regex    bool
	Protocol string // range, sticky, cooperative; server-uniform, server-range
	Instance string
}

// One thing that a child tells its parent, as a line of JSON.
type event struct {
	What       string // assigned, revoked, lost, read, unread, committed, error, ready
	Partitions map[string][]int32
	Topic      string
	Value      string
	Generation int32
	Error      string
}

var telling sync.Mutex

func tell(e event) {
	telling.Lock()
	defer telling.Unlock()
	line := must(json.Marshal(e))
	fmt.Println(string(line))
}

// Nobody outlives the parent: its end closes the pipe.
func endWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
}

var balancers = map[string][]kgo.GroupOpt{
	"range":          {kgo.Balancers(kgo.RangeBalancer())},
	"roundrobin":     {kgo.Balancers(kgo.RoundRobinBalancer())},
	"sticky":         {kgo.Balancers(kgo.StickyBalancer())},
	"cooperative":    {kgo.Balancers(kgo.CooperativeStickyBalancer())},
	"server-uniform": {kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()},
	"server-range":   {kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer()},
}

// Reads, tells and commits until SIGTERM, which is a clean end.
func memberRole(r *run, args []string) {
	endWithParent()
	var spec memberSpec
	done(json.Unmarshal([]byte(args[0]), &spec))
	report := func(what string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, client *kgo.Client, partitions map[string][]int32) {
			_, generation := client.GroupMetadata()
			tell(event{What: what, Partitions: partitions, Generation: generation})
		}
	}
	options := []kgo.Opt{
		kgo.ConsumerGroup(spec.Group),
		kgo.ConsumeTopics(spec.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(6 * time.Second),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.RebalanceTimeout(15 * time.Second),
		// No partition goes before what was read from it is committed.
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(report("assigned")),
		kgo.OnPartitionsRevoked(report("revoked")),
		kgo.OnPartitionsLost(report("lost")),
	}
	for _, option := range balancers[spec.Protocol] {
		options = append(options, option)
	}
	if spec.Instance != "" {
		options = append(options, kgo.InstanceID(spec.Instance))
	}
	if spec.Regex {
		options = append(options, kgo.ConsumeRegex(), kgo.MetadataMaxAge(time.Second))
	}
	client := r.client(options...)
	ending, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for ending.Err() == nil {
		readOnce(ending, client)
	}
	client.CloseAllowingRebalance()
}

func readOnce(ending context.Context, client *kgo.Client) {
	fetches := client.PollFetches(ending)
	defer client.AllowRebalance()
	var group *kgo.ErrGroupSession
	for _, failed := range fetches.Errors() {
		if errors.Is(failed.Err, context.Canceled) {
			return
		}
		tell(event{What: "error", Error: errorName(failed.Err)})
		if errors.As(failed.Err, &group) && errors.Is(group.Err, kerr.FencedInstanceID) {
			os.Exit(0)
		}
	}
	records := fetches.Records()
	for _, record := range records {
		tell(event{What: "read", Topic: record.Topic, Value: string(record.Value)})
	}
	if len(records) == 0 {
		return
	}
	err := client.CommitRecords(step(), records...)
	tell(event{What: "committed", Error: errorName(err)})
	if err != nil {
		// It was silent for too long: these are another member's by now.
		for _, record := range records {
			tell(event{What: "unread", Value: string(record.Value)})
		}
	}
}
