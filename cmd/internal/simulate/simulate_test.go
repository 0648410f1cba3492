package simulate

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// faultsFile writes a recording of faults in the shape that the importer reads:
// one fault of each node, a tenth of the recording long.
func faultsFile(t *testing.T, nodes int) string {
	t.Helper()
	var records []map[string]any
	for i := range nodes {
		id, start := fmt.Sprintf("fault-node-%d", i), 100*float64(i)/float64(nodes)
		for _, edge := range []struct {
			what string
			at   float64
		}{{"fault_start", start}, {"fault_end", start + 10}} {
			records = append(records, map[string]any{
				"node_id": id, "event_time": edge.at, "event_type": edge.what,
				"fault_type": map[string]string{"Level": "Hardware Failure", "Class": "GPU", "Desc": "GPU lost"},
			})
		}
	}
	slices.SortStableFunc(records, func(a, b map[string]any) int {
		return int(1000 * (a["event_time"].(float64) - b["event_time"].(float64)))
	})
	text, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hours is two busy hours with faults.
func hours(t *testing.T, seed uint64, items int) Scenario {
	t.Helper()
	s, err := Day(items, 6, 2*time.Hour, seed)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.WithFaults(t.Context(), faultsFile(t, 5), seed); err != nil {
		t.Fatal(err)
	}
	return s
}

func kept(t *testing.T, r Report) {
	t.Helper()
	if r.Violations > 0 {
		t.Errorf("%d broken promises:\n%s", r.Violations, strings.Join(r.Examples, "\n"))
	}
}

// Through failures, silences, ghosts and cancellations, every promise is kept,
// and each of those really happens.
func TestPromisesAreKept(t *testing.T) {
	s := hours(t, 3, 350)
	r, err := Run(t.Context(), s, Options{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	kept(t, r)
	ended := 0
	for _, n := range r.ByState {
		ended += n
	}
	if r.Items != 350 || ended != 350 || r.ByState["done"] < 300 || r.ByState["cancelled"] == 0 {
		t.Errorf("found %d items: %v", r.Items, r.ByState)
	}
	for _, event := range []string{
		"TASK_REVOKED", "TASK_LEASE_EXPIRED", "TASK_RELEASED", "TASK_FAILED", "TASK_REQUEUED", "TASK_UNBLOCKED", "TASK_HEARTBEAT",
		"NODE_UNHEALTHY", "NODE_RECOVERED", "HOST_OFFLINE",
	} {
		if r.ByType[event] == 0 {
			t.Errorf("found no %s: the scenario shows too little", event)
		}
	}
	if r.Totals.Faults != 5 || r.Totals.Silent != 1 || r.Busy < 0.3 || len(r.Waits) == 0 {
		t.Errorf("found %+v, %v busy, waits %+v", r.Totals, r.Busy, r.Waits)
	}
}

// The same seed gives the same report to the byte, another seed a different one;
// with a fifth of the items under the race detector.
func TestRunsRepeat(t *testing.T) {
	run := func(seed uint64, log eventlog.Log, models string) string {
		r, err := Run(t.Context(), hours(t, seed, race.Part(350, 5)), Options{Seed: seed, Log: log, Models: models})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := run(1, nil, "")
	folder := t.TempDir()
	log, err := OpenLog(filepath.Join(folder, "log"), dayStart)
	if err != nil {
		t.Fatal(err)
	}
	if again := run(1, log, filepath.Join(folder, "models")); again != first {
		t.Errorf("found\n%s\nwant\n%s", again, first)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if other := run(2, nil, ""); other == first {
		t.Error("another seed gives the same report")
	}
}

// The audit finds a broken promise in a log. Each case audits the log of one run
// again, with one event changed.
func TestBrokenPromisesAreFound(t *testing.T) {
	s, log := hours(t, 3, 350), eventlog.NewMemory()
	r, err := Run(t.Context(), s, Options{Seed: 3, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	kept(t, r)
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	const always = "everything runs on one node"
	for name, c := range map[string]struct {
		change func(e domain.Envelope) (domain.Envelope, bool)
		says   string
	}{
		"a ghost's report is taken": {func(e domain.Envelope) (domain.Envelope, bool) {
			done, ok := e.Event.(work.Completed)
			done.Lease++
			e.Event = done
			return e, ok
		}, "is not the live one"},
		"another node completes": {func(e domain.Envelope) (domain.Envelope, bool) {
			done, ok := e.Event.(work.Completed)
			done.NodeID = "gpu-9999"
			e.Event = done
			return e, ok
		}, "nobody knows node"},
		"a lease number is skipped": {func(e domain.Envelope) (domain.Envelope, bool) {
			claimed, ok := e.Event.(work.Claimed)
			claimed.Lease++
			e.Event = claimed
			return e, ok
		}, "follows"},
		"an item is done twice": {func(e domain.Envelope) (domain.Envelope, bool) {
			started, ok := e.Event.(work.Started)
			if ok {
				e.Event = work.Completed{TaskID: started.TaskID, Lease: started.Lease, NodeID: started.NodeID}
			}
			return e, ok
		}, "the item is done already"},
		"an end is lost": {func(e domain.Envelope) (domain.Envelope, bool) {
			done, ok := e.Event.(work.Completed)
			if ok {
				e.Event = work.Heartbeat{TaskID: done.TaskID, Lease: done.Lease, NodeID: done.NodeID}
			}
			return e, ok
		}, "never ended"},
		"a lease ends early": {func(e domain.Envelope) (domain.Envelope, bool) {
			expired, ok := e.Event.(work.LeaseExpired)
			e.Event = expired
			e.Time = e.Time.Add(-time.Hour)
			return e, ok
		}, "the lease holds until"},
		always: {func(e domain.Envelope) (domain.Envelope, bool) {
			claimed, ok := e.Event.(work.Claimed)
			claimed.NodeID = "gpu-0001"
			e.Event = claimed
			return e, ok
		}, "has 8 slots and holds leases for"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := NewAudit(s)
			if err != nil {
				t.Fatal(err)
			}
			changed := false
			for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
				if err == nil {
					err = catalog.Fill(&e)
				}
				if err != nil {
					t.Fatal(err)
				}
				if altered, ok := c.change(e); ok && (!changed || name == always) {
					changed, e = true, altered
				}
				a.Observe(e)
			}
			a.Finish()
			if a.violations == 0 || !strings.Contains(strings.Join(a.examples, "\n"), c.says) {
				t.Errorf("found %d broken promises, want %q among them: %q", a.violations, c.says, a.examples)
			}
		})
	}
}

// A machine that is given work inside its fault is found, and so are leases that
// outlive the time in which they should have been taken.
func TestFaultsAreWatched(t *testing.T) {
	s, err := Day(10, 2, time.Hour, 1)
	if err != nil {
		t.Fatal(err)
	}
	fault := Fault{Machine: 1, Start: s.Start.Add(10 * time.Minute), End: s.Start.Add(40 * time.Minute), Reason: "GPU lost"}
	s.Faults = []Fault{fault}
	for name, c := range map[string]struct {
		claimed, later time.Duration
		says           string
	}{
		"before, and over in time":  {5 * time.Minute, 12 * time.Minute, ""},
		"inside":                    {11 * time.Minute, 12 * time.Minute, "has a fault from"},
		"after":                     {40 * time.Minute, 50 * time.Minute, ""},
		"before, and held too long": {5 * time.Minute, 30 * time.Minute, "still holds 1 items"},
	} {
		a, err := NewAudit(s)
		if err != nil {
			t.Fatal(err)
		}
		observe := func(after time.Duration, event domain.Event) {
			a.Observe(domain.Envelope{Position: a.Position() + 1, Stream: "task-x", Type: event.EventType(), Time: s.Start.Add(after), Event: event})
		}
		observe(0, work.Spawned{TaskID: "x", TaskType: "selfplay"})
		observe(c.claimed, work.Claimed{TaskID: "x", Lease: 1, NodeID: s.Machines[1].ID, Deadline: s.Start.Add(2 * time.Hour)})
		observe(c.later, work.Revoked{TaskID: "x", Lease: 1, NodeID: s.Machines[1].ID})
		if said := strings.Join(a.examples, "\n"); (c.says == "") != (a.violations == 0) || !strings.Contains(said, c.says) {
			t.Errorf("%s: found %d broken promises, want %q: %s", name, a.violations, c.says, said)
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A recorded trace is played: pods run where they may, as long as they did, and
// end as they did.
func TestRecordingOfPods(t *testing.T) {
	nodes := write(t, "nodes.csv", "sn,cpu_milli,memory_mib,gpu,model\ncpu-1,32000,65536,0,\ngpu-1,96000,262144,8,G2\ngpu-2,16000,65536,2,T4\ngpu-3,16000,65536,2,T4\n")
	pods := write(t, "pods.csv", `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p-done,4000,1024,1,1000,,LS,Succeeded,0,5000,10
p-dead,4000,1024,2,1000,,LS,Failed,5,900,100
p-big,4000,1024,8,1000,,LS,Succeeded,20,4000,40
p-cpu,4000,1024,0,0,,BE,Succeeded,20,86400,30
p-deleted,4000,1024,1,1000,,LS,Running,30,70000,50
p-waits,4000,1024,1,1000,,LS,Pending,40,60000,
p-long,4000,1024,1,1000,,LS,Running,50,2600000,60
p-late,4000,1024,1,1000,,LS,Succeeded,2599900,2600000,2599950
`)
	s, err := Recording(t.Context(), "openb", []string{nodes, pods}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.totals(); got.Machines != 4 || got.Slots != 4+8+2+2 {
		t.Errorf("found %+v", got)
	}
	r, err := Run(t.Context(), s, Options{Seed: 1, Patience: 60 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	kept(t, r)
	if want := map[string]int{"done": 4, "dead": 1, "cancelled": 3, "expired": 0}; fmt.Sprint(r.ByState) != fmt.Sprint(want) {
		t.Errorf("found %v, want %v", r.ByState, want)
	}
	if !slices.ContainsFunc(r.Notes, func(note string) bool { return strings.HasPrefix(note, "1 items ran for more than") }) {
		t.Errorf("found the notes %q", r.Notes)
	}
	few, err := Recording(t.Context(), "openb", []string{nodes, pods}, 1)
	if err != nil || len(few.Machines) != 2 {
		t.Errorf("found %d machines, %v; want one with GPUs and one without", len(few.Machines), err)
	}
}

func TestScenariosAreRefused(t *testing.T) {
	if _, err := Day(0, 1, time.Hour, 1); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("no items: found %v", err)
	}
	if _, err := Recording(t.Context(), "openb", []string{write(t, "nodes.csv", "sn,cpu_milli,memory_mib,gpu,model\na,1000,1,0,\n")}, 0); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("no pods: found %v", err)
	}
	s, err := Day(1, 1, time.Hour, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WithFaults(t.Context(), write(t, "f.json", "[]"), 1); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("no faults: found %v", err)
	}
	if _, err := Run(t.Context(), Scenario{}, Options{}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("nothing: found %v", err)
	}
}

// A pod takes a slot for each GPU, however many, and one that no node can ever have
// is refused by name.
func TestPodsTakeASlotForEachGPU(t *testing.T) {
	nodes := write(t, "nodes.csv", "sn,cpu_milli,memory_mib,gpu,model\nsmall,16000,65536,4,T4\nlarge,96000,262144,64,G2\n")
	pods := write(t, "pods.csv", `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p-3,4000,1024,3,1000,,LS,Succeeded,0,3600,10
p-16,4000,1024,16,1000,,LS,Succeeded,5,3600,10
p-48,4000,1024,48,1000,,LS,Succeeded,7,3600,10
p-64,4000,1024,64,1000,,LS,Succeeded,9,7200,3600
p-65,4000,1024,65,1000,,LS,Succeeded,9,7200,3600
`)
	s, err := Recording(t.Context(), "", []string{nodes, pods}, 0)
	if err != nil {
		t.Fatal(err)
	}
	log := eventlog.NewMemory()
	r, err := Run(t.Context(), s, Options{Seed: 1, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	kept(t, r)
	if r.Items != 4 || r.ByState["done"] != 4 {
		t.Errorf("want four done, found %+v", r.ByState)
	}
	if !slices.Contains(r.Notes, "refused: p-65 wants 65 GPUs, the largest node has 64") {
		t.Errorf("want p-65 refused by name, found %q", r.Notes)
	}
	slots := map[domain.TaskID]int{}
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		var claimed work.Claimed
		if e.Type == claimed.EventType() {
			if err := json.Unmarshal(e.Data, &claimed); err != nil {
				t.Fatal(err)
			}
			slots[claimed.TaskID] = claimed.Decision.Slots
		}
	}
	if want := map[domain.TaskID]int{"p-3": 3, "p-16": 16, "p-48": 48, "p-64": 64}; !maps.Equal(slots, want) {
		t.Errorf("want the slots %v, found %v", want, slots)
	}
}

// Any recording of items and nodes is played.
func TestRecordingOfEvents(t *testing.T) {
	file := write(t, "life.jsonl", `{"stream":"task-a","type":"TASK_SPAWNED","time":"2026-03-01T10:00:01Z","data":{"task_id":"a","task_type":"demo","priority":50,"timeout_seconds":600,"max_attempts":3}}
{"stream":"task-b","type":"TASK_SPAWNED","time":"2026-03-01T10:00:01Z","data":{"task_id":"b","task_type":"demo","priority":50,"payload":"words","timeout_seconds":600,"max_attempts":3}}
{"stream":"task-a","type":"TASK_CLAIMED","time":"2026-03-01T10:00:02Z","data":{"task_id":"a","lease":1,"node_id":"gpu-1","deadline":"2026-03-01T10:01:03Z","attempt":1}}
{"stream":"task-b","type":"TASK_CLAIMED","time":"2026-03-01T10:00:02Z","data":{"task_id":"b","lease":1,"node_id":"gpu-1","deadline":"2026-03-01T10:01:03Z","attempt":1}}
{"stream":"task-a","type":"TASK_COMPLETED","time":"2026-03-01T10:05:00Z","data":{"task_id":"a","lease":1,"node_id":"gpu-1"}}
{"stream":"task-b","type":"TASK_RELEASED","time":"2026-03-01T10:05:00Z","data":{"task_id":"b","lease":1,"node_id":"gpu-1"}}
`)
	s, err := Recording(t.Context(), "", []string{file}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Machines) != 1 || s.Machines[0].Slots != 2 {
		t.Errorf("want a machine that held two at once, found %+v", s.Machines)
	}
	r, err := Run(t.Context(), s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	kept(t, r)
	if r.ByState["done"] != 1 || r.ByState["cancelled"] != 1 {
		t.Errorf("found %v", r.ByState)
	}
}
