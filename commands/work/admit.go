package work

import (
	"strings"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// admission is whether the queue has room for an item. It is computed before the
// add is decided, but only returned once it is clear that the add is not a
// repetition of an accepted one.
type admission struct {
	refused error
	level   string // "soft": producers are asked to slow down
}

// joining counts the items of a batch that are added before another one.
type joining struct {
	items  int
	types  map[string]int  // number of items by type
	wheres map[string]bool // expressions that only these items have
	bytes  int             // memory that they will take
}

// admitAdd checks the length and size of the queue, including the items added
// before this one.
func admitAdd(q *commands.Queue, c AddTask, facts domain.Facts, before joining) AddTask {
	if followsUp(facts) {
		return c
	}
	if !c.Force {
		c.admission = admit(q, c.TaskType, before.items, before.types[c.TaskType])
	}
	if live, known := q.Wheres(c.Where); c.Where != "" && !known && !before.wheres[c.Where] && live+len(before.wheres) >= maxWheres {
		c.admission = admission{refused: domain.Errorf(domain.TooMany, "where: want at most %d different expressions among the items of the queue, found %d; say it as one of them does, or add it when some are done", maxWheres, live+len(before.wheres))}
	}
	if taken := int64(q.Bytes() + before.bytes + c.bytes()); q.Most > 0 && taken > q.Most {
		c.admission = admission{refused: domain.Errorf(domain.TooMany, "want the items of the queue to take at most %d KiB of this node's memory, found %d KiB; claim or cancel items, or start the node with a larger --memory-limit", q.Most>>10, taken>>10)}
	}
	return c
}

// bytes returns about how much memory the item will take.
func (c AddTask) bytes() int {
	n := work.BytesOf(string(c.TaskID), c.TaskType, c.ConfigKey, c.Where, c.UniqueKey, c.batch) + work.ListedBytes(c.DependsOn) + work.ListedBytes(c.Requires)
	for _, excluded := range c.Exclude {
		n += work.ListedBytes([]domain.NodeID{excluded.NodeID})
	}
	return n
}

// maxWheres limits the different expressions of live items. A claim may have to
// evaluate all of them while every other claim waits.
const maxWheres = 256

// followsUp reports whether the cluster itself issued a command. Such a command
// counts for the queue's length but is never refused because of it: its cause has
// already been recorded, and a half-done reaction is worse than a long queue.
func followsUp(facts domain.Facts) bool {
	return facts.Actor == "clock" || strings.HasPrefix(facts.Actor, "reactor:")
}

func admit(q *commands.Queue, taskType string, before, ofType int) admission {
	rules, pressure := q.Rules(), q.Pressure()
	pending := pressure.Pending + before
	level := rules.Policy().Pressure.Next(sched.Pressure(pressure.Level), pending)
	answer := rules.Admit(taskType, level, pending, q.PendingOf(taskType)+ofType)
	if !answer.OK {
		return admission{refused: domain.Errorf(domain.TooMany, "%s; claim or cancel items, or add it later", answer.Reason)}
	}
	if level == sched.SoftPressure {
		return admission{level: string(level)}
	}
	return admission{}
}

// announcePressure records that the queue became too long, or short again. The
// clock issues it, once per change.
type announcePressure struct {
	Level   string `json:"level"`
	Pending int    `json:"pending"`
	Soft    int    `json:"soft_limit"`
	Hard    int    `json:"hard_limit"`
}

func (announcePressure) CommandType() string     { return "work.pressure" }
func (announcePressure) Stream() domain.StreamID { return admin.ClusterStream(admin.DefaultCluster) }
func (announcePressure) Expect() domain.Revision { return domain.AnyRevision }
func (c announcePressure) Facts() []domain.Event {
	if c.Level == string(sched.NoPressure) {
		return []domain.Event{work.BackpressureReleased{Pending: c.Pending}}
	}
	return []domain.Event{work.BackpressureActivated{Level: c.Level, Pending: c.Pending, SoftLimit: c.Soft, HardLimit: c.Hard}}
}

// duePressure returns the command for a level that was not announced yet, if any.
func duePressure(q *commands.Queue) []commands.Timed {
	p := q.Pressure()
	id := p.Announcement()
	if id == "" {
		return nil
	}
	return []commands.Timed{{ID: id, Command: announcePressure{p.Level, p.Pending, p.Soft, p.Hard}}}
}
