package commands

import (
	"fmt"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/projections"
)

// admission is what the queue's length says of an add. It is found before the
// add is decided, and told only after it is clear that the add is no repetition
// of one that was taken.
type admission struct {
	refused error
	level   string // "soft": producers are asked to slow down
}

// admitAdd looks at how long the queue is, with what is being added beside it.
func admitAdd(desk Desk, c AddTask, facts domain.Facts) (AddTask, error) {
	admitted, err := admit(desk, facts, c.TaskType, 1)
	if !c.Force && !followsUp(facts) {
		c.admission = admitted
	}
	return c, err
}

// followsUp tells a command that the cluster issues by itself. It is counted
// like any other and never refused for the queue's length: what it follows from
// has happened, and half a decision is worse than a long queue.
func followsUp(facts domain.Facts) bool {
	return facts.Actor == "clock" || strings.HasPrefix(facts.Actor, "reactor:")
}

// admit decides on n more items of a type.
func admit(desk Desk, facts domain.Facts, taskType string, n int) (admission, error) {
	rules, err := facts.Scheduler()
	if err != nil {
		return admission{}, err
	}
	pressure, err := projections.QueuePressure(desk)
	if err != nil {
		return admission{}, err
	}
	pending := pressure.Pending + desk.Expect("pending", n) + n - 1
	kind := 0
	if rules.Type(taskType).PendingCap != nil {
		if kind, err = projections.PendingOf(desk, taskType); err != nil {
			return admission{}, err
		}
		kind += desk.Expect("pending:"+taskType, n) + n - 1
	}
	level := rules.Policy().Pressure.Next(sched.Pressure(pressure.Level), pending)
	answer := rules.Admit(taskType, level, pending, kind)
	if !answer.OK {
		return admission{refused: domain.Errorf(domain.TooMany, "%s; claim or cancel items, or add it later", answer.Reason)}, nil
	}
	if level == sched.SoftPressure {
		return admission{level: string(level)}, nil
	}
	return admission{}, nil
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
func (announcePressure) Stream() domain.StreamID { return domain.ClusterStream(domain.DefaultCluster) }
func (announcePressure) Expect() domain.Revision { return domain.AnyRevision }
func (c announcePressure) Facts() []domain.Event {
	if c.Level == string(sched.NoPressure) {
		return []domain.Event{domain.BackpressureReleased{Pending: c.Pending}}
	}
	return []domain.Event{domain.BackpressureActivated{Level: c.Level, Pending: c.Pending, SoftLimit: c.Soft, HardLimit: c.Hard}}
}

// duePressure is the edge that was not announced yet, if there is one.
func duePressure(v projections.View) ([]Timed, error) {
	row, err := projections.QueuePressure(v)
	if err != nil || row.Level == row.Announced() {
		return nil, err
	}
	return []Timed{{
		fmt.Sprintf("%s%d/%s", projections.PressureEdge, row.Edge, row.Level),
		announcePressure{row.Level, row.Pending, row.Soft, row.Hard},
	}}, nil
}
