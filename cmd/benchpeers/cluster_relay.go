package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// relayed is the cost of mailboxes.
type relayed struct {
	Direct float64 `json:"direct_us"`  // median of a call to a node
	Hub    float64 `json:"through_us"` // median of the same call through its mailbox at another node
	Poll   float64 `json:"poll_kib"`   // memory of the hub for each waiting poll
}

const (
	relayedCalls = 2000
	waitingPolls = 1000
	relayedPath  = "/work/status"
)

// measureRelay starts a node that takes its calls from a hub, and calls it both ways in
// turn.
func measureRelay(ctx context.Context, program, dir string, hub *rift) (r relayed, err error) {
	port, err := freePort(ctx)
	if err != nil {
		return r, err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	behind, err := launch(program, filepath.Join(dir, "behind"), "--listen", listen, "--node-id", "behind", "--relay-hub", hub.address)
	if err != nil {
		return r, err
	}
	behind.address = "http://" + listen
	defer func() { err = errors.Join(err, behind.stop()) }()
	if err := behind.ready(ctx); err != nil {
		return r, err
	}
	h := http11{hub.address, http.DefaultClient}
	through := "/relay/to/behind" + relayedPath
	if err := poll(ctx, "the mailbox open", func() bool { return h.get(ctx, through, nil) == nil }); err != nil {
		return r, err
	}
	var direct, hubbed []time.Duration
	for range relayedCalls {
		one, err := timed(func() error { return http11{behind.address, http.DefaultClient}.get(ctx, relayedPath, nil) })
		if err != nil {
			return r, err
		}
		other, err := timed(func() error { return h.get(ctx, through, nil) })
		if err != nil {
			return r, err
		}
		direct, hubbed = append(direct, one), append(hubbed, other)
	}
	slices.Sort(direct)
	slices.Sort(hubbed)
	r.Direct, r.Hub = micros(direct[relayedCalls/2]), micros(hubbed[relayedCalls/2])
	r.Poll, err = measurePolls(ctx, hub)
	return r, err
}

func timed(do func() error) (time.Duration, error) {
	began := time.Now()
	err := do()
	return time.Since(began), err
}

// measurePolls runs polls of many nodes at a hub at the same time, and returns the hub's
// memory for each.
func measurePolls(ctx context.Context, hub *rift) (kib float64, err error) {
	h := http11{hub.address, http.DefaultClient}
	for i := range waitingPolls {
		if err := h.post(ctx, "/relay/register", fmt.Sprintf(`{"node_id":"poll-%d","ttl":300}`, i), nil); err != nil {
			return 0, err
		}
	}
	before, err := residentOf(hub.process.command.Process.Pid)
	if err != nil {
		return 0, err
	}
	polling, stop := context.WithCancelCause(ctx)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	var polls sync.WaitGroup
	defer func() {
		stop(nil)
		polls.Wait()
		transport.CloseIdleConnections()
	}()
	for i := range waitingPolls {
		polls.Go(func() {
			err := http11{hub.address, &http.Client{Transport: transport}}.post(polling, "/relay/poll", fmt.Sprintf(`{"node_id":"poll-%d","wait":25}`, i), nil)
			stop(fmt.Errorf("a poll ended: %w", err)) // a poll ended before the measurement did
		})
	}
	var status struct{ Counts struct{ Polls int } }
	if err := poll(polling, "all polls waiting", func() bool {
		return h.get(ctx, "/relay/status", &status) == nil && status.Counts.Polls >= waitingPolls
	}); err != nil {
		return 0, fmt.Errorf("%w; %d of %d wait: %w", err, status.Counts.Polls, waitingPolls, context.Cause(polling))
	}
	after, err := residentOf(hub.process.command.Process.Pid)
	return float64(max(after-before, 0)) / waitingPolls, err
}

// residentOf returns the resident memory of a process in KiB.
func residentOf(pid int) (kib int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
		}
	}
	return 0, fmt.Errorf("memory of %d: want VmRSS in /proc/%d/status, found none", pid, pid)
}
