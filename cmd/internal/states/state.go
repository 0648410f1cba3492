package states

import (
	"maps"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections/election"
	findingsview "github.com/ringrift/rift/projections/findings"
	nodesview "github.com/ringrift/rift/projections/nodes"
	workview "github.com/ringrift/rift/projections/work"
)

// Names of counts besides those of states.
const (
	Pending = "pending" // items: blocked, queued or waiting
	Held    = "held"    // items: leased or running
	Down    = "down"    // nodes: unhealthy or offline
)

// Severities count findings besides their kinds.
const (
	Critical = string(findingsview.Critical)
	Warning  = string(findingsview.Warning)
)

// State is what the fold of a log has come to. Its maps hold every name that they can
// hold, with 0 where there is nothing, but for WorkOf and Node.
type State struct {
	Position domain.Position
	Time     time.Time                 // of the event at Position
	Work     map[string]int            // items by state, Pending and Held
	WorkOf   map[string]map[string]int // the same by task type
	Pressure string                    // of the queue: none, soft, hard
	Nodes    map[string]int            // nodes by state, and Down
	Node     map[string]string         // the state of each node
	Leaders  []string                  // who is believed to lead, by name
	Term     int                       // the highest
	Voters   map[string]int            // all, alive and quorum, as last counted
	Findings map[string]int            // what events showed, by kind and by severity

	changed bool           // since the last evaluation of a condition
	named   map[string]any // by the names of conditions; nil until one is evaluated
	items   map[string]workview.CountRow
	reigns  map[string]string // the periods that have not ended: who leads
	found   map[string]findingsview.FindingRow
}

func newState() *State {
	s := &State{
		Work: itemCounts(), WorkOf: map[string]map[string]int{}, Pressure: string(sched.NoPressure),
		Nodes: map[string]int{Down: 0}, Node: map[string]string{}, Leaders: []string{},
		Voters: map[string]int{"all": 0, "alive": 0, "quorum": 0}, Findings: map[string]int{Critical: 0, Warning: 0},
		changed: true,
		items:   map[string]workview.CountRow{}, reigns: map[string]string{}, found: map[string]findingsview.FindingRow{},
	}
	for _, state := range nodes.NodeStates {
		s.Nodes[string(state)] = 0
	}
	for _, kind := range shownByEvents() {
		s.Findings[kind] = 0
	}
	return s
}

func itemCounts() map[string]int {
	found := map[string]int{Pending: 0, Held: 0}
	for _, state := range work.TaskStates {
		found[string(state)] = 0
	}
	return found
}

// shownByEvents are the kinds of findings that are not only judged at the end of a log.
func shownByEvents() []string {
	var kinds []string
	for _, kind := range findingsview.FindingKinds {
		if kind.Kind != findingsview.FindingStuck && kind.Kind != findingsview.FindingStarved {
			kinds = append(kinds, kind.Kind)
		}
	}
	return kinds
}

// Leader is who leads; empty where nobody is known to, or several are believed to.
func (s *State) Leader() string {
	if len(s.Leaders) == 1 {
		return s.Leaders[0]
	}
	return ""
}

// counts tells whether the state is counted by such a row.
func counts(row any) bool {
	switch row.(type) {
	case *workview.CountRow, *work.Pressure, *nodesview.StateCountRow, *nodesview.NodeRow, *election.ReignRow, *election.TermRow, *findingsview.FindingRow:
		return true
	}
	return false
}

// change takes a row that was stored.
func (s *State) change(key string, row any) {
	s.changed = true
	switch row := row.(type) {
	case *workview.CountRow:
		s.recount(key, *row)
	case *work.Pressure:
		s.Pressure = row.Level
	case *nodesview.StateCountRow:
		s.Nodes[string(row.State)] = row.Count
		s.Nodes[Down] = s.Nodes[string(nodes.StateSick)] + s.Nodes[string(nodes.StateOffline)]
	case *nodesview.NodeRow:
		s.Node[key] = string(row.State)
	case *election.ReignRow:
		if row.Until == nil {
			s.reigns[key] = string(row.Leader)
		} else {
			delete(s.reigns, key)
		}
		s.Leaders = slices.AppendSeq([]string{}, maps.Values(s.reigns))
		slices.Sort(s.Leaders)
		s.Leaders = slices.Compact(s.Leaders)
	case *election.TermRow:
		s.Term = max(s.Term, int(row.Term))
		if row.Voters > 0 {
			s.Voters["all"], s.Voters["alive"], s.Voters["quorum"] = row.Voters, row.Alive, row.Quorum
		}
	case *findingsview.FindingRow:
		if before, known := s.found[key]; known {
			s.Findings[before.Kind]--
			s.Findings[string(before.Severity)]--
		}
		s.found[key] = findingsview.FindingRow{Kind: row.Kind, Severity: row.Severity}
		s.Findings[row.Kind]++
		s.Findings[string(row.Severity)]++
	}
}

// recount takes the counts of a task type and config in place of the former ones.
func (s *State) recount(key string, row workview.CountRow) {
	of := s.WorkOf[row.TaskType]
	if of == nil {
		of = itemCounts()
		s.WorkOf[row.TaskType] = of
	}
	before := s.items[key]
	s.items[key] = row
	for i, state := range work.TaskStates {
		more := row.Items[i] - before.Items[i]
		if more == 0 {
			continue
		}
		names := []string{string(state)}
		switch state {
		case work.StateBlocked, work.StateQueued, work.StateWaiting:
			names = append(names, Pending)
		case work.StateLeased, work.StateRunning:
			names = append(names, Held)
		default:
		}
		for _, name := range names {
			s.Work[name] += more
			of[name] += more
		}
	}
}
