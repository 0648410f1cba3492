package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// rift is a node with a folder that was empty.
type rift struct {
	node
	version string
	batches bool // whether clients complete jobs in batches
}

// node is a process that serves a folder.
type node struct {
	process *process
	address string // URL
}

// launch starts a node without the settings of the environment, with these flags. It does
// not wait until the node is ready.
func launch(program, dir string, flags ...string) (n node, err error) {
	server := exec.Command(program, append([]string{"serve", "--data", dir, "--log-level", "warn"}, flags...)...)
	server.Dir = filepath.Dir(dir)
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "RIFT_") {
			server.Env = append(server.Env, pair)
		}
	}
	n.process, err = start(server)
	return n, err
}

// ready waits until all parts of the node are ready.
func (n *node) ready(ctx context.Context) error {
	return n.process.await(ctx, func(ctx context.Context) error {
		return http11{n.address, http.DefaultClient}.get(ctx, "/readyz", nil)
	})
}

func (n *node) stop() error { return n.process.stop(syscall.SIGTERM) }

func (n *node) cpu() (time.Duration, error) { return cpuOf(n.process.command.Process.Pid) }

// startRift starts a node on the loopback address with a folder of its own, and sets a
// policy that admits the load.
func startRift(ctx context.Context, program, dir string) (r *rift, err error) {
	r = &rift{}
	if r.version, err = versionOf(ctx, program); err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	if r.node, err = launch(program, filepath.Join(dir, "rift"), "--listen", listen); err != nil {
		return nil, err
	}
	r.address = "http://" + listen
	if err := r.ready(ctx); err != nil {
		return nil, err
	}
	if r.batches, err = prepare(ctx, r.address); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// versionOf returns the version of a rift program, and the revision of its source if
// known.
func versionOf(ctx context.Context, program string) (string, error) {
	text, err := exec.CommandContext(ctx, program, "version", "-o", "json").Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", program, err)
	}
	var build struct{ Version, Revision string }
	if err := json.Unmarshal(text, &build); err != nil {
		return "", fmt.Errorf("%s version: %w", program, err)
	}
	return strings.TrimSpace(build.Version + " " + build.Revision[:min(len(build.Revision), 12)]), nil
}

// policy lets any number of jobs wait, and a worker claim a batch.
const policy = `{"policy":{"work":{"soft_limit":1000000000,"hard_limit":2000000000,"claim_limit":1000}},"reason":"a load to measure"}`

// prepare sets the policy, and reports whether jobs can be completed in batches.
func prepare(ctx context.Context, address string) (batches bool, err error) {
	h := http11{address, http.DefaultClient}
	if err := h.post(ctx, "/policies/default", policy, nil); err != nil {
		return false, err
	}
	var refused *statusError
	err = h.post(ctx, "/work/complete_batch", `{"items":[]}`, nil)
	return err == nil || !errors.As(err, &refused) || refused.status != http.StatusNotFound, nil
}

// notes says what could not be measured as intended.
func (r *rift) notes() []string {
	if r.batches {
		return nil
	}
	return []string{"this rift has no /work/complete_batch: the jobs of a batch were completed one by one"}
}

// nodeFacts describe a node with room for the largest batch.
const nodeFacts = `"capabilities":["gpu"],"facts":{"gpu":"NVIDIA H100 PCIe","slots":256}`

func (r *rift) client(ctx context.Context, i int) (client, error) {
	return register(ctx, r.address, i, r.batches)
}

// register registers the i-th worker at a node, with a connection of its own.
func register(ctx context.Context, address string, i int, batches bool) (client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 1
	c := &riftClient{http11: http11{address, &http.Client{Transport: transport}}, transport: transport, node: nodeName(i), batches: batches}
	return c, c.post(ctx, "/nodes/register", fmt.Sprintf(`{"node_id":%q,%s}`, c.node, nodeFacts), nil)
}

func (r *rift) settle(ctx context.Context) error { return settle(ctx, r.address) }

// settle waits until the read models of a node have applied the log and the outbox is
// empty. Otherwise that work would run during the peer's measurement.
func settle(ctx context.Context, address string) error {
	h := http11{address, http.DefaultClient}
	for {
		before, err := numbers(ctx, h)
		if err != nil {
			return err
		}
		err = h.get(ctx, fmt.Sprintf("/work/items?limit=1&after=%d", before["log"]["head"]), nil)
		var refused *statusError
		if errors.As(err, &refused) && refused.status == http.StatusGatewayTimeout {
			continue
		}
		if err != nil {
			return err
		}
		after, err := numbers(ctx, h)
		if err != nil {
			return err
		}
		if after["outbox"]["depth"] == 0 && after["log"]["head"] == before["log"]["head"] {
			return nil
		}
	}
}

// numbers returns the numbers in the health of the node, by the name of the check.
func numbers(ctx context.Context, h http11) (map[string]map[string]int64, error) {
	var health struct {
		Checks []struct {
			Name    string           `json:"name"`
			Numbers map[string]int64 `json:"numbers"`
		} `json:"checks"`
	}
	if err := h.get(ctx, "/admin/health", &health); err != nil {
		return nil, err
	}
	numbers := map[string]map[string]int64{}
	for _, check := range health.Checks {
		numbers[check.Name] = check.Numbers
	}
	if numbers["log"]["head"] == 0 {
		return nil, fmt.Errorf("want the head of the log in the health of the node, found %v", numbers)
	}
	return numbers, nil
}
