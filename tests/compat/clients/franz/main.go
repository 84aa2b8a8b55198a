// The scenarios of the compatibility suite by franz-go: `franz SCENARIO HOST:PORT`.
//
// Prints what a user would see, one fact a line, the same on every broker. Ends with status 1 and a
// message when something else happens, or when a step takes too long.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// How long one step may take, and how long a scenario.
const (
	stepLimit     = 60 * time.Second
	scenarioLimit = 300 * time.Second
)

var scenarios = map[string]func(*run){
	"codecs":            codecs,
	"records":           records,
	"resets":            resets,
	"joins":             joins,
	"static":            static,
	"cooperative":       cooperative,
	"consumer-protocol": consumerProtocol,
	"transactions":      transactions,
	"fencing":           fencing,
	"transform":         transform,
	"admin":             adminTour,
}

// The roles that this program plays as a process of its own, to be stopped and killed.
var roles = map[string]func(*run, []string){
	"member":      memberRole,
	"open":        openRole,
	"transformer": transformerRole,
	"part":        partRole,
}

// One run of a scenario against one broker.
type run struct {
	at string
	// Begins the names of all topics, groups and transactional ids; never printed.
	prefix string
	admin  *kadm.Client
}

func main() {
	if len(os.Args) < 3 {
		fail("use: franz SCENARIO HOST:PORT")
	}
	name, at := os.Args[1], os.Args[2]
	time.AfterFunc(scenarioLimit, func() { fail("%s takes too long", name) })
	if role, found := roles[name]; found {
		r := newRun(at, os.Args[3])
		role(r, os.Args[4:])
		return
	}
	scenario, found := scenarios[name]
	if !found {
		fail("no scenario %s", name)
	}
	r := newRun(at, fmt.Sprintf("franz-%s-%x-", name, time.Now().UnixMilli()))
	scenario(r)
	endAll()
}

func newRun(at, prefix string) *run {
	r := &run{at: at, prefix: prefix}
	r.admin = kadm.NewClient(r.client())
	return r
}

// A client of the broker.
func (r *run) client(more ...kgo.Opt) *kgo.Client {
	return must(kgo.NewClient(r.options(more...)...))
}

func (r *run) options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(r.at),
		kgo.ClientID("franz"),
		kgo.RetryTimeout(stepLimit),
		// Steps follow each other fast: what is new has to be seen at once.
		kgo.MetadataMinAge(100 * time.Millisecond),
	}, more...)
}

func (r *run) name(short string) string {
	return r.prefix + short
}

// Creates a topic, settings as "name", "value", ...; its full name.
func (r *run) topic(short string, partitions int32, settings ...string) string {
	topic := r.name(short)
	// Some records are of 1970: a broker may look for old ones at any moment.
	forever := "-1"
	configs := map[string]*string{"retention.ms": &forever}
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	must(r.admin.CreateTopic(step(), partitions, 1, configs, topic))
	await("leaders of "+short, func() bool {
		topics, err := r.admin.ListTopics(step(), topic)
		if err != nil {
			return false
		}
		led := 0
		for _, partition := range topics[topic].Partitions {
			if partition.Err == nil && partition.Leader >= 0 {
				led++
			}
		}
		return led == int(partitions)
	})
	return topic
}

// The time that one request or one wait may take.
func step() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// Waits until it is so.
func await(what string, so func() bool) {
	for end := time.Now().Add(stepLimit); !so(); {
		if time.Now().After(end) {
			fail("waited too long for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func say(format string, values ...any) {
	fmt.Printf(format+"\n", values...)
}

// Ends the program and everything it started.
func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	endAll()
	os.Exit(1)
}

func check(so bool, format string, values ...any) {
	if !so {
		fail(format, values...)
	}
}

func done(err error) {
	if err != nil {
		panicked(err)
	}
}

func must[T any](value T, err error) T {
	done(err)
	return value
}

// The name of the protocol's error, else what the client says.
func errorName(err error) string {
	var known *kerr.Error
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &known):
		return known.Message
	default:
		return err.Error()
	}
}
