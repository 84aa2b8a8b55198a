// Package play is what the Go clients of the compatibility suite have in common: the frame of a program
// `PROGRAM SCENARIO HOST:PORT`, waiting with an end, and members that are processes of their own.
//
// What is said goes to standard output, one fact a line, the same on every broker. A program ends with
// status 1 and a message when something else happens, or when a step takes too long.
package play

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

// How long one step may take, and how long a scenario.
const (
	StepLimit     = 60 * time.Second
	scenarioLimit = 300 * time.Second
)

// Run is one run of a scenario against one broker.
type Run struct {
	At string
	// Begins the names of all topics, groups and transactional ids; never printed.
	Prefix string
}

// Name is the full name of what a scenario calls `short`.
func (r *Run) Name(short string) string { return r.Prefix + short }

// ErrorName says an error in a word; each client has its own way to know them.
var ErrorName = func(err error) string { return err.Error() }

// Main runs the scenario or the role that the arguments name.
func Main(client string, scenarios map[string]func(*Run), roles map[string]func(*Run, []string)) {
	if len(os.Args) < 3 {
		Fail("use: %s SCENARIO HOST:PORT", client)
	}
	name, at := os.Args[1], os.Args[2]
	time.AfterFunc(scenarioLimit, func() { Fail("%s takes too long", name) })
	if role, found := roles[name]; found {
		endWithParent()
		role(&Run{At: at, Prefix: os.Args[3]}, os.Args[4:])
		return
	}
	scenario, found := scenarios[name]
	if !found {
		Fail("no scenario %s", name)
	}
	scenario(&Run{At: at, Prefix: fmt.Sprintf("%s-%s-%x-", client, name, time.Now().UnixMilli())})
	endAll()
}

// Step is the time that one request or one wait may take.
func Step() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), StepLimit)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// Await waits until it is so.
func Await(what string, so func() bool) {
	for end := time.Now().Add(StepLimit); !so(); {
		if time.Now().After(end) {
			Fail("waited too long for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Say prints one fact.
func Say(format string, values ...any) { fmt.Printf(format+"\n", values...) }

// Fail ends the program and everything it started.
func Fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	endAll()
	os.Exit(1)
}

// Check fails unless it is so.
func Check(so bool, format string, values ...any) {
	if !so {
		Fail(format, values...)
	}
}

// Done fails on an error.
func Done(err error) {
	if err != nil {
		Fail("%s: %v\n%s", ErrorName(err), err, debug.Stack())
	}
}

// Must is the value of what must not fail.
func Must[T any](value T, err error) T {
	Done(err)
	return value
}

// Outcome is "ok", or the name of the error.
func Outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return ErrorName(err)
}
