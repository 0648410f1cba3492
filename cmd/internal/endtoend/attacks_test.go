//go:build unix

package endtoend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// attackedMemory is the limit of the node that is attacked: the least there is.
const attackedMemory = 256 << 20

// Whatever hostile callers do, every command of honest workers is taken, the node
// stays within its memory, and it ends well while they go on.
func TestAttacks(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data, "--memory-limit", strconv.Itoa(attackedMemory), "--log-level", "error")
	c := node.caller()
	c.must(t, quickly(600))
	addLongItems(t, c)
	for _, attack := range attacks() {
		end, err := attack.begin(t.Context(), node.address)
		if err != nil {
			t.Fatal(err)
		}
		workHonestly(t, c, attack.name)
		t.Logf("%s: %d hostile requests, largest resident size %d MiB", attack.name, end(), node.peak(t)>>20)
	}
	for _, attack := range attacks() {
		end, err := attack.begin(t.Context(), node.address)
		if err != nil {
			t.Fatal(err)
		}
		defer end()
	}
	workHonestly(t, c, "all-at-once")
	if peak := node.peak(t); peak > attackedMemory {
		t.Errorf("want at most %d bytes resident, found %d", attackedMemory, peak)
	}
	node.stop(syscall.SIGTERM)
	done := map[string]int{}
	for _, e := range inspect(t, data) {
		done[e.Type]++
	}
	if want := honestWorkers * honestJobs * (len(attacks()) + 1); done["TASK_COMPLETED"] != want {
		t.Errorf("want %d items completed, found %d", want, done["TASK_COMPLETED"])
	}
}

// addLongItems adds 4,000 items with payloads of 8 KiB.
func addLongItems(t testing.TB, c *caller) {
	t.Helper()
	const batches, each = 40, 100
	for n := range batches {
		var items []string
		for range each {
			items = append(items, fmt.Sprintf(`{"task_type":"selfplay","payload":{"pad":%q}}`, strings.Repeat("x", 8<<10)))
		}
		c.must(t, order{fmt.Sprint("seed-", n), "/work/add_batch", `{"items":[` + strings.Join(items, ",") + `]}`})
	}
}

const (
	honestWorkers = 8
	honestJobs    = 20 // of each worker beside each attack
)

// workHonestly lets workers do jobs, each command of which has to be taken.
func workHonestly(t *testing.T, c *caller, beside string) {
	t.Helper()
	var workers sync.WaitGroup
	for w := range honestWorkers {
		workers.Go(func() {
			for j := range honestJobs {
				if err := honestJob(t.Context(), c, fmt.Sprintf("%s-%d-%d", beside, w, j), fmt.Sprintf("gpu-%d", w), nil); err != nil {
					t.Errorf("beside %s: %v", beside, err)
					return
				}
			}
		})
	}
	workers.Wait()
}

// honestJob claims an item, sends one heartbeat for it and completes it. took, unless it
// is nil, is told how long each command took.
func honestJob(ctx context.Context, c *caller, key, node string, took func(path string, d time.Duration)) error {
	taken := func(path, body string) (answer, error) {
		began := time.Now()
		a, err := c.do(ctx, order{key + path, path, body})
		if took != nil {
			took(path, time.Since(began))
		}
		if err == nil && !a.ok() {
			err = errors.New(a.String())
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", key, path, err)
		}
		return a, err
	}
	claimed, err := taken("/work/claim", fmt.Sprintf(`{"node_id":%q,"limit":1}`, node))
	if err != nil {
		return err
	}
	if len(claimed.Items) != 1 {
		return fmt.Errorf("%s: want one item, found %v", key, claimed.Items)
	}
	item := fmt.Sprintf(`{"task_id":%q,"lease":%d}`, claimed.Items[0].TaskID, claimed.Items[0].Lease)
	if _, err := taken("/work/heartbeat", item); err != nil {
		return err
	}
	_, err = taken("/work/complete", item)
	return err
}

// peak is the largest resident size the process has had, in bytes, and 0 where the
// system does not say.
func (p *process) peak(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if size, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(size), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("want VmHWM in %q", text)
	return 0
}
