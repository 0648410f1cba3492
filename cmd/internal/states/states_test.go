package states_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/election"
	findingsview "github.com/ringrift/rift/projections/findings"
	nodesview "github.com/ringrift/rift/projections/nodes"
	workview "github.com/ringrift/rift/projections/work"
)

const testdata = "../../../testdata"

// After every event the state is what the queries answer as of it: of scripts of the
// queue, the nodes and elections, and of a recording in which several nodes led.
func TestStateIsWhatQueriesAnswer(t *testing.T) {
	seen := states.State{Findings: map[string]int{}}
	for _, pattern := range []string{"work/c*", "work/retry*", "nodes/r*", "nodes/s*", "election/recorded*", "work/backpressure*"} {
		paths, err := filepath.Glob(filepath.Join(testdata, "scripts", pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("want scripts %s, found %d (%v)", pattern, len(paths), err)
		}
		for _, path := range paths {
			env, err := script.New(script.Options{})
			if err != nil {
				t.Fatal(err)
			}
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return env.Run(t.Context(), d) })
			compare(t, filepath.Base(path), env.Log(), &seen)
			if err := env.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	log := eventlog.NewMemory()
	if _, err := recorded.Import(t.Context(), log, catalog, "", []string{testdata + "/logs/split_brain.log"}, recorded.Options{}); err != nil {
		t.Fatal(err)
	}
	compare(t, "split_brain.log", log, &seen)
	if len(seen.Leaders) < 2 || seen.Findings[states.Critical] == 0 || seen.Pressure != "hard" || seen.Term == 0 {
		t.Errorf("want logs with two leaders, critical findings, a full queue and terms, found %+v", seen)
	}
}

// compare folds a log and compares the state after every event with what queries
// answer. It notes the worst of it.
func compare(t *testing.T, name string, log eventlog.Log, worst *states.State) {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	follower, err := states.New(catalog, nil)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := follower.Apply(e); err != nil {
			t.Fatal(err)
		}
		s := follower.State
		if err := follower.View(func(v projections.View) error { return sameAsQueries(v, s) }); err != nil {
			t.Fatalf("%s at %d, %s: %v", name, e.Position, e.Type, err)
		}
		if len(s.Leaders) > len(worst.Leaders) {
			worst.Leaders = s.Leaders
		}
		if s.Pressure == "hard" {
			worst.Pressure = s.Pressure
		}
		worst.Findings[states.Critical], worst.Term = max(worst.Findings[states.Critical], s.Findings[states.Critical]), max(worst.Term, s.Term)
	}
}

func sameAsQueries(v projections.View, s *states.State) error {
	queue, err := workview.Status(v, projections.NoQuestion{})
	if err != nil {
		return err
	}
	counted := func(byState map[string]int) map[string]int {
		all := map[string]int{
			states.Pending: byState["blocked"] + byState["queued"] + byState["waiting"], states.Held: byState["leased"] + byState["running"],
		}
		for name := range queue.ByState {
			all[name] = byState[name]
		}
		return all
	}
	want := states.State{Position: v.Position(), Time: s.Time, Work: counted(queue.ByState), WorkOf: map[string]map[string]int{}, Pressure: queue.Backpressure.Level}
	for name := range queue.ByType {
		want.WorkOf[name] = counted(queue.ByTypeState[name])
	}
	health, err := nodesview.NodeCounts(v)
	if err != nil {
		return err
	}
	want.Nodes = map[string]int{states.Down: health["unhealthy"] + health["offline"]}
	for state, count := range health {
		want.Nodes[string(state)] = count
	}
	want.Node = map[string]string{}
	for entry, err := range nodesview.NodesTable.Scan(v, projections.Span{}) {
		if err != nil {
			return err
		}
		want.Node[entry.Key] = string(entry.Row.State)
	}
	if err := led(v, &want); err != nil {
		return err
	}
	want.Findings = maps.Clone(s.Findings)
	for name := range want.Findings {
		want.Findings[name] = 0
	}
	if err := findingsview.All(v, findingsview.Query{}, func(raw json.RawMessage) (bool, error) {
		var row findingsview.FindingRow
		err := json.Unmarshal(raw, &row)
		if _, counted := want.Findings[row.Kind]; counted {
			want.Findings[row.Kind]++
			want.Findings[string(row.Severity)]++
		}
		return true, err
	}); err != nil {
		return err
	}
	if found, wanted := plain(s), plain(&want); found != wanted {
		return fmt.Errorf("want\n%s\nfound\n%s", wanted, found)
	}
	return nil
}

// plain is the exported part of a state, without types of work that have no items left.
func plain(s *states.State) string {
	left := maps.Clone(s.WorkOf)
	maps.DeleteFunc(left, func(_ string, of map[string]int) bool {
		return !slices.ContainsFunc(slices.Collect(maps.Values(of)), func(n int) bool { return n != 0 })
	})
	return fmt.Sprint(s.Position, s.Work, left, s.Pressure, s.Nodes, s.Node, s.Leaders, s.Term, s.Voters, s.Findings)
}

// led fills in who leads by the query.
func led(v projections.View, want *states.State) error {
	answer, err := election.Leaders(v, election.LeadersQuery{Limit: projections.MaxPage})
	if err != nil {
		return err
	}
	want.Voters = map[string]int{"all": 0, "alive": 0, "quorum": 0}
	for _, raw := range answer.Terms {
		var row election.TermRow
		if err := json.Unmarshal(raw, &row); err != nil {
			return err
		}
		want.Term = max(want.Term, int(row.Term))
		want.Voters = map[string]int{"all": row.Voters, "alive": row.Alive, "quorum": row.Quorum}
	}
	want.Leaders = []string{}
	for _, raw := range answer.Reigns {
		var row election.ReignRow
		if err := json.Unmarshal(raw, &row); err != nil {
			return err
		}
		if row.Until == nil {
			want.Leaders = append(want.Leaders, string(row.Leader))
		}
	}
	slices.Sort(want.Leaders)
	want.Leaders = slices.Compact(want.Leaders)
	return nil
}

// Every name that the help lists can be used, and an error about another one lists
// those there are.
func TestConditionNames(t *testing.T) {
	for text, wrong := range map[string]string{
		`work.pending + work.held > 0`: "", `work_of["selfplay"].queued > 0`: "", `work_of.selfplay.done == 0`: "", `pressure == "hard"`: "",
		`nodes.down > 0`: "", `node["gpu-7"] == "offline"`: "", `leader == ""`: "", `len(leaders) > 1`: "", `"a" in leaders`: "", `term > 3`: "",
		`voters.alive < voters.quorum && voters.all > 0`: "", `findings.critical + findings.more_than_one_leader > 0`: "",
		`position > 5`: "", `time > date("2026-01-01T00:00:00Z")`: "",
		`bogus`:                      "unknown name bogus: want one of findings, leader, leaders, node, nodes, position, pressure, term, time, voters, work, work_of",
		`nodes.bogus > 1`:            "unknown field bogus: want one of down, offline, online, registered, retired, unhealthy",
		`work_of["x"].bogus > 1`:     "unknown field bogus: want one of blocked, cancelled, dead, done,",
		`findings.item_stuck > 0`:    "unknown field item_stuck: want one of attempts_failing,",
		`work.queued`:                "expected bool",
		`work.queued > "a"`:          "mismatched types",
		`work.queued > `:             "unexpected token",
		`len(map(leaders, #)) > 1`:   "the function map may not be used",
		`findings["item_starved"]>0`: "unknown field item_starved",
	} {
		_, err := states.Compile(text)
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong) || domain.CodeOf(err) != domain.Invalid) {
			t.Errorf("%s: want %q, found %v", text, wrong, err)
		}
	}
	said := ""
	for _, name := range states.Names() {
		said += name.Name + " " + name.About + "\n"
	}
	_, err := states.Compile("bogus")
	_, list, _ := strings.Cut(err.Error(), "want one of ")
	for name := range strings.SplitSeq(list, ", ") {
		if !strings.Contains("\n"+said, "\n"+name) {
			t.Errorf("want the help to tell of %s, found\n%s", name, said)
		}
	}
}

// A search finds a condition that holds for an event only, leaves one out that holds as
// it begins, and tells how the values went.
func TestSearch(t *testing.T) {
	flips := []string{"HOST_ONLINE", "HOST_OFFLINE", "HOST_ONLINE", "HOST_ONLINE", "HOST_OFFLINE"}
	for name, want := range map[string]struct {
		expr  string
		skip  int
		found int
		held  bool
		said  string
	}{
		"once":         {`nodes.offline == 1`, 0, 2, false, "nodes.offline 0 1"},
		"again":        {`nodes.offline == 1`, 2, 5, true, "nodes.offline 0 1"},
		"from between": {`nodes.offline == 1`, 3, 5, false, "nodes.offline 0 1"},
		"at once":      {`nodes.online == 1`, 0, 1, false, "nodes.online 0 1"},
		"held before":  {`nodes.online == 0`, 0, 2, true, "nodes.online 1 0"},
		"goes on":      {`nodes.online == 1`, 3, 0, true, "nodes.online 1 0"},
		"never":        {`nodes.offline == 2`, 2, 0, false, "nodes.offline 1 1"},
		"position":     {`position == 4`, 0, 4, false, "position 3 4"},
		"two names":    {`node["a"] == "offline" || term > 0`, 0, 2, false, `node.a "online" "offline" term 0 0`},
	} {
		t.Run(name, func(t *testing.T) {
			catalog, err := wiring.Catalog()
			if err != nil {
				t.Fatal(err)
			}
			condition, err := states.Compile(want.expr)
			if err != nil {
				t.Fatal(err)
			}
			search, err := states.NewSearch(catalog, condition)
			if err != nil {
				t.Fatal(err)
			}
			at := 0
			for i, flip := range flips {
				e := domain.Envelope{Position: domain.Position(i + 1), Stream: "node-a", ID: domain.DeriveID("flip", i), Type: flip, Version: 1, Time: script.Start, Data: []byte(`{"node_id":"a"}`)}
				if i < want.skip {
					if err := search.Skip(e); err != nil {
						t.Fatal(err)
					}
					continue
				}
				found, err := search.Apply(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				if found {
					at = i + 1
					break
				}
			}
			if at == 0 {
				search.End()
			}
			var said []string
			for i, value := range search.After {
				said = append(said, value.Name, string(search.Before[i].Value), string(value.Value))
			}
			if got := strings.Join(said, " "); at != want.found || search.Held != want.held || got != want.said {
				t.Errorf("want it found at %d, held %t, %s; found at %d, held %t, %s", want.found, want.held, want.said, at, search.Held, got)
			}
		})
	}
}

// What fails while it is evaluated is an error with the position, not a condition that
// does not hold.
func TestConditionThatFails(t *testing.T) {
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	condition, err := states.Compile(`get(work, "bogus") > 3`)
	if err != nil {
		t.Fatal(err)
	}
	search, err := states.NewSearch(catalog, condition)
	if err != nil {
		t.Fatal(err)
	}
	e := domain.Envelope{Position: 1, Stream: "node-a", Type: "HOST_ONLINE", Version: 1, Time: script.Start, Data: []byte(`{"node_id":"a"}`)}
	if _, err := search.Apply(t.Context(), e); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "as of position 0: ") {
		t.Errorf("want an error of code invalid with the position, found %v", err)
	}
}
