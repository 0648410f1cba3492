package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// caller is one client of a cell: a connection, and the node it claims for.
type caller struct {
	*connection
	host   string
	node   string
	micros []float64 // latencies of the timed requests of the measured time
	jobs   int       // completed, those of the unmeasured time too
}

// called is what callers did.
type called struct {
	rate   float64   // operations a second in the measured time
	micros []float64 // sorted latencies of what they timed in it
	jobs   int       // in all, the unmeasured time included
}

// calls lets clients repeat an operation, each over its own connection.
func (s *suite) calls(ctx context.Context, address string, clients int, operation func(*caller) error) (did called, err error) {
	callers := make([]*caller, 0, clients)
	defer func() {
		for _, c := range callers {
			err = errors.Join(err, c.socket.Close())
		}
	}()
	for i := range clients {
		c, err := dial(ctx, address)
		if err != nil {
			return did, err
		}
		c.keeps = true
		callers = append(callers, &caller{connection: c, host: address, node: callerNode(i)})
	}
	from := time.Now().Add(s.warmTime())
	did.rate, err = repeat(ctx, clients, s.warmTime(), s.cellTime(), func(_ context.Context, worker, _ int) error {
		if time.Now().Before(from) {
			callers[worker].micros = callers[worker].micros[:0]
		}
		return operation(callers[worker])
	})
	if err != nil {
		return did, err
	}
	for _, c := range callers {
		did.micros = append(did.micros, c.micros...)
		did.jobs += c.jobs
	}
	slices.Sort(did.micros)
	return did, nil
}

func callerNode(i int) string { return fmt.Sprintf("gpu-%03d", i) }

// register makes the nodes of callers known, with room for a batch.
func (c *server) register(ctx context.Context, clients int) error {
	for i := range clients {
		status, answer, err := c.call(ctx, http.MethodPost, "/nodes/register", fmt.Sprintf(`{"node_id":%q,"capabilities":["gpu"],"facts":{"gpu":"NVIDIA H100 PCIe","slots":256}}`, callerNode(i)))
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return domain.Errorf(domain.Internal, "bench: register a node: %d %s", status, answer)
		}
	}
	return nil
}

// timed sends a request whose latency counts.
func (c *caller) timed(request []byte) error {
	asked := time.Now()
	if err := c.exchange(request); err != nil {
		return err
	}
	c.micros = append(c.micros, float64(time.Since(asked))/float64(time.Microsecond))
	return nil
}

func (c *caller) send(path, body string) error { return c.exchange(post(c.host, path, body)) }

const (
	claimPath    = "/work/claim"
	completePath = "/work/complete"
	addPath      = "/work/add"
	addBody      = `{"task_type":"selfplay","config_key":"hex8_2p"}`
)

// noJob sends the bodies of a job to where nothing comes of them; the first is timed.
func (c *caller) noJob() error {
	return errors.Join(
		c.timed(post(c.host, barePath, fmt.Sprintf(`{"node_id":%q,"limit":1}`, c.node))),
		c.send(barePath, `{"task_id":"t-0196a1c4-0000","lease":1}`),
		c.send(barePath, addBody))
}

// claimedItem is what a caller needs of an item that it claimed.
type claimedItem struct {
	TaskID string `json:"task_id"`
	Lease  uint64 `json:"lease"`
}

// claim takes at least one item and at most n; it is timed.
func (c *caller) claim(n int) ([]claimedItem, error) {
	if err := c.timed(post(c.host, claimPath, fmt.Sprintf(`{"node_id":%q,"limit":%d}`, c.node, n))); err != nil {
		return nil, err
	}
	var answer struct {
		Items []claimedItem `json:"items"`
	}
	if err := json.Unmarshal(c.body, &answer); err != nil {
		return nil, domain.Errorf(domain.Internal, "bench: the answer to a claim: %w", err)
	}
	if len(answer.Items) == 0 || len(answer.Items) > n {
		return nil, domain.Errorf(domain.Internal, "bench: want 1 to %d items claimed by %s, found %s", n, c.node, bytes.TrimSpace(c.body))
	}
	return answer.Items, nil
}

// job takes an item through its life and puts another in its place; n > 1 does
// it to n items in batches.
func (c *caller) job(n int) error {
	for left := n; left > 0; {
		items, err := c.claim(left)
		if err != nil {
			return err
		}
		left -= len(items)
		c.jobs += len(items)
		if err := c.complete(items); err != nil {
			return err
		}
	}
	if n > 1 {
		return c.sendBatch(addPath+"_batch", slices.Repeat([]string{addBody}, n))
	}
	return c.send(addPath, addBody)
}

// sendBatch sends items in one request and wants each of them taken.
func (c *caller) sendBatch(path string, items []string) error {
	if err := c.send(path, `{"items":[`+strings.Join(items, ",")+`]}`); err != nil {
		return err
	}
	var answer struct {
		Items []struct {
			Code   domain.Code `json:"code"`
			Detail string      `json:"detail"`
		} `json:"items"`
	}
	if err := json.Unmarshal(c.body, &answer); err != nil {
		return domain.Errorf(domain.Internal, "bench: the answer to %s: %w", path, err)
	}
	if len(answer.Items) != len(items) {
		return domain.Errorf(domain.Internal, "bench: %s: want %d outcomes, found %d", path, len(items), len(answer.Items))
	}
	for i, item := range answer.Items {
		if item.Code != "" {
			return domain.Errorf(domain.Internal, "bench: %s: items[%d]: %s %s", path, i, item.Code, item.Detail)
		}
	}
	return nil
}

// completion is the report that an item is done.
func (i claimedItem) completion() string {
	return fmt.Sprintf(`{"task_id":%q,"lease":%d}`, i.TaskID, i.Lease)
}

func (c *caller) complete(items []claimedItem) error {
	if len(items) > 1 {
		reports := make([]string, len(items))
		for i, item := range items {
			reports[i] = item.completion()
		}
		return c.sendBatch(completePath+"_batch", reports)
	}
	for _, item := range items {
		if err := c.send(completePath, item.completion()); err != nil {
			return err
		}
	}
	return nil
}
