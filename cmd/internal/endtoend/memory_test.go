package endtoend

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ringrift/rift/domain"
)

// A queue that callers fill as far as they can, with small items and with the largest,
// is refused as too long before the node's memory is used up; whatever is tried or
// asked then, the node stays within it, and so does the next process of the folder.
func TestAFullQueueStaysWithinMemory(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	flags := []string{"--memory-limit", strconv.Itoa(attackedMemory), "--log-level", "error"}
	node := serve(t, data, flags...)
	c := node.caller()
	c.must(t, quickly(600))
	var names []string
	for n := range 64 {
		names = append(names, fmt.Sprintf(`"%s-%d"`, strings.Repeat("d", 190), n))
	}
	small := `{"task_type":"selfplay","payload":{"pad":"` + strings.Repeat("x", 500) + `"}}`
	large := `{"task_type":"selfplay","unique_key":"%d-%d","depends_on":[` + strings.Join(names, ",") + `]}`
	added, refused := 0, answer{}
	for n := 0; refused.Code == ""; n++ {
		if n == 2000 {
			t.Fatal("want the queue full at last")
		}
		var items []string
		for i := range 50 {
			if n < 60 {
				items = append(items, small)
			} else {
				items = append(items, fmt.Sprintf(large, n, i))
			}
		}
		c.must(t, order{fmt.Sprint("fill-", n), "/work/add_batch", `{"items":[` + strings.Join(items, ",") + `]}`})
		var err error
		if refused, err = c.do(t.Context(), order{fmt.Sprint("probe-", n), "/work/add", `{"task_type":"selfplay","force":true}`}); err != nil {
			t.Fatal(err)
		}
		added += len(items)
	}
	if refused.Code != domain.TooMany || !strings.Contains(refused.Detail, "memory") {
		t.Errorf("want too_many for want of memory, found %v", refused)
	}
	t.Logf("%d items, largest resident size %d MiB", added, node.peak(t)>>20)
	tryAtOnce(t, c)
	workHonestly(t, c, "a-full-queue")
	within(t, node)
	node.signal(syscall.SIGKILL)
	node.wait()
	next := serve(t, data, flags...)
	tryAtOnce(t, next.caller())
	workHonestly(t, next.caller(), "the-next-process")
	within(t, next)
	next.stop(syscall.SIGTERM)
}

// tryAtOnce has what needs a queue of its own done by many at once.
func tryAtOnce(t *testing.T, c *caller) {
	t.Helper()
	var callers sync.WaitGroup
	for n := range 16 {
		callers.Go(func() {
			for range 3 {
				if a, err := c.do(t.Context(), order{"", "/work/claim?dry_run=1", fmt.Sprintf(`{"node_id":"gpu-%d"}`, n)}); err != nil || !a.ok() {
					t.Errorf("a claim that is tried: found %v, %v", a, err)
				}
				response, err := c.http.Get(c.base + "/work/explain?node=gpu-1&at=500") // it may be refused: few are answered at once
				if err == nil {
					err = response.Body.Close()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
}

func within(t *testing.T, node *process) {
	t.Helper()
	peak := node.peak(t)
	t.Logf("largest resident size %d MiB", peak>>20)
	if peak > attackedMemory {
		t.Errorf("want at most %d bytes resident, found %d", attackedMemory, peak)
	}
}
