package node

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// maxLevels bounds the nodes whose level is kept.
const maxLevels = 65536

// levels is what nodes last said of themselves, in memory only: edges are
// events, levels are not. After a start every node counts as just heard from.
type levels struct {
	mu     sync.Mutex
	nodes  map[domain.NodeID]seen
	seeded time.Time
}

// seen is when a node was last heard from, and what it said.
type seen struct {
	at    time.Time
	level domain.Level
}

func newLevels() *levels { return &levels{nodes: map[domain.NodeID]seen{}} }

// note takes over what a command says of its node, by its words or by the work
// it reported on: any sign is a sign of life.
func (l *levels) note(c domain.Command, result commands.Result, at time.Time) {
	switch c := c.(type) {
	case commands.NodeHeartbeat:
		l.put(c.NodeID, at, &c.Level)
	case commands.RegisterNode:
		l.put(c.NodeID, at, nil)
	case commands.ClaimTasks:
		l.touch(c.NodeID, at)
	}
	for _, e := range result.Events {
		switch report := e.Event.(type) {
		case domain.TaskStarted:
			l.touch(report.NodeID, at)
		case domain.TaskHeartbeat:
			l.touch(report.NodeID, at)
		case domain.TaskCompleted:
			l.touch(report.NodeID, at)
		case domain.TaskFailed:
			l.touch(report.NodeID, at)
		case domain.TaskReleased:
			l.touch(report.NodeID, at)
		}
	}
}

func (l *levels) put(node domain.NodeID, at time.Time, level *domain.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.nodes[node]
	if !known && len(l.nodes) >= maxLevels {
		return
	}
	if level != nil {
		before.level = *level
	}
	before.at = at
	l.nodes[node] = before
}

// touch notes a sign of life of a node whose level is kept already.
func (l *levels) touch(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, known := l.nodes[node]; known {
		before.at = at
		l.nodes[node] = before
	}
}

// expect starts the silence of a node that has not been heard from yet.
func (l *levels) expect(node domain.NodeID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.nodes[node]; !known && len(l.nodes) < maxLevels {
		l.nodes[node] = seen{at: at}
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

// silent lists the nodes not heard from since a moment, by name.
func (l *levels) silent(since time.Time) []domain.NodeID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var nodes []domain.NodeID
	for node, last := range l.nodes {
		if !last.at.After(since) {
			nodes = append(nodes, node)
		}
	}
	slices.SortFunc(nodes, func(a, b domain.NodeID) int { return strings.Compare(string(a), string(b)) })
	return nodes
}

func (l *levels) last(node domain.NodeID) (seen, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.nodes[node]
	return last, known
}
