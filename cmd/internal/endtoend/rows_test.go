//go:build unix

package endtoend

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ringrift/rift/domain"
)

// The failures of the original cluster are numbered; the tests here are named
// after those that take a process to show.

// types counts the events of a log by type.
func types(events []domain.Envelope) map[string]int {
	count := map[string]int{}
	for _, e := range events {
		count[e.Type]++
	}
	return count
}

// has waits until a node's log holds so many events of a type.
func (c *caller) has(t *testing.T, eventType string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d of %s", n, eventType), func() bool {
		var page struct {
			Events []json.RawMessage `json:"events"`
		}
		c.read(t, "/events?limit=1000&type="+eventType, &page)
		return len(page.Events) >= n
	})
}

// read asks a query and decodes its answer.
func (c *caller) read(t *testing.T, path string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: found %d, %v", path, response.StatusCode, err)
	}
}

// Row 17: games got weaker for months because twenty games of noise promoted
// their models. Few games promote nothing, and the refusal says how many are
// wanted.
func TestRow17FewGamesPromoteNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data)
	c := node.caller()
	for i := range 5 {
		c.must(t, order{fmt.Sprintf("eval-%d", i), "/events", fmt.Sprintf(`{"type":"EVALUATION_COMPLETED","payload":{"config_key":"hex8_2p","model_id":"m%d","games_played":40,
			"results":[{"opponent":"random","wins":20,"losses":0,"draws":0},{"opponent":"heuristic","wins":%d,"losses":%d,"draws":0}]}}`, i, 12+i, 8-i)})
	}
	c.has(t, "PROMOTION_FAILED", 5)
	node.stop(syscall.SIGTERM)
	events := inspect(t, data)
	if n := types(events)["MODEL_PROMOTED"]; n > 0 {
		t.Errorf("found %d models promoted by noise", n)
	}
	for _, e := range events {
		if e.Type == "PROMOTION_FAILED" && !strings.Contains(string(e.Data), `"games"`) {
			t.Errorf("found %s, want the number of games among the reasons", e.Data)
		}
	}
}

// Row 20: of four sibling entries one was completed and 53 stuck, and models went
// into use past the gate. Siblings end one by one, those that wait for one
// another go on, and a training by itself promotes nothing.
func TestRow20SiblingsEndOneByOne(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data)
	c := node.caller()
	c.must(t, order{"train", "/work/add", `{"task_id":"train","task_type":"training","config_key":"hex8_2p"}`})
	const siblings = 4
	for i := range siblings {
		c.must(t, order{fmt.Sprintf("s-%d", i), "/work/add", fmt.Sprintf(`{"task_id":"sibling-%d","task_type":"export","config_key":"hex8_2p","depends_on":["train"]}`, i)})
	}
	for i := range siblings {
		// One of a config at a time on a node: each sibling has a node of its own,
		// and the first one's runs the training too.
		items := 1
		if i == 0 {
			items = 2
		}
		worker := exec.CommandContext(t.Context(), binary, "worker", "--addr", "127.0.0.1:1,"+node.address, "--node-id", fmt.Sprintf("gpu-%d", i), "--slots", "2",
			"--scratch", t.TempDir(), "--poll", "20ms", "--max-items", strconv.Itoa(items), "--", "/bin/sh", "-c", "exit 0")
		worker.Env = environment()
		if said, err := worker.CombinedOutput(); err != nil {
			t.Fatalf("worker %d: %v\n%s", i, err, said)
		}
	}
	node.stop(syscall.SIGTERM)
	events := inspect(t, data)
	ends := map[domain.StreamID]int{}
	for _, e := range events {
		if e.Type == "TASK_COMPLETED" {
			ends[e.Stream]++
		}
	}
	if len(ends) != siblings+1 {
		t.Errorf("found %v completed, want the training and %d siblings", ends, siblings)
	}
	for stream, n := range ends {
		if n != 1 {
			t.Errorf("%s: found %d ends, want one", stream, n)
		}
	}
	if n := types(events)["MODEL_PROMOTED"]; n > 0 {
		t.Errorf("found %d models promoted past the gate", n)
	}
}

// Row 25: a silent node advertised no jobs, and a dispatcher gave it one more
// every 25 s until 47 ran and none finished. The leases that were given count,
// whatever the node says of itself.
func TestRow25ADispatcherRemembersWhatItGave(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data)
	c := node.caller()
	c.must(t, order{"reg", "/nodes/register", `{"node_id":"silent-1","facts":{"slots":3}}`})
	const wanted = 47
	for i := range wanted {
		c.must(t, order{fmt.Sprintf("add-%d", i), "/work/add", fmt.Sprintf(`{"task_id":"job-%d","task_type":"gauntlet","config_key":"hex8_2p"}`, i)})
	}
	given := 0
	for i := range wanted {
		c.must(t, order{fmt.Sprintf("beat-%d", i), "/nodes/heartbeat", `{"node_id":"silent-1","level":{"jobs":0,"gpu_percent":0}}`})
		given += len(c.must(t, order{fmt.Sprintf("claim-%d", i), "/work/claim", `{"node_id":"silent-1","slots":8,"limit":8}`}).Items)
	}
	if given != 3 {
		t.Errorf("found %d items given to a node with 3 slots that finishes none", given)
	}
	var why struct {
		Gates []struct {
			Gate string `json:"gate"`
			OK   bool   `json:"ok"`
		} `json:"gates"`
	}
	c.read(t, "/work/explain?node=silent-1", &why)
	closed := []string{}
	for _, gate := range why.Gates {
		if !gate.OK {
			closed = append(closed, gate.Gate)
		}
	}
	if !strings.Contains(strings.Join(closed, " "), "slots") {
		t.Errorf("found the gates %v closed, want the slots among them", closed)
	}
}

// Row 28: 599 tasks that nobody waited for leaked in ten hours, until nothing
// answered. What callers leave behind ends with them, and there is a bound on it.
func TestRow28NothingLeaksBehindCallers(t *testing.T) {
	node := serve(t, filepath.Join(t.TempDir(), "data"), "--limits-subscribers", "80")
	c := node.caller()
	c.must(t, order{"add", "/work/add", `{"task_type":"selfplay"}`})
	goroutines := func() int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if count, found := strings.CutPrefix(lines.Text(), "go_goroutines "); found {
				n, err := strconv.ParseFloat(count, 64)
				if err != nil {
					t.Fatal(err)
				}
				return int(n)
			}
		}
		t.Fatal("found no go_goroutines among the metrics")
		return 0
	}
	before := goroutines()
	refused := 0
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for range 60 {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/events/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK {
			refused++
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}
	if refused != 20 {
		t.Errorf("found %d of 60 streams refused, want the 20 beyond the half that one caller may have", refused)
	}
	if during := goroutines(); during < before+40 {
		t.Errorf("found %d goroutines with 40 streams open and %d without: the count shows nothing", during, before)
	}
	leave()
	c.http.CloseIdleConnections()
	eventually(t, "what served the streams has ended", func() bool {
		c.http.CloseIdleConnections()
		return goroutines() < before+20
	})
}

// Row 29: six lists without a bound ate the memory. Whoever fills the queue, a
// body or a batch meets a bound with a code.
func TestRow29EverythingHasABound(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data)
	c := node.caller()
	c.must(t, order{"policy", "/policies/default", `{"reason":"test","policy":{"work":{"recovery_limit":5,"soft_limit":10,"hard_limit":20}}}`})
	refused := 0
	for i := range 60 {
		a, err := c.do(t.Context(), order{fmt.Sprintf("add-%d", i), "/work/add", `{"task_type":"selfplay","priority":10}`})
		switch {
		case err != nil:
			t.Fatal(err)
		case a.Code == domain.TooMany:
			refused++
		case !a.ok():
			t.Errorf("found %v", a)
		}
	}
	if refused != 40 {
		t.Errorf("found %d of 60 items refused, want the 40 beyond the limit of 20", refused)
	}
	for name, c2 := range map[string]struct {
		order
		code domain.Code
	}{
		"a body":     {order{"b1", "/work/add", `{"task_type":"selfplay","payload":"` + strings.Repeat("x", 2<<20) + `"}`}, domain.TooLarge},
		"a payload":  {order{"b2", "/work/add", `{"task_type":"selfplay","payload":"` + strings.Repeat("x", 300<<10) + `"}`}, domain.Invalid},
		"a claim":    {order{"b3", "/work/claim", `{"node_id":"n","limit":100000}`}, domain.Invalid},
		"words":      {order{"b4", "/nodes/register", `{"node_id":"n","capabilities":[` + strings.Repeat(`"w",`, 300) + `"w"]}`}, domain.Invalid},
		"what waits": {order{"b5", "/work/add", `{"task_type":"selfplay","depends_on":[` + strings.Repeat(`"t",`, 300) + `"t"]}`}, domain.Invalid},
	} {
		a, err := c.do(t.Context(), c2.order)
		if err != nil || a.Code != c2.code {
			t.Errorf("%s: found %v, %v, want %s", name, a, err, c2.code)
		}
	}
	node.stop(syscall.SIGTERM)
	if n := types(inspect(t, data))["TASK_SPAWNED"]; n != 20 {
		t.Errorf("found %d items in the log, want 20", n)
	}
}
