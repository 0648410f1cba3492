//go:build unix

package endtoend

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A node is stopped for longer than a lease. Who held a lease and says so when the
// node goes on keeps it; the lease of a holder that is gone ends.
func TestAPauseOfTheNodeCostsNoLease(t *testing.T) {
	const lease = 4 * time.Second
	node := serve(t, filepath.Join(t.TempDir(), "data"), "--log-level", "error")
	c := node.caller()
	c.must(t, order{"lease", "/policies/default", fmt.Sprintf(`{"policy":{"work":{"lease_seconds":%d}},"reason":"test"}`, int(lease.Seconds()))})
	for _, item := range []string{"kept", "gone"} {
		c.must(t, order{"add-" + item, "/work/add", fmt.Sprintf(`{"task_id":%q,"task_type":%q}`, item, item)})
		c.must(t, order{"claim-" + item, "/work/claim", fmt.Sprintf(`{"node_id":"w-%s","capabilities":[%q]}`, item, item)})
	}
	node.signal(syscall.SIGSTOP)
	ends := time.Now().Add(lease + 2*time.Second)
	eventually(t, "the pause is longer than a lease", func() bool { return time.Now().After(ends) })
	node.signal(syscall.SIGCONT)
	for n := range 3 {
		c.must(t, order{fmt.Sprint("beat-", n), "/work/heartbeat", `{"task_id":"kept","lease":1}`})
	}
	eventually(t, "the lease of the holder that is gone ends", func() bool {
		c.must(t, order{fmt.Sprint("beat-", time.Now().UnixNano()), "/work/heartbeat", `{"task_id":"kept","lease":1}`})
		return item(t, c, "gone") == "queued"
	})
	if state := item(t, c, "kept"); state != "leased" {
		t.Errorf("want the lease of a holder that is heard kept, found the item %s", state)
	}
}

// item is the state of an item.
func item(t *testing.T, c *caller, id string) string {
	t.Helper()
	var found struct{ Item struct{ State string } }
	c.read(t, "/work/items/"+id, &found)
	return found.Item.State
}
