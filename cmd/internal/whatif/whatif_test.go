package whatif

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/cmd/internal/script"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// told runs directives of a script and returns the log.
func told(t *testing.T, text string) eventlog.Log {
	t.Helper()
	env, err := script.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	datadriven.RunTestFromString(t, text, func(t *testing.T, d *datadriven.TestData) string {
		d.Expected = env.Run(t.Context(), d)
		return d.Expected
	})
	return env.Log()
}

// asking is the question what would be if settings, each SECTION.KEY=VALUE, were others.
func asking(settings ...string) (q Question) {
	whole := map[string]map[string]json.RawMessage{}
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		section, name, _ := strings.Cut(key, ".")
		q.Alone = append(q.Alone, domain.Setting{Key: key, Value: json.RawMessage(fmt.Sprintf(`{%q:{%q:%s}}`, section, name, value))})
		if whole[section] == nil {
			whole[section] = map[string]json.RawMessage{}
		}
		whole[section][name] = json.RawMessage(value)
	}
	q.Change, _ = json.Marshal(whole) // of texts alone
	return q
}

func ask(t *testing.T, log eventlog.Log, q Question) Answer {
	t.Helper()
	answer, err := Ask(t.Context(), log, q)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// lines are the decisions that differ, a line each, and the counts.
func (a Answer) lines() string {
	var b strings.Builder
	events := func(outcomes []script.Outcome) string {
		var said []string
		for _, o := range outcomes {
			said = append(said, o.Type+" "+string(o.Stream))
		}
		return strings.Join(append(said, "")[:max(len(said), 1)], ", ")
	}
	for _, d := range a.Decisions {
		fmt.Fprintf(&b, "%s %d %s by %s: %s => %s%s\n", d.Kind, d.Position, d.Command, d.By, events(d.Was), events(d.Would), d.Refused)
	}
	for _, changed := range a.Changes {
		fmt.Fprintf(&b, "%s %s => %s: %d %v %s\n", changed.Key, changed.Before, changed.After, changed.Differing, changed.Kinds, changed.Unfit)
	}
	fmt.Fprintf(&b, "same %d, differing %d, unlike %d, untold %v\n", a.Same, a.Differing, a.Unlike, a.Untold)
	return b.String()
}

// Each kind of difference, by a log that has it.
func TestWhatWouldHaveBeenDecided(t *testing.T) {
	retry, types := told(t, aRetry), told(t, twoTypes)
	for _, one := range []struct {
		name string
		log  eventlog.Log
		set  []string
		want string
	}{
		{"a retry at another time", retry, []string{"work.backoff_base_seconds=1"}, `
values 4 work.retry by reactor:task_failed: TASK_RETRY_SCHEDULED task-t1 => TASK_RETRY_SCHEDULED task-t1
work.backoff_base_seconds 5 => 1: 1 map[values:1] 
same 7, differing 1, unlike 0, untold []
`},
		{"a default that nobody used", retry, []string{"work.max_attempts=7"}, `
work.max_attempts 3 => 7: 0 map[] 
same 8, differing 0, unlike 0, untold []
`},
		{"a default that others used", types, []string{"work.max_attempts=7"}, `
values 2 work.add by ann: TASK_SPAWNED task-a => TASK_SPAWNED task-a
values 3 work.add by ann: TASK_SPAWNED task-b => TASK_SPAWNED task-b
values 9 work.add by ann: TASK_SPAWNED task-c => TASK_SPAWNED task-c
work.max_attempts 3 => 7: 3 map[values:3] 
same 4, differing 3, unlike 0, untold [{HOST_ONLINE 1} {NODE_REGISTERED 1} {NODE_UNHEALTHY 1} {POLICY_CHANGED 1}]
`},
		{"another item", types, []string{`work.scheduling={"types":{"gauntlet":{"class":"bulk"}}}`}, `
other 6 work.claim by gpu-1: TASK_CLAIMED task-b => TASK_CLAIMED task-a
work.scheduling  => {"types":{"gauntlet":{"class":"bulk"}}}: 1 map[other:1] 
same 6, differing 1, unlike 0, untold [{HOST_ONLINE 1} {NODE_REGISTERED 1} {NODE_UNHEALTHY 1} {POLICY_CHANGED 1}]
`},
		{"an add that is refused, two settings", types, []string{"work.soft_limit=1", "work.hard_limit=1", "work.recovery_limit=1"}, `
gone 3 work.add by ann: TASK_SPAWNED task-b => 1 items wait, the hard limit is 1; claim or cancel items, or add it later
gone 9 work.add by ann: TASK_SPAWNED task-c => 1 items wait, the hard limit is 1; claim or cancel items, or add it later
new 7 work.pressure by clock:  => BACKPRESSURE_ACTIVATED cluster-main
work.soft_limit 500 => 1: 0 map[] policy: work.soft_limit: want recovery ≤ soft ≤ hard, found 200, 1, 1000
work.hard_limit 1000 => 1: 0 map[] policy: work.soft_limit: want recovery ≤ soft ≤ hard, found 200, 500, 1
work.recovery_limit 200 => 1: 0 map[] 
same 5, differing 3, unlike 0, untold [{HOST_ONLINE 1} {NODE_REGISTERED 1} {NODE_UNHEALTHY 1} {POLICY_CHANGED 1}]
`},
		{"a reaction that was none", types, []string{`nodes.dead_reason="timeout"`}, `
new 7 work.revoke by reactor:node_unhealthy:  => TASK_REVOKED task-b
nodes.dead_reason "dead" => "timeout": 1 map[new:1] 
same 7, differing 1, unlike 0, untold [{HOST_ONLINE 1} {NODE_REGISTERED 1} {NODE_UNHEALTHY 1} {POLICY_CHANGED 1}]
`},
		{"a deadline of the clock that comes earlier", types, []string{"nodes.reassign_grace_seconds=20"}, `
earlier 7 work.revoke by clock: TASK_REVOKED task-b => TASK_REVOKED task-b
nodes.reassign_grace_seconds 300 => 20: 1 map[earlier:1] 
same 6, differing 1, unlike 0, untold [{HOST_ONLINE 1} {NODE_REGISTERED 1} {NODE_UNHEALTHY 1} {POLICY_CHANGED 1}]
`},
		{"one that does not come", types, []string{"nodes.reassign_grace_seconds=5000"}, `
gone 10 work.revoke by clock: TASK_REVOKED task-b => it is not due then
nodes.reassign_grace_seconds 300 => 5000: 1 map[gone:1] 
same 6, differing 1, unlike 0, untold [{HOST_ONLINE 1} {NODE_REGISTERED 1} {NODE_UNHEALTHY 1} {POLICY_CHANGED 1}]
`},
		{"pressure that is announced earlier", told(t, pressed), []string{"work.soft_limit=2"}, `
earlier 4 work.pressure by clock: BACKPRESSURE_ACTIVATED cluster-main => BACKPRESSURE_ACTIVATED cluster-main
work.soft_limit 4 => 2: 1 map[earlier:1] 
same 5, differing 1, unlike 0, untold [{POLICY_CHANGED 1}]
`},
		{"pressure with other numbers", told(t, pressed), []string{"work.hard_limit=900"}, `
values 7 work.pressure by clock: BACKPRESSURE_ACTIVATED cluster-main => BACKPRESSURE_ACTIVATED cluster-main
work.hard_limit 1000 => 900: 1 map[values:1] 
same 5, differing 1, unlike 0, untold [{POLICY_CHANGED 1}]
`},
		{"pressure that is not announced", told(t, pressed), []string{"work.soft_limit=20"}, `
gone 7 work.pressure by clock: BACKPRESSURE_ACTIVATED cluster-main => it is not due then
work.soft_limit 4 => 20: 1 map[gone:1] 
same 5, differing 1, unlike 0, untold [{POLICY_CHANGED 1}]
`},
		{"pressure that changed less often", told(t, upAndDown), []string{"work.recovery_limit=1"}, `
work.recovery_limit 2 => 1: 0 map[] 
same 9, differing 0, unlike 0, untold [{TASK_CANCELLED 3} {POLICY_CHANGED 1}]
`},
		{"several settings", retry, []string{"work.backoff_base_seconds=1", "work.lease_seconds=30"}, `
values 2 work.claim by gpu-1: TASK_CLAIMED task-t1 => TASK_CLAIMED task-t1
values 4 work.retry by reactor:task_failed: TASK_RETRY_SCHEDULED task-t1 => TASK_RETRY_SCHEDULED task-t1
values 6 work.claim by gpu-1: TASK_CLAIMED task-t1 => TASK_CLAIMED task-t1
work.backoff_base_seconds 5 => 1: 1 map[values:1] 
work.lease_seconds 60 => 30: 2 map[values:2] 
same 5, differing 3, unlike 0, untold []
`},
	} {
		t.Run(one.name, func(t *testing.T) {
			if found := ask(t, one.log, asking(one.set...)).lines(); found != strings.TrimLeft(one.want, "\n") {
				t.Errorf("found\n%s", found)
			}
		})
	}
}

// differently are the scripts that record decisions which their logs do not tell again,
// with the number of them and the reason.
var differently = map[string]struct {
	count int
	why   string
}{
	"elo/sync.txt":                          {1, "a game that another node had is no report of a game"},
	"nodes/patience.txt":                    {1, "how busy a node was is not recorded"},
	"work/backpressure.txt":                 {1, "an add that was forced past the limit does not say so"},
	"work/claims.txt":                       {1, "what a node offered with its claim is not recorded"},
	"work/row_23_one_log_and_no_memory.txt": {1, "that a claim was of a node with one slot is not recorded"},
}

// What the scripts of all areas record is decided again with the recorded results, and
// nothing differs under a policy that is the same. Under the race detector one script of
// ten is tried.
func TestScriptsAreDecidedAgain(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/scripts/*/*.txt")
	if err != nil || len(files) < 150 {
		t.Fatalf("want the scripts, found %d (%v)", len(files), err)
	}
	same := 0
	for _, file := range race.Some(files, 10) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains("\n"+string(text), "\ncluster") {
			continue // of several nodes, each with a log of its own
		}
		name := filepath.ToSlash(strings.TrimPrefix(file, filepath.Clean("../../../testdata/scripts")+string(filepath.Separator)))
		t.Run(name, func(t *testing.T) {
			answer := ask(t, told(t, string(text)), asking("cmaes.max_running=16"))
			if answer.Differing > 0 || answer.Unlike != differently[name].count {
				t.Errorf("want nothing to differ and %d decisions unlike the record (%s), found\n%s", differently[name].count, differently[name].why, answer.lines())
			}
			same += answer.Same
		})
	}
	if want := 1400; same < want && !race.Enabled {
		t.Errorf("want %d decisions at least, found %d", want, same)
	}
}

// Only the decisions of the window are compared, on the state of all events before.
func TestWindow(t *testing.T) {
	log := told(t, aRetry)
	q := asking("work.lease_seconds=30")
	positions := func() (found []domain.Position) {
		answer := ask(t, log, q)
		for _, d := range answer.Decisions {
			found = append(found, d.Position)
		}
		return found
	}
	if found := positions(); !slices.Equal(found, []domain.Position{2, 6}) {
		t.Errorf("want both claims, found %v", found)
	}
	if q.From = 3; !slices.Equal(positions(), []domain.Position{6}) {
		t.Errorf("want the second claim, found %v", positions())
	}
	if q.From, q.To = 0, 5; !slices.Equal(positions(), []domain.Position{2}) {
		t.Errorf("want the first claim, found %v", positions())
	}
	q.To, q.FromTime = 0, time.Date(2026, 1, 2, 3, 10, 0, 0, time.UTC)
	if !slices.Equal(positions(), []domain.Position{6}) {
		t.Errorf("want the claim after the time, found %v", positions())
	}
	q.FromTime, q.ToTime = time.Time{}, q.FromTime
	if !slices.Equal(positions(), []domain.Position{2}) {
		t.Errorf("want the claim before the time, found %v", positions())
	}
}

// Every setting that is wrong is named at once; a change that goes with a version of the
// policy which the log sets, but not with the built-in one, is taken.
func TestFaultsOfTheChange(t *testing.T) {
	log := told(t, aRetry)
	_, err := Ask(t.Context(), log, asking("work.lease_second=30", `work.max_attempts="many"`, "nodes.silent_seconds=-1"))
	for _, want := range []string{"work.lease_second: no such number; did you mean work.lease_seconds?", "work.max_attempts", "nodes.silent_seconds: want more than 0"} {
		if err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("want %q, found %v", want, err)
		}
	}
	if _, err := Ask(t.Context(), log, asking("work.hard_limit=100")); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("want a limit below the soft one refused, found %v", err)
	}
	set := `
command policies.set id=p1
{"name":"default","policy":{"work":{"soft_limit":50,"hard_limit":60,"recovery_limit":20}},"reason":"x"}
----
`
	if answer := ask(t, told(t, set+aRetry), asking("work.hard_limit=100")); answer.Same < 8 {
		t.Errorf("found %s", answer.lines())
	}
	if _, err := Ask(t.Context(), told(t, aRetry+set), asking("work.hard_limit=100")); err == nil || !strings.Contains(err.Error(), "does not go with policy-default@0") {
		t.Errorf("want the version named that it does not go with, found %v", err)
	}
	if _, err := Ask(t.Context(), log, Question{}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("want a question without a change refused, found %v", err)
	}
}

// A decision is decided under the version of the policy that its event names, though
// another was set in the meantime.
func TestTheVersionThatAnEventNames(t *testing.T) {
	log := eventlog.NewMemory()
	for i, e := range []struct{ stream, kind, command, actor, data string }{
		{"task-t1", "TASK_SPAWNED", "c1", "ann", `{"task_id":"t1","task_type":"demo","priority":50,"timeout_seconds":5400,"max_attempts":3}`},
		{"policy-default", "POLICY_CHANGED", "c2", "ann", `{"name":"default","policy":{"work":{"lease_seconds":10}}}`},
		{"task-t1", "TASK_CLAIMED", "c3", "gpu-1", `{"task_id":"t1","lease":1,"node_id":"gpu-1","deadline":"2026-01-02T03:05:05Z","attempt":1,"decision":{"class":"normal","slots":1,"weight":1000,"virtual_start":0,"turn":0,"rejoined":true,"waited_ms":0,"slots_used":0}}`},
	} {
		meta := domain.Meta{Command: e.command, Actor: e.actor, Policy: "policy-default@0"}
		event := eventlog.Proposed{ID: domain.DeriveID("t", i), Type: e.kind, Version: 1, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Meta: meta, Data: []byte(e.data)}
		if _, err := log.Append(t.Context(), domain.StreamID(e.stream), domain.AnyRevision, event); err != nil {
			t.Fatal(err)
		}
	}
	want := `values 3 work.claim by gpu-1: TASK_CLAIMED task-t1 => TASK_CLAIMED task-t1
work.lease_seconds 10 => 30: 1 map[values:1] 
same 1, differing 1, unlike 0, untold [{POLICY_CHANGED 1}]
`
	if found := ask(t, log, asking("work.lease_seconds=30")).lines(); found != want {
		t.Errorf("found\n%s", found)
	}
}

// Commands are put side by side by what they are, then by their types.
func TestPaired(t *testing.T) {
	a, b, c := workcmd.CancelTask{TaskID: "a"}, workcmd.CancelTask{TaskID: "b"}, workcmd.CancelTask{TaskID: "c"}
	other := workcmd.AddTask{TaskID: "d"}
	rows := paired([][]domain.Command{{a, b}, {other, c, a}, {other}})
	want := [][]domain.Command{{a, a, nil}, {b, c, nil}, {nil, other, other}}
	if fmt.Sprint(rows) != fmt.Sprint(want) {
		t.Errorf("want %v, found %v", want, rows)
	}
}
