//go:build unix

package endtoend

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// The chaos: so many workers, of which a third may be in trouble at a time.
const (
	chaosWorkers = 16
	chaosTrouble = chaosWorkers/3 + 1
	chaosSlots   = 4
	chaosBurst   = 8   // items added at once, so that a worker gets several
	chaosLease   = 1.0 // seconds
)

// guest works for as long as its item says and gives a result.
const guest = `echo 'progress: {"begun":true}'; sleep "$RIFT_PAYLOAD"; echo "result: {\"lease\":$RIFT_LEASE}"`

// hand is one worker on its line: a process, and the next one under the same
// name after it was killed.
type hand struct {
	t       *testing.T
	name    string
	proxy   *proxy
	folder  string
	stderr  *said
	command *exec.Cmd
	exited  chan struct{}
	trouble bool
	greeted int64 // registrations before the process began
}

func (h *hand) start() {
	h.t.Helper()
	h.greeted = h.proxy.greeted.Load()
	h.command = exec.Command(binary, "worker",
		"--node-id", h.name, "--addr", h.proxy.server.URL, "--scratch", h.folder, "--slots", fmt.Sprint(chaosSlots),
		"--timeout", "500ms", "--poll", "100ms", "--node-heartbeat", "500ms", "--grace", "200ms", "--orphan-grace", "300ms",
		"--drain-timeout", "100ms", "--report-timeout", "3s", "--log-level", "error", "--", "/bin/sh", "-c", guest)
	h.command.Env = environment()
	h.command.Dir = h.folder
	h.command.Stdout, h.command.Stderr = io.Discard, h.stderr
	if err := h.command.Start(); err != nil {
		h.t.Error(err)
		return
	}
	exited, command := make(chan struct{}), h.command
	h.exited = exited
	go func() {
		_ = command.Wait() // the state says how it ended
		close(exited)
	}()
}

func (h *hand) signal(s os.Signal) {
	_ = h.command.Process.Signal(s) // to one that is gone, none
}

// kill ends the worker as a power cut would, and waits until it is gone.
func (h *hand) kill() {
	h.signal(syscall.SIGKILL)
	<-h.exited
}

// trouble is something that happens to a worker and passes.
type trouble struct {
	name string
	run  func(h *hand, lasts <-chan time.Time)
}

func onLine(state line) func(*hand, <-chan time.Time) {
	return func(h *hand, lasts <-chan time.Time) {
		h.proxy.set(state)
		<-lasts
		h.proxy.set(lineOpen)
	}
}

var troubles = []trouble{
	{"killed", func(h *hand, lasts <-chan time.Time) {
		h.kill()
		<-lasts
		h.start()
	}},
	{"told to stop", func(h *hand, lasts <-chan time.Time) {
		h.signal(syscall.SIGTERM)
		<-h.exited
		<-lasts
		h.start()
	}},
	{"paused", func(h *hand, lasts <-chan time.Time) {
		h.signal(syscall.SIGSTOP)
		<-lasts
		h.signal(syscall.SIGCONT)
	}},
	{"cut off", onLine(lineCut)},
	{"without answers", onLine(lineOneWay)},
	{"on a dead line", onLine(lineDead)},
}

// chaos is a run: workers, their lines, and what happens to them.
type chaos struct {
	t       *testing.T
	random  *rand.Rand
	witness *witness
	caller  *caller
	hands   []*hand
	mu      sync.Mutex
	passing sync.WaitGroup
	count   map[string]int
	added   int
}

// add queues an item; most are short, some outlast a lease.
func (c *chaos) add() {
	name := fmt.Sprintf("c-%d", c.added)
	c.added++
	seconds := 0.01 + 0.2*c.random.Float64()
	if c.random.IntN(8) == 0 {
		seconds = chaosLease * (1 + c.random.Float64())
	}
	c.witness.do(c.t, c.caller, chaosWorkers, order{"add-" + name, "/work/add", fmt.Sprintf(`{"task_id":%q,"task_type":"selfplay","payload":%.3f,"max_attempts":1000}`, name, seconds)})
}

// cancel has had enough of an item.
func (c *chaos) cancel() {
	name := fmt.Sprintf("c-%d", c.random.IntN(c.added))
	c.witness.do(c.t, c.caller, chaosWorkers, order{"cancel-" + name, "/work/cancel", fmt.Sprintf(`{"task_id":%q}`, name)})
}

// haunt reports an item done under a lease of the past.
func (c *chaos) haunt(n int) {
	c.witness.mu.Lock()
	var old []lease
	last := map[domain.TaskID]uint64{}
	for _, key := range c.witness.order {
		if c.witness.ledger.entries[key].path != "/work/claim" {
			continue
		}
		for _, item := range c.witness.told[key].Items {
			last[item.TaskID] = max(last[item.TaskID], item.Lease)
			old = append(old, item)
		}
	}
	c.witness.mu.Unlock()
	old = slices.DeleteFunc(old, func(l lease) bool { return l.Lease == last[l.TaskID] })
	if len(old) == 0 {
		return
	}
	ghost := old[c.random.IntN(len(old))]
	a := c.witness.do(c.t, c.caller, chaosWorkers, order{fmt.Sprintf("ghost-%d", n), "/work/complete", fmt.Sprintf(`{"task_id":%q,"lease":%d}`, ghost.TaskID, ghost.Lease)})
	if a.Code != domain.StaleLease {
		c.t.Errorf("a ghost of %s under lease %d: found %v, want it refused", ghost.TaskID, ghost.Lease, a)
	}
	c.count["haunted"]++
}

// afflict picks a worker that is well and lets something happen to it.
func (c *chaos) afflict() {
	c.mu.Lock()
	var well []*hand
	for _, h := range c.hands {
		if !h.trouble {
			well = append(well, h)
		}
	}
	if len(well) <= chaosWorkers-chaosTrouble {
		c.mu.Unlock()
		return
	}
	h := well[c.random.IntN(len(well))]
	h.trouble = true
	c.mu.Unlock()
	what := troubles[c.random.IntN(len(troubles))]
	c.count[what.name]++
	lasts := time.After(time.Duration(200+c.random.IntN(2800)) * time.Millisecond)
	c.passing.Go(func() {
		what.run(h, lasts)
		c.mu.Lock()
		defer c.mu.Unlock()
		h.trouble = false
	})
}

// pending asks how many items have not ended.
func (c *chaos) pending() int {
	n, err := unended(c.t.Context(), c.caller.base+"/work/status")
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// unended counts the items that have not ended, by the answer of a node.
func unended(ctx context.Context, url string) (n int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var status struct {
		ByState map[work.State]int `json:"by_state"`
	}
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: found %s", url, response.Status)
	}
	for state, of := range status.ByState {
		if !state.Final() {
			n += of
		}
	}
	return n, nil
}

// Sixteen workers, a third of them killed, paused or partitioned at any moment:
// every item is completed exactly once, ghosts are refused, nothing is stuck at
// the end, and what went over the wires is what some order of it, one after the
// other, would have given.
func TestChaos(t *testing.T) {
	lasts := time.Duration(number(t, "RIFT_CHAOS_SECONDS", 8)) * time.Second
	seed := number(t, "RIFT_CRASH_SEED", uint64(time.Now().UnixNano()))
	t.Logf("%v, RIFT_CRASH_SEED=%d", lasts, seed)
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data)
	c := &chaos{t: t, random: rand.New(rand.NewPCG(seed, 0)), witness: newWitness(), caller: node.caller(), count: map[string]int{}}
	c.caller.must(t, quickly(chaosLease))
	for i := range chaosWorkers {
		h := &hand{t: t, name: fmt.Sprintf("w-%d", i), proxy: newProxy(t, c.witness, node.address, i), folder: t.TempDir(), stderr: &said{}}
		c.hands = append(c.hands, h)
		h.start()
		t.Cleanup(func() { h.kill() })
	}
	over := time.After(lasts)
	work, mischief := time.NewTicker(chaosBurst*40*time.Millisecond), time.NewTicker(150*time.Millisecond)
	defer work.Stop()
	defer mischief.Stop()
	for n := 0; ; n++ {
		select {
		case <-work.C:
			for range chaosBurst {
				c.add()
				if c.random.IntN(40) == 0 {
					c.cancel()
				}
			}
			continue
		case <-mischief.C:
			c.afflict()
			c.haunt(n)
			continue
		case <-over:
		}
		break
	}
	c.passing.Wait()
	eventually(t, "every item ends", func() bool { return c.pending() == 0 })
	for _, h := range c.hands {
		eventually(t, "worker "+h.name+" is there", func() bool { return h.proxy.greeted.Load() > h.greeted })
		h.signal(syscall.SIGTERM)
	}
	for _, h := range c.hands {
		<-h.exited
		// A worker told to stop gives up on a report that no node answers in time,
		// and says so by its exit code; what became of the item is judged below.
		if code := h.command.ProcessState.ExitCode(); code != 0 && !(code == unreachable && strings.Contains(h.stderr.String(), "not reported; the lease ends by itself")) {
			t.Errorf("worker %s: found exit code %d, want 0:\n%s", h.name, code, h.stderr)
		}
	}
	node.stop(syscall.SIGTERM)
	c.judge(inspect(t, data))
}

// unreachable is the exit code of a command that no node answered.
const unreachable = 4

// judge compares the log with what went over the wires.
func (c *chaos) judge(events []domain.Envelope) {
	t := c.t
	t.Helper()
	var found faults
	byCommand := checkOrder(events, &found)
	c.witness.ledger.checkAnswers(events, byCommand, &found)
	checkQueue(events, &found)
	found.tell(t, "the log")
	ended := map[domain.StreamID]int{}
	types := map[string]int{}
	for _, e := range events {
		types[e.Type]++
		if e.Type == "TASK_COMPLETED" || e.Type == "TASK_CANCELLED" {
			ended[e.Stream]++
		}
	}
	for i := range c.added {
		if id := domain.TaskID(fmt.Sprintf("c-%d", i)); ended[id.Stream()] != 1 {
			t.Errorf("item %s: found %d ends, want exactly one", id, ended[id.Stream()])
		}
	}
	history := c.witness.history()
	for _, err := range c.witness.errors {
		t.Error(err)
	}
	result, info := porcupine.CheckOperationsVerbose(queuemodel.Queue, history, checking)
	if result != porcupine.Ok {
		picture := filepath.Join(t.ArtifactDir(), "chaos.html")
		if err := porcupine.VisualizePath(queuemodel.Queue, info, picture); err != nil {
			t.Error(err)
		}
		t.Errorf("the history is %s, want it linearizable; its picture is %s (kept with -artifacts)", result, picture)
	}
	if types["TASK_LEASE_EXPIRED"] == 0 || types["COMPLETION_REJECTED"] == 0 || c.witness.stale == 0 {
		t.Errorf("found %d leases expired, %d reports rejected, %d refused: the chaos shows too little", types["TASK_LEASE_EXPIRED"], types["COMPLETION_REJECTED"], c.witness.stale)
	}
	batches := map[string]int{}
	for _, e := range c.witness.ledger.entries {
		if strings.HasSuffix(e.path, "_batch") {
			batches[e.path]++
		}
	}
	if len(batches) == 0 {
		t.Error("found no batch in the history; it shows too little")
	}
	t.Logf("%d items, %d operations, %d refused as stale; batches %v; troubles %v; events %v", c.added, len(history), c.witness.stale, batches, c.count, types)
	c.doubt(history)
}

// doubt lets one ghost of the history get through, and wants the checker to
// notice.
func (c *chaos) doubt(history []porcupine.Operation) {
	c.t.Helper()
	for i, operation := range history {
		in, out := operation.Input.(queuemodel.Asked), operation.Output.(queuemodel.Told)
		if in.Verb != "complete" || out.Code != domain.StaleLease {
			continue
		}
		changed := slices.Clone(history)
		out.Code = ""
		changed[i].Output = out
		if result := porcupine.CheckOperationsTimeout(queuemodel.Queue, changed, checking); result != porcupine.Illegal {
			c.t.Errorf("a ghost of %s got through: found the history %s, want it %s", in.Item, result, porcupine.Illegal)
		}
		return
	}
	c.t.Error("no ghost was refused in the history")
}
