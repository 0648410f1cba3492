package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// replicas are three servers that replicate what clients append.
type replicas interface {
	// writer opens a client with a connection of its own to the leader.
	writer(ctx context.Context) (writer, error)
	// cpu returns the processor time that the servers have used so far.
	cpu() (time.Duration, error)
	// about returns the name and the version of the program.
	about() string
	stop() error
}

// writer appends to a new stream of its own: a key of etcd, a subject of JetStream. Each
// append names the last one of the stream, is refused if there is a later one, and is
// acknowledged once a majority has synced it.
type writer interface {
	append(ctx context.Context, data []byte) error
	close() error
}

// appendBytes is the size of an append in bytes.
const appendBytes = 1 << 10

// appendClients are the numbers of clients that are measured.
var appendClients = []int{1, 64}

// appendCell is the result of one number of clients on one cluster.
type appendCell struct {
	Appends float64 `json:"appends_per_second"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	CPU     float64 `json:"cpu_us_per_append"` // of all three servers together
}

// measureAppends runs clients that append without pauses, first unmeasured, then measured.
func measureAppends(ctx context.Context, servers replicas, clients int, lasts time.Duration) (measured appendCell, err error) {
	writers := make([]*appending, 0, clients)
	defer func() {
		for _, w := range writers {
			err = errors.Join(err, w.writer.close())
		}
	}()
	for range clients {
		w, err := servers.writer(ctx)
		if err != nil {
			return measured, err
		}
		writers = append(writers, &appending{writer: w})
	}
	before, err := servers.cpu()
	if err != nil {
		return measured, err
	}
	data := []byte(payload(appendBytes))
	from := time.Now().Add(lasts / 4)
	until := from.Add(lasts)
	working, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var group sync.WaitGroup
	for _, w := range writers {
		group.Go(func() {
			if err := w.work(working, data, from, until); err != nil {
				fail(err)
			}
		})
	}
	group.Wait()
	if working.Err() != nil {
		return measured, context.Cause(working)
	}
	after, err := servers.cpu()
	return sumAppends(writers, after-before, lasts), err
}

// appending is a client with its measurements.
type appending struct {
	writer writer
	all    int // number of appends, including those of the unmeasured time
	took   []time.Duration
}

// work appends until a time. Appends that end after from are measured.
func (a *appending) work(ctx context.Context, data []byte, from, until time.Time) error {
	for {
		asked := time.Now()
		if err := a.writer.append(ctx, data); err != nil {
			return fmt.Errorf("append: %w", err)
		}
		answered := time.Now()
		a.all++
		if answered.After(until) {
			return nil
		}
		if answered.After(from) {
			a.took = append(a.took, answered.Sub(asked))
		}
	}
}

func sumAppends(writers []*appending, cpu, lasted time.Duration) appendCell {
	var took []time.Duration
	all := 0
	for _, w := range writers {
		took = append(took, w.took...)
		all += w.all
	}
	slices.Sort(took)
	n := len(took)
	c := appendCell{Appends: float64(n) / lasted.Seconds()}
	if n > 0 {
		c.P50, c.P99 = micros(took[n/2]), micros(took[min(n*99/100, n-1)])
	}
	if all > 0 {
		c.CPU = micros(cpu) / float64(all)
	}
	return c
}

// missing is the error for a server that is not installed.
type missing struct{ program, hint string }

func (m *missing) Error() string {
	return fmt.Sprintf("no %s found in the folder of -peers or on the PATH: build it (make bench-servers) or install it (%s)", m.program, m.hint)
}

// find looks for a program in a folder, then on the PATH.
func find(program, dir, hint string) (string, error) {
	if dir != "" {
		if file := filepath.Join(dir, program); executable(file) {
			return filepath.Abs(file)
		}
	}
	file, err := exec.LookPath(program)
	if err != nil {
		return "", &missing{program, hint}
	}
	return filepath.Abs(file)
}

// group are the processes of a cluster.
type group []*process

func (g group) cpu() (total time.Duration, err error) {
	for _, p := range g {
		one, err := cpuOf(p.command.Process.Pid)
		if err != nil {
			return 0, err
		}
		total += one
	}
	return total, nil
}
