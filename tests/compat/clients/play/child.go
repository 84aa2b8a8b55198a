package play

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
)

// Event is one thing that a child tells its parent, as a line of JSON.
type Event struct {
	What       string // session, assigned, revoked, read, error, ready
	Partitions map[string][]int32
	Value      string
	Generation int32
	Error      string
}

var telling sync.Mutex

// Tell tells the parent.
func Tell(e Event) {
	telling.Lock()
	defer telling.Unlock()
	fmt.Println(string(Must(json.Marshal(e))))
}

// Nobody outlives the parent: its end closes the pipe.
func endWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
}

// Child is this program as a process of its own, and what it told.
type Child struct {
	process *exec.Cmd
	ended   chan struct{}
	holds   map[string]bool
	revoked int
	// How often a generation began for it, and which is the last.
	sessions   int
	generation int32
	read       []string
	errors     []string
	ready      bool
}

var (
	lock     sync.Mutex
	children []*Child
)

// Start starts a role; `spec` is its last argument, as JSON.
func (r *Run) Start(role string, spec any) *Child {
	text := Must(json.Marshal(spec))
	c := &Child{ended: make(chan struct{}), holds: map[string]bool{}}
	c.process = exec.Command(Must(os.Executable()), role, r.At, r.Prefix, string(text))
	c.process.Stderr = os.Stderr
	Must(c.process.StdinPipe())
	output := Must(c.process.StdoutPipe())
	Done(c.process.Start())
	lock.Lock()
	children = append(children, c)
	lock.Unlock()
	go func() {
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			var e Event
			Done(json.Unmarshal(lines.Bytes(), &e))
			c.take(e)
		}
		_ = c.process.Wait()
		close(c.ended)
	}()
	return c
}

func (c *Child) take(e Event) {
	lock.Lock()
	defer lock.Unlock()
	var partitions []string
	for topic, numbers := range e.Partitions {
		for _, number := range numbers {
			partitions = append(partitions, fmt.Sprintf("%s/%d", topic, number))
		}
	}
	switch e.What {
	case "session":
		c.sessions++
		c.generation = e.Generation
	case "assigned":
		for _, partition := range partitions {
			c.holds[partition] = true
		}
	case "revoked":
		for _, partition := range partitions {
			delete(c.holds, partition)
		}
		c.revoked += len(partitions)
	case "read":
		c.read = append(c.read, e.Value)
	case "error":
		c.errors = append(c.errors, e.Error)
	case "ready":
		c.ready = true
	}
}

// Signal sends a signal.
func (c *Child) Signal(signal syscall.Signal) { Done(c.process.Process.Signal(signal)) }

// Leave is a clean end.
func (c *Child) Leave() {
	c.Signal(syscall.SIGTERM)
	c.Gone()
}

// Kill is SIGKILL.
func (c *Child) Kill() {
	c.Signal(syscall.SIGKILL)
	c.Gone()
}

// Gone waits for the end.
func (c *Child) Gone() {
	Await("the end of a child", func() bool {
		select {
		case <-c.ended:
			return true
		default:
			return false
		}
	})
}

// AwaitReady waits until the child says that it is where it is to be.
func (c *Child) AwaitReady(what string) {
	Await(what, func() bool {
		lock.Lock()
		defer lock.Unlock()
		return c.ready
	})
}

// Held is what it holds, sorted.
func (c *Child) Held() []string {
	lock.Lock()
	defer lock.Unlock()
	var held []string
	for partition := range c.holds {
		held = append(held, partition)
	}
	slices.Sort(held)
	return held
}

// Revoked is how many partitions were taken from it so far.
func (c *Child) Revoked() int {
	lock.Lock()
	defer lock.Unlock()
	return c.revoked
}

// Told is the last generation, and how many began for it.
func (c *Child) Told() (generation int32, sessions int) {
	lock.Lock()
	defer lock.Unlock()
	return c.generation, c.sessions
}

// Errors is what errors it told of.
func (c *Child) Errors() []string {
	lock.Lock()
	defer lock.Unlock()
	return slices.Clone(c.errors)
}

// Read is the values that the members read so far, sorted.
func Read(members ...*Child) []string {
	lock.Lock()
	defer lock.Unlock()
	var values []string
	for _, member := range members {
		values = append(values, member.read...)
	}
	return SortedNumbers(values)
}

// Shares waits until the members hold that many partitions each, the most first, and no partition twice.
func Shares(what string, members []*Child, wanted ...int) {
	Await(fmt.Sprintf("shares %v: %s", wanted, what), func() bool {
		var counts []int
		holders := map[string]int{}
		for _, member := range members {
			held := member.Held()
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
	Say("%s: shares %v", what, wanted)
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
