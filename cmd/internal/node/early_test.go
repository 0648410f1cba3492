package node

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// followed is a node whose read models a test lets follow the log, or not.
type followed struct {
	*Node
	t    *testing.T
	stop func()
}

func unfollowed(t *testing.T) *followed {
	t.Helper()
	return unfollowedOn(t, eventlog.NewMemory())
}

func unfollowedOn(t *testing.T, log eventlog.Log) *followed {
	t.Helper()
	n, err := Open(Config{Node: "n1", Log: log, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &followed{Node: n, t: t, stop: func() {}}
}

// follow goes on until pause.
func (f *followed) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Follow(ctx) }()
	f.stop = func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	}
}

// pause stops following once everything acknowledged is applied.
func (f *followed) pause() {
	f.t.Helper()
	head, err := f.log.Head(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.upTo(f.t.Context(), head); err != nil {
		f.t.Fatal(err)
	}
	f.stop()
}

func (f *followed) add(id string, priority int) {
	f.t.Helper()
	do(f.t, f.Node, "add-"+id, commands.AddTask{TaskID: domain.TaskID(id), TaskType: "selfplay", Priority: &priority})
}

func (f *followed) claim(id string, node domain.NodeID) string {
	f.t.Helper()
	result, err := f.Do(f.t.Context(), Order{ID: id, Command: commands.ClaimTasks{NodeID: node}})
	if err != nil {
		f.t.Fatal(err)
	}
	items := result.Answer.(commands.TasksClaimed).Items
	if len(items) == 0 {
		return "nothing"
	}
	return string(items[0].TaskID)
}

// known lets nodes be heard of: the first claim of each waits.
func (f *followed) known(nodes ...domain.NodeID) {
	f.t.Helper()
	for _, node := range nodes {
		f.add("first-"+string(node), 50)
		f.claim("first-claim-"+string(node), node)
	}
}

// later claims for node a while nothing is followed, which must come to nothing, and again
// while everything is.
func (f *followed) later(id string) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Millisecond)
	defer cancel()
	result, err := f.Do(ctx, Order{ID: id, Command: commands.ClaimTasks{NodeID: "a"}})
	if domain.CodeOf(err) != domain.Timeout {
		f.t.Errorf("want no answer from the state at hand, found %+v, %v", result.Answer, err)
	}
	f.follow()
	defer f.pause()
	return f.claim(id, "a")
}

// Claims go on while the read models are behind: each gets an item that nobody
// else was given.
func TestClaimsDoNotWaitForEachOther(t *testing.T) {
	f := unfollowed(t)
	f.follow()
	f.known("a", "b", "c")
	for i := range 4 {
		f.add(fmt.Sprint("t", i), 50)
	}
	f.pause()
	at := f.store.Position()
	for i, node := range []domain.NodeID{"a", "b", "c"} {
		if got, want := f.claim("early-"+string(node), node), fmt.Sprint("t", i); got != want {
			t.Errorf("node %s: want %s, found %s", node, want, got)
		}
	}
	if got := f.claim("again", "a"); got != "t3" {
		t.Errorf("the next claim of a node: want the item that is left, found %s", got)
	}
	if now := f.store.Position(); now != at {
		t.Fatalf("want read models that stay at %d, found them at %d", at, now)
	}
	if got := f.later("early-a"); got != "t0" {
		t.Errorf("a repetition: want t0 again, found %s", got)
	}
}

// What a node was given counts before the read models show it, until it is done.
func TestClaimsCountWhatTheirNodeWasGiven(t *testing.T) {
	f := unfollowed(t)
	f.follow()
	do(t, f.Node, "register", commands.RegisterNode{NodeID: "a", Facts: json.RawMessage(`{"slots":2}`)})
	f.known("a") // takes one of the slots
	for i := range 4 {
		f.add(fmt.Sprint("t", i), 50)
	}
	f.pause()
	at := f.store.Position()
	if got := f.claim("second", "a"); got != "t0" {
		t.Errorf("want t0, found %s", got)
	}
	do(t, f.Node, "done", commands.CompleteTask{Report: commands.Report{TaskID: "t0", Lease: 1}})
	if got := f.claim("third", "a"); got != "t1" {
		t.Errorf("want t1, found %s", got)
	}
	if now := f.store.Position(); now != at {
		t.Fatalf("want read models that stay at %d, found them at %d", at, now)
	}
	if got := f.later("fourth"); got != "nothing" {
		t.Errorf("a node that is full: want nothing, found %s", got)
	}
}

// What was acknowledged before a claim and says that a node may not have what
// the read models show, or may have something better, is heard.
func TestClaimsHearWhatWasAcknowledged(t *testing.T) {
	seconds := domain.Seconds(3600)
	for name, c := range map[string]struct {
		before commands.PauseKind
		add    int
		want   string
	}{
		"a pause":         {before: commands.PauseKind{Kind: "selfplay", Reason: "upgrade", Seconds: &seconds}, want: "nothing"},
		"an urgent item":  {add: 90, want: "late"},
		"one more of all": {add: 50, want: "t"},
	} {
		t.Run(name, func(t *testing.T) {
			f := unfollowed(t)
			f.follow()
			f.known("a")
			f.add("t", 50)
			f.pause()
			if c.before.Kind != "" {
				do(t, f.Node, "pause", c.before)
			} else {
				f.add("late", c.add)
			}
			if c.want == "t" {
				if got := f.claim("early", "a"); got != c.want {
					t.Errorf("want %s, found %s", c.want, got)
				}
				return
			}
			if got := f.later("early"); got != c.want {
				t.Errorf("want %s, found %s", c.want, got)
			}
		})
	}
}

// A claim finds what was acknowledged, however far the read models are behind,
// and one that is repeated finds what it took.
func TestClaimsFindWhatIsLeft(t *testing.T) {
	f := unfollowed(t)
	f.follow()
	f.known("a")
	f.pause()
	f.add("only", 50)
	if got := f.later("one"); got != "only" {
		t.Errorf("want the only item, found %s", got)
	}
	f.add("other", 50)
	if got := f.claim("one", "a"); got != "only" {
		t.Errorf("a repetition: want the same item, found %s", got)
	}
}

// An item that was cancelled after the state that a claim looks at is not given
// out: the claim gets the next.
func TestClaimsMeetWhatWasCancelled(t *testing.T) {
	f := unfollowed(t)
	f.follow()
	f.known("a", "b")
	f.add("t0", 50)
	f.add("t1", 50)
	f.pause()
	do(t, f.Node, "cancel", commands.CancelTask{TaskID: "t0"})
	if got := f.later("early"); got != "t1" {
		t.Errorf("want the item that is left, found %s", got)
	}
	if err := f.store.View(func(v projections.View) error {
		row, _, err := projections.WorkItemsTable.Get(v, "t0")
		if row.State != domain.WorkCancelled {
			t.Errorf("want t0 cancelled, found %s", row.State)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// What is done makes room in the memory for what is not, and its report can be
// repeated all the same.
func TestWhatIsDoneIsNotRemembered(t *testing.T) {
	f := unfollowed(t)
	f.follow()
	f.add("t", 50)
	f.claim("take", "a")
	f.pause()
	memory := f.bus.Memory.(*memory)
	stream := domain.TaskID("t").Stream()
	if _, known := memory.pasts[stream]; !known {
		t.Error("an item that is held: want it remembered")
	}
	report := commands.CompleteTask{Report: commands.Report{TaskID: "t", Lease: 1}}
	first := do(t, f.Node, "done", report)
	if _, known := memory.pasts[stream]; known {
		t.Error("an item that is done: want it forgotten")
	}
	if again := do(t, f.Node, "done", report); !again.Duplicate || again.Position != first.Position {
		t.Errorf("a repetition: want what was recorded at %d, found %+v", first.Position, again)
	}
}
