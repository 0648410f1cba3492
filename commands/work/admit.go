package work

import (
	"strings"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// admission is what the queue's length says of an add. It is found before the
// add is decided, and told only after it is clear that the add is no repetition
// of one that was taken.
type admission struct {
	refused error
	level   string // "soft": producers are asked to slow down
}

// joining are the items of a batch that are added before another one.
type joining struct {
	items  int
	types  map[string]int  // how many of each type
	wheres map[string]bool // expressions that only they have
	bytes  int             // of memory that they will take
}

// admitAdd looks at how long and how large the queue is, with the items that are added
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

// bytes is about how much memory the item will take.
func (c AddTask) bytes() int {
	n := work.BytesOf(string(c.TaskID), c.TaskType, c.ConfigKey, c.Where, c.UniqueKey, c.batch) + work.ListedBytes(c.DependsOn) + work.ListedBytes(c.Requires)
	for _, excluded := range c.Exclude {
		n += work.ListedBytes([]domain.NodeID{excluded.NodeID})
	}
	return n
}

// maxWheres bounds the different expressions of live items. A claim may have to
// evaluate all of them, and every other claim waits meanwhile.
const maxWheres = 256

// followsUp tells a command that the cluster issues by itself. It is counted
// like any other and never refused for the queue's length: what it follows from
// has happened, and half a decision is worse than a long queue.
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

// announcePressure says that the queue got so long, or short again. The clock
// issues it, once per edge.
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

// duePressure is the level that was not announced yet, if there is one.
func duePressure(q *commands.Queue) []commands.Timed {
	p := q.Pressure()
	id := p.Announcement()
	if id == "" {
		return nil
	}
	return []commands.Timed{{ID: id, Command: announcePressure{p.Level, p.Pending, p.Soft, p.Hard}}}
}
