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

// maxLevels bounds the nodes whose level is kept.
const maxLevels = 65536

// levels is what nodes last said of themselves, in memory only: edges are
// events, levels are not. After a start every node counts as just heard from.
type levels struct {
	mu     sync.Mutex
	nodes  map[domain.NodeID]seen
	seeded time.Time
	looked time.Time // for idle nodes
	cycle  time.Time // when the current cycle of deaths began
	deaths int       // in it
	// The nodes that the last look ended with. Only the clock uses them.
	idleTurn, busyTurn domain.NodeID
}

// seen is when a node was last heard from, and what it said.
type seen struct {
	at       time.Time
	word     time.Time // when it last gave a sign of life itself; zero: not yet
	level    nodes.Level
	readings nodes.Readings
	idle     time.Time // since when its GPU is below what counts as idle; zero: it is not, or nobody knows
	dead     time.Time // since when its GPU is below what counts as doing nothing
}

func newLevels() *levels { return &levels{nodes: map[domain.NodeID]seen{}} }

// note records that the node of a command was heard from, and its load where the
// command says it. A claim or a report on work counts like a heartbeat.
func (l *levels) note(c domain.Command, result commands.Result, at time.Time, policy nodes.Policy) {
	switch c := c.(type) {
	case nodescmd.NodeHeartbeat:
		l.put(c.NodeID, at, func(s *seen) { s.report(c.Level, at, policy) })
	case nodescmd.RegisterNode:
		l.put(c.NodeID, at, func(*seen) {})
	case workcmd.ClaimTasks:
		l.touch(c.NodeID, at)
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

// report takes over what a node says of itself.
func (s *seen) report(level nodes.Level, at time.Time, policy nodes.Policy) {
	s.level, s.readings = level, s.readings.Next(level, policy)
	s.idle = since(s.idle, at, level.GPUPercent, policy.Idle.GPUPercent)
	s.dead = since(s.dead, at, level.GPUPercent, policy.Idle.ZombieGPUPercent)
}

// since is the moment from which a load is below a limit; unknown is not below.
func since(before, at time.Time, load *float64, limit float64) time.Time {
	switch {
	case load == nil || *load >= limit:
		return time.Time{}
	case before.IsZero():
		return at
	}
	return before
}

// reading is how often in a row a node was over its limits, with a report that
// is being decided.
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

// touch notes a sign of life of a node whose level is kept already.
func (l *levels) touch(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, known := l.nodes[node]; known {
		before.at, before.word = at, at
		l.nodes[node] = before
	}
}

// alive notes that a node is alive by what others found out.
func (l *levels) alive(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.nodes[node]
	if known || len(l.nodes) < maxLevels {
		before.at = at
		l.nodes[node] = before
	}
}

// lastWord is when a node last gave a sign of life itself; zero: not yet.
func (l *levels) lastWord(node domain.NodeID) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[node].word
}

// expect starts the silence of a node that has not been heard from yet.
func (l *levels) expect(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.nodes[node]; !known && len(l.nodes) < maxLevels {
		l.nodes[node] = seen{at: at}
	}
}

// resume takes a time in which nobody could be heard, up to a moment, out of what
// is known of the nodes.
func (l *levels) resume(at time.Time, away time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for node, last := range l.nodes {
		for _, moment := range []*time.Time{&last.at, &last.idle, &last.dead} {
			if !moment.IsZero() && moment.Before(at) {
				*moment = moment.Add(min(away, at.Sub(*moment)))
			}
		}
		l.nodes[node] = last
	}
}

// seedEvery is how often the read models are searched for nodes to expect.
const seedEvery = 5 * time.Second

// dueSeed tells whether it is time to search again.
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

// dueLook tells whether a time has passed since the last look for idle nodes.
func (l *levels) dueLook(now time.Time, every time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.looked.IsZero() && now.Sub(l.looked) < every {
		return false
	}
	l.looked = now
	return true
}

// idle lists the nodes whose GPU does nothing since a moment or longer, by name.
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

// inTurn gives at most limit of a list that is ordered by name: those that come
// after the one that the last call ended with, and then from the front.
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

// works notes that a node holds work: its idleness begins anew.
func (l *levels) works(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, known := l.nodes[node]; known && !last.idle.IsZero() {
		last.idle = at
		l.nodes[node] = last
	}
}

// mayDie tells whether one more node may be given up in this cycle.
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

// silent lists the nodes not heard from since a moment, the longest silent first.
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
