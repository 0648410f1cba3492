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

// rift is a node that serves an empty folder.
type rift struct {
	process *process
	address string
	version string
	batches bool // it completes in batches
}

// startRift serves a folder of its own on the loopback, with settings of
// nobody's environment and a policy that admits the load.
func startRift(ctx context.Context, program, dir string) (r *rift, err error) {
	version, err := versionOf(ctx, program)
	if err != nil {
		return nil, err
	}
	addrFile := filepath.Join(dir, "rift.addr")
	server := exec.Command(program, "serve", "--data", filepath.Join(dir, "rift"), "--listen", "127.0.0.1:0", "--addr-file", addrFile, "--log-level", "warn")
	server.Dir = dir
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "RIFT_") {
			server.Env = append(server.Env, pair)
		}
	}
	r = &rift{version: version}
	if r.process, err = start(server); err != nil {
		return nil, err
	}
	err = r.process.await(ctx, func(ctx context.Context) error {
		address, err := os.ReadFile(addrFile)
		if err != nil {
			return err
		}
		r.address = "http://" + strings.TrimSpace(string(address))
		return http11{r.address, http.DefaultClient}.get(ctx, "/readyz", nil)
	})
	if err != nil {
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// versionOf is the version of a rift and the revision it was built from, if known.
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

func (r *rift) prepare(ctx context.Context) error {
	h := http11{r.address, http.DefaultClient}
	if err := h.post(ctx, "/policies/default", policy, nil); err != nil {
		return err
	}
	var refused *statusError
	err := h.post(ctx, "/work/complete_batch", `{"items":[]}`, nil)
	r.batches = err == nil || !errors.As(err, &refused) || refused.status != http.StatusNotFound
	return nil
}

// notes says what was not measured as it should be.
func (r *rift) notes() []string {
	if r.batches {
		return nil
	}
	return []string{"this rift has no /work/complete_batch: the jobs of a batch were completed one by one"}
}

// nodeFacts are those of a node with room for the largest batch.
const nodeFacts = `"capabilities":["gpu"],"facts":{"gpu":"NVIDIA H100 PCIe","slots":256}`

// client registers a node and gives it a connection of its own.
func (r *rift) client(ctx context.Context, i int) (client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 1
	c := &riftClient{http11: http11{r.address, &http.Client{Transport: transport}}, transport: transport, node: nodeName(i), batches: r.batches}
	return c, c.post(ctx, "/nodes/register", fmt.Sprintf(`{"node_id":%q,%s}`, c.node, nodeFacts), nil)
}

// settle waits until the read models are where the log is and no reaction is due:
// what is left would run beside the peer's cell.
func (r *rift) settle(ctx context.Context) error {
	h := http11{r.address, http.DefaultClient}
	for {
		before, err := r.numbers(ctx, h)
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
		after, err := r.numbers(ctx, h)
		if err != nil {
			return err
		}
		if after["outbox"]["depth"] == 0 && after["log"]["head"] == before["log"]["head"] {
			return nil
		}
	}
}

// numbers are those of the health of the node, by the name of the check.
func (r *rift) numbers(ctx context.Context, h http11) (map[string]map[string]int64, error) {
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

func (r *rift) cpu() (time.Duration, error) { return cpuOf(r.process.command.Process.Pid) }

func (r *rift) stop() error { return r.process.stop(syscall.SIGTERM) }
