package node

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
)

// maxLevels is the number of nodes that are kept at most.
const maxLevels = 65536

// levels keeps in memory when nodes were last heard from and the load that they reported.
// Only changes of the state of a node are events. After a start every node counts as just
// heard from.
type levels struct {
	mu     sync.Mutex
	nodes  map[domain.NodeID]seen
	seeded time.Time
	looked time.Time // the last search for idle nodes
	cycle  time.Time // when the period began in which deaths are counted
	deaths int       // nodes that were given up in this period
	// The nodes at which the last searches for idle and busy nodes ended. Only Tick uses
	// them.
	idleTurn, busyTurn domain.NodeID
}

// seen is when a node was last heard from, and what it reported.
type seen struct {
	at       time.Time
	word     time.Time // when the node itself last called; zero: not yet
	level    nodes.Level
	readings nodes.Readings
	asked    []string  // what its last claim since it registered asked for: task types and words; empty: anything
	read     time.Time // when it last reported its load; what it does since then is not known
	idle     time.Time // since when its GPU load is below the idle limit; zero: it is above, or not known
	dead     time.Time // since when its GPU load is below the zombie limit; zero as for idle
}

func newLevels() *levels { return &levels{nodes: map[domain.NodeID]seen{}} }

// note records that the node of a command was heard from, and the load that the command
// reports. A claim or a report about an item counts like a heartbeat.
func (l *levels) note(c domain.Command, result commands.Result, at time.Time, policy nodes.Policy) {
	switch c := c.(type) {
	case nodescmd.NodeHeartbeat:
		l.put(c.NodeID, at, func(s *seen) { s.report(c.Level, at, policy) })
	case nodescmd.RegisterNode:
		l.put(c.NodeID, at, func(s *seen) { s.asked = nil })
	case workcmd.ClaimTasks:
		l.claims(c.NodeID, at, c.Capabilities)
	}
	for _, e := range result.Events {
		switch report := e.Event.(type) {
		case work.Started:
			l.touch(report.NodeID, at)
		case work.Heartbeat:
			l.touch(report.NodeID, at)
		case work.Completed:
			l.touch(report.NodeID, at)
		case work.Failed:
			l.touch(report.NodeID, at)
		case work.Released:
			l.touch(report.NodeID, at)
		}
	}
}

// report notes the load that a node reports.
func (s *seen) report(level nodes.Level, at time.Time, policy nodes.Policy) {
	s.level, s.readings, s.read = level, s.readings.Next(level, policy), at
	s.idle = since(s.idle, at, level.GPUPercent, policy.Idle.GPUPercent)
	s.dead = since(s.dead, at, level.GPUPercent, policy.Idle.ZombieGPUPercent)
}

// since returns the time since which a load has been below a limit; zero if it is not
// below, or not known. before is the result for the previous report.
func since(before, at time.Time, load *float64, limit float64) time.Time {
	switch {
	case load == nil || *load >= limit:
		return time.Time{}
	case before.IsZero():
		return at
	}
	return before
}

// reading returns how many successive reports of a node were over its limits, with the
// one that is being decided.
func (l *levels) reading(node domain.NodeID, level nodes.Level, policy nodes.Policy) nodes.Readings {
	last, _ := l.last(node)
	return last.readings.Next(level, policy)
}

func (l *levels) put(node domain.NodeID, at time.Time, change func(*seen)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.nodes[node]
	if !known && len(l.nodes) >= maxLevels {
		return
	}
	change(&before)
	before.at, before.word = at, at
	l.nodes[node] = before
}

// touch notes that a node called whose level is kept already.
func (l *levels) touch(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, known := l.nodes[node]; known {
		before.at, before.word = at, at
		l.nodes[node] = before
	}
}

// claims is touch for a claim, with what it asks for.
func (l *levels) claims(node domain.NodeID, at time.Time, asked []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, known := l.nodes[node]; known {
		before.at, before.word, before.asked = at, at, asked
		l.nodes[node] = before
	}
}

// alive notes that other nodes found a node to be alive.
func (l *levels) alive(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.nodes[node]
	if known || len(l.nodes) < maxLevels {
		before.at = at
		l.nodes[node] = before
	}
}

// lastWord returns when a node itself last called; zero: not yet.
func (l *levels) lastWord(node domain.NodeID) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[node].word
}

// expect begins to count the silence of a node that has not been heard from yet.
func (l *levels) expect(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.nodes[node]; !known && len(l.nodes) < maxLevels {
		l.nodes[node] = seen{at: at}
	}
}

// resume moves the times of nodes forward by a period, ending at a moment, in which this
// node could not hear them.
func (l *levels) resume(at time.Time, away time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for node, last := range l.nodes {
		for _, moment := range []*time.Time{&last.at, &last.read, &last.idle, &last.dead} {
			if !moment.IsZero() && moment.Before(at) {
				*moment = moment.Add(min(away, at.Sub(*moment)))
			}
		}
		l.nodes[node] = last
	}
}

// seedEvery is the time between two calls of expectNodes.
const seedEvery = 5 * time.Second

// dueSeed reports whether expectNodes is to be called.
func (l *levels) dueSeed(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.seeded.IsZero() && now.Sub(l.seeded) < seedEvery {
		return false
	}
	l.seeded = now
	return true
}

func (l *levels) forget(node domain.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.nodes, node)
}

// dueLook reports whether a time has passed since the last search for idle nodes.
func (l *levels) dueLook(now time.Time, every time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.looked.IsZero() && now.Sub(l.looked) < every {
		return false
	}
	l.looked = now
	return true
}

// idle lists the nodes whose GPU has been idle since a moment, by name.
func (l *levels) idle(until time.Time) []domain.NodeID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var nodes []domain.NodeID
	for node, last := range l.nodes {
		if !last.idle.IsZero() && !last.idle.After(until) {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// inTurn returns at most limit elements of a list that is ordered by name, beginning after
// the one at which the last call ended.
func inTurn[T any](last *domain.NodeID, list []T, limit int, name func(T) domain.NodeID) []T {
	if len(list) <= limit {
		*last = ""
		return list
	}
	from, _ := slices.BinarySearchFunc(list, *last, func(one T, last domain.NodeID) int {
		if name(one) <= last {
			return -1
		}
		return 1
	})
	turn := slices.Concat(list[from:], list[:from])[:limit]
	*last = name(turn[limit-1])
	return turn
}

// works notes that a node holds items: its idle time begins again.
func (l *levels) works(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, known := l.nodes[node]; known && !last.idle.IsZero() {
		last.idle = at
		l.nodes[node] = last
	}
}

// mayDie reports whether one more node may be given up in this period.
func (l *levels) mayDie(now time.Time, policy nodes.PatiencePolicy) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cycle.IsZero() || now.Sub(l.cycle) >= policy.CycleSeconds.Duration() {
		l.cycle, l.deaths = now, 0
	}
	if l.deaths >= policy.MaxDeathsPerCycle {
		return false
	}
	l.deaths++
	return true
}

// silent lists the nodes that were not heard from since a moment, the longest silent first.
func (l *levels) silent(since time.Time) []domain.NodeID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var nodes []domain.NodeID
	for node, last := range l.nodes {
		if !last.at.After(since) {
			nodes = append(nodes, node)
		}
	}
	slices.SortFunc(nodes, func(a, b domain.NodeID) int {
		return cmp.Or(l.nodes[a].at.Compare(l.nodes[b].at), cmp.Compare(a, b))
	})
	return nodes
}

func (l *levels) last(node domain.NodeID) (seen, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.nodes[node]
	return last, known
}
