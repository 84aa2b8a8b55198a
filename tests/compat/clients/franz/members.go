// The parent's side of members that run as processes of their own.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
)

// A child, and what it told.
type child struct {
	process *exec.Cmd
	ended   chan struct{}
	holds   map[string]bool
	// Partitions taken from it, in all ways.
	revoked, lost []string
	// How often it was told an assignment, and in which generation last.
	assigned   int
	generation int32
	read       []string
	topics     map[string]bool
	errors     []string
	ready      bool
}

var (
	lock     sync.Mutex
	children []*child
)

func (r *run) start(role string, spec any) *child {
	text := must(json.Marshal(spec))
	c := &child{ended: make(chan struct{}), holds: map[string]bool{}, topics: map[string]bool{}}
	c.process = exec.Command(must(os.Executable()), role, r.at, r.prefix, string(text))
	c.process.Stderr = os.Stderr
	must(c.process.StdinPipe())
	output := must(c.process.StdoutPipe())
	done(c.process.Start())
	lock.Lock()
	children = append(children, c)
	lock.Unlock()
	go func() {
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			var e event
			done(json.Unmarshal(lines.Bytes(), &e))
			c.take(e)
		}
		_ = c.process.Wait()
		close(c.ended)
	}()
	return c
}

func (c *child) take(e event) {
	lock.Lock()
	defer lock.Unlock()
	var partitions []string
	for topic, numbers := range e.Partitions {
		for _, number := range numbers {
			partitions = append(partitions, fmt.Sprintf("%s/%d", topic, number))
		}
	}
	switch e.What {
	case "assigned":
		c.assigned++
		c.generation = e.Generation
		for _, partition := range partitions {
			c.holds[partition] = true
		}
	case "revoked", "lost":
		for _, partition := range partitions {
			delete(c.holds, partition)
		}
		if e.What == "lost" {
			c.lost = append(c.lost, partitions...)
		} else {
			c.revoked = append(c.revoked, partitions...)
		}
	case "read":
		c.read = append(c.read, e.Value)
		c.topics[e.Topic] = true
	case "unread":
		if at := slices.Index(c.read, e.Value); at >= 0 {
			c.read = slices.Delete(c.read, at, at+1)
		}
	case "committed":
		if e.Error != "none" {
			c.errors = append(c.errors, "commit: "+e.Error)
		}
	case "error":
		c.errors = append(c.errors, e.Error)
	case "ready":
		c.ready = true
	}
}

func (c *child) signal(signal syscall.Signal) { done(c.process.Process.Signal(signal)) }

// A clean end.
func (c *child) leave() {
	c.signal(syscall.SIGTERM)
	c.gone()
}

// SIGKILL.
func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	c.gone()
}

func (c *child) gone() {
	await("the end of a member", func() bool {
		select {
		case <-c.ended:
			return true
		default:
			return false
		}
	})
}

// What it holds, sorted.
func (c *child) held() []string {
	lock.Lock()
	defer lock.Unlock()
	var held []string
	for partition := range c.holds {
		held = append(held, partition)
	}
	slices.Sort(held)
	return held
}

// Waits until the members hold that many partitions each, the most first, and no partition twice.
func shares(what string, members []*child, wanted ...int) {
	await(fmt.Sprintf("shares %v: %s", wanted, what), func() bool {
		var counts []int
		holders := map[string]int{}
		for _, member := range members {
			held := member.held()
			counts = append(counts, len(held))
			for _, partition := range held {
				holders[partition]++
			}
		}
		slices.SortFunc(counts, func(a, b int) int { return b - a })
		for _, count := range holders {
			if count > 1 {
				return false
			}
		}
		return slices.Equal(counts, wanted)
	})
	say("%s: shares %v", what, wanted)
}

// Waits until the members have read that many values together, and committed them; all values, sorted.
func (r *run) readBy(group string, members []*child, count int) []string {
	var values []string
	await(fmt.Sprintf("%d records read", count), func() bool {
		lock.Lock()
		defer lock.Unlock()
		values = nil
		for _, member := range members {
			values = append(values, member.read...)
		}
		return len(values) >= count
	})
	await("commits", func() bool { return r.committed(group) >= int64(count) })
	return sortedNumbers(values)
}

// Ends what still runs.
func endAll() {
	lock.Lock()
	defer lock.Unlock()
	for _, c := range children {
		if c.process.Process != nil {
			_ = c.process.Process.Kill()
		}
	}
}
