package states_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

// folded folds events that are written as "stream TYPE data", the first at a position.
func folded(t *testing.T, first int, lines ...string) *states.Follower {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	follower, err := states.New(catalog, nil)
	if err != nil {
		t.Fatal(err)
	}
	revisions := map[string]uint64{}
	for i, line := range lines {
		parts := strings.SplitN(line, " ", 3)
		e := domain.Envelope{
			Position: domain.Position(first + i), Stream: domain.StreamID(parts[0]), ID: domain.DeriveID("diff", i), Type: parts[1], Version: 1, Revision: domain.Revision(revisions[parts[0]]),
			Time: script.Start.Add(time.Duration(i) * time.Minute), Data: []byte(parts[2]),
		}
		revisions[parts[0]]++
		if err := follower.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	return follower
}

const (
	onlineA   = `node-a HOST_ONLINE {"node_id":"a"}`
	offlineA  = `node-a HOST_OFFLINE {"node_id":"a"}`
	onlineB   = `node-b HOST_ONLINE {"node_id":"b"}`
	twoLead   = `election-main LEADERS_OBSERVED {"leaders":["a","b"],"observer":"a","reason":"x"}`
	claimed   = `task-t TASK_CLAIMED {"task_id":"t","lease":1,"node_id":"n","deadline":"2026-01-02T04:04:05Z","attempt":1}`
	done      = `task-t TASK_COMPLETED {"task_id":"t","lease":1,"node_id":"n"}`
	healed    = `election-main SPLIT_BRAIN_HEALED {"observer":"a"}`
	unhandled = `admin-main EVENT_UNHANDLED {"event_type":"READY","reporter":"bus","reason":"unknown"}`
	itemAdded = `task-t TASK_SPAWNED {"task_id":"t","task_type":"demo","priority":50,"timeout_seconds":60,"max_attempts":3}`
)

// What differs between two states is told by tables, the most telling first, with what
// was added, what is gone, which fields changed, and what only moved in the log.
func TestDiff(t *testing.T) {
	for name, want := range map[string]struct {
		a, b *states.Follower
		said string
	}{
		"same":    {folded(t, 1, onlineA, twoLead), folded(t, 1, onlineA, twoLead), ""},
		"nothing": {folded(t, 1), folded(t, 1), ""},
		"added":   {folded(t, 1, onlineA), folded(t, 1, onlineA, onlineB), "Cluster: main changed healthy_nodes 1 2, known_nodes 1 2; Nodes: b only_b"},
		"gone":    {folded(t, 1, onlineA, onlineB), folded(t, 1, onlineA), "Cluster: main changed healthy_nodes 2 1, known_nodes 2 1; Nodes: b only_a"},
		"changed": {
			folded(t, 1, onlineA), folded(t, 1, onlineA, offlineA),
			`Cluster: main changed healthy_nodes 1 0; Nodes: a changed state "online" "offline", edges 0 1, since "2026-01-02T03:04:05Z" "2026-01-02T03:05:05Z"`,
		},
		"moved": {folded(t, 1, twoLead, onlineA), folded(t, 9, twoLead, onlineA), "Findings: more_than_one_leader/a and b moved; Leaders: 00000000000000000001/a only_a, 00000000000000000001/b only_a, 00000000000000000009/a only_b, 00000000000000000009/b only_b; Cluster: main moved; Nodes: a moved"},
		"only a text": {
			folded(t, 1, itemAdded, claimed, done, done), folded(t, 1, itemAdded, claimed, done, strings.Replace(done, `"n"`, `"m"`, 1)),
			`Findings: item_done_twice/completed again changed details ["t: done at 3 by n, completed at 4 by n"] ["t: done at 3 by n, completed at 4 by m"], summary "work was completed again once; first t: done at 3 by n, completed at 4 by n" "work was completed again once; first t: done at 3 by n, completed at 4 by m"`,
		},
		"moved with its text": {
			folded(t, 1, itemAdded, claimed, done, done), folded(t, 9, itemAdded, claimed, done, done),
			"Findings: item_done_twice/completed again moved; Items: t moved; Alarms: completion moved, dispatch moved",
		},
		"critical first": {
			folded(t, 1), folded(t, 1, unhandled, twoLead),
			"Findings: more_than_one_leader/a and b only_b, dead_wiring/READY only_b; Leaders: 00000000000000000002/a only_b, 00000000000000000002/b only_b",
		},
		"telling first": {
			folded(t, 1, itemAdded, onlineA), folded(t, 1, twoLead, onlineB, onlineA, offlineA),
			"Findings: more_than_one_leader/a and b only_b; Leaders: 00000000000000000001/a only_b, 00000000000000000001/b only_b; Cluster: main changed known_nodes 1 2; Nodes: a changed state \"online\" \"offline\", edges 0 1, since \"2026-01-02T03:05:05Z\" \"2026-01-02T03:07:05Z\", b only_b; Items: t only_a; Alarms: dispatch only_a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tables, err := states.Diff(want.a, want.b)
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, table := range tables {
				if table.Title == "" {
					continue
				}
				var rows []string
				for _, row := range table.Rows {
					text := row.Key + " " + string(row.Change)
					var fields []string
					for _, field := range row.Fields {
						if !field.Where() && row.Change == states.Both {
							fields = append(fields, fmt.Sprintf("%s %s %s", field.Name, field.A, field.B))
						}
					}
					rows = append(rows, strings.TrimSpace(text+" "+strings.Join(fields, ", ")))
				}
				said = append(said, table.Title+": "+strings.Join(rows, ", "))
			}
			if got := strings.Join(said, "; "); got != want.said {
				t.Errorf("want\n%s\nfound\n%s", want.said, got)
			}
			if want.said == "" && len(tables) > 0 {
				t.Errorf("want no table, found %v", tables)
			}
		})
	}
}

// Counts differ by the names of conditions.
func TestDiffCounts(t *testing.T) {
	found, err := states.DiffCounts(folded(t, 1, onlineA).State, folded(t, 1, onlineA, twoLead, itemAdded, offlineA).State)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, one := range found {
		said = append(said, fmt.Sprintf("%s %s %s", one.Name, one.A, one.B))
	}
	want := []string{
		"findings.critical 0 1", "findings.more_than_one_leader 0 1", `leaders [] ["a","b"]`, "nodes.down 0 1", "nodes.offline 0 1", "nodes.online 1 0",
		"work.pending 0 1", "work.queued 0 1", "work_of.demo.pending null 1", "work_of.demo.queued null 1",
	}
	got := slices.DeleteFunc(said, func(one string) bool { return strings.HasSuffix(one, " null 0") })
	if !slices.Equal(got, want) {
		t.Errorf("want\n%s\nfound\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

// That nobody leads any more is no other state than that nobody led.
func TestDiffCountsOfNobody(t *testing.T) {
	found, err := states.DiffCounts(folded(t, 1).State, folded(t, 1, twoLead, healed).State)
	if err != nil || len(found) != 2 || found[0].Name != "findings.critical" || found[1].Name != "findings.more_than_one_leader" {
		t.Errorf("want the finding alone, found %v, %v", found, err)
	}
}

// Every table that is shown to people is one of the read models.
func TestShownTablesExist(t *testing.T) {
	known := []string{"admin.dead_letters"} // of the store itself
	for _, model := range wiring.Projections() {
		known = append(known, model.Tables...)
	}
	for _, table := range states.Shown() {
		if !slices.Contains(known, table) {
			t.Errorf("table %s is of no read model", table)
		}
	}
}

// Events are compared but for where they stand.
func TestDiffering(t *testing.T) {
	one := domain.Envelope{Position: 3, Stream: "node-a", Revision: 1, ID: domain.DeriveID("x", 0), Type: "HOST_ONLINE", Version: 1, Time: script.Start, Data: []byte(`{}`), Meta: domain.Meta{Correlation: "a.log:3"}}
	for want, change := range map[string]func(*domain.Envelope){
		"":         func(e *domain.Envelope) { e.Position, e.Meta.Correlation = 4, "b.log:9" },
		"type":     func(e *domain.Envelope) { e.Type = "HOST_OFFLINE" },
		"stream":   func(e *domain.Envelope) { e.Stream = "node-b" },
		"revision": func(e *domain.Envelope) { e.Revision = 2 },
		"version":  func(e *domain.Envelope) { e.Version = 2 },
		"data":     func(e *domain.Envelope) { e.Data = []byte(`{"a":1}`) },
		"time id":  func(e *domain.Envelope) { e.Time, e.ID = e.Time.Add(1000), domain.DeriveID("x", 1) },
		"meta":     func(e *domain.Envelope) { e.Meta.Actor = "ann" },
	} {
		other := one
		change(&other)
		if got := strings.Join(states.Differing(one, other), " "); got != want {
			t.Errorf("want %q, found %q", want, got)
		}
	}
}
