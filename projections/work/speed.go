package work

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// SpeedRow is the measured speed of items of one type and config on one class of nodes.
// Older measurements count less.
type SpeedRow struct {
	TaskType  string    `json:"task_type"`
	ConfigKey string    `json:"config_key"`
	NodeClass string    `json:"node_class"`
	Units     int64     `json:"units"`
	SpentMS   int64     `json:"spent_ms"`
	Items     int       `json:"items" doc:"ever measured"`
	UpdatedAt time.Time `json:"updated_at"`
}

func speedKey(taskType, config, class string) string {
	return projections.Pair(projections.Pair(taskType, config), class)
}

// taskMeasured adds the measurement of an item that is done.
func taskMeasured(tx projections.Tx, e domain.Envelope, item *TaskRow, measured work.Measured) error {
	return workSpeedTable.Update(tx, speedKey(item.TaskType, item.ConfigKey, measured.NodeClass), func(row *SpeedRow) {
		row.TaskType, row.ConfigKey, row.NodeClass = item.TaskType, item.ConfigKey, measured.NodeClass
		throughput := row.throughput().Measured(measured.Units, time.Duration(measured.SpentMS)*time.Millisecond, 1, time.Duration(measured.WindowMS)*time.Millisecond)
		row.Units, row.SpentMS = throughput.Games, throughput.Time.Milliseconds()
		row.Items++
		row.UpdatedAt = e.Time
	})
}

func (r SpeedRow) throughput() sched.Throughput {
	return sched.Throughput{Games: r.Units, Time: time.Duration(r.SpentMS) * time.Millisecond}
}

// SizeFor returns the size of an item of a type and config on a node; nil if the policy does
// not size the type, or nothing was measured and it has no default.
func SizeFor(v projections.View, taskType, config string, node domain.NodeID, policy work.Policy) (*work.Size, error) {
	sizing, sized := policy.Sizing[taskType]
	if !sized {
		return nil, nil
	}
	class := policy.NodeClass(node)
	row, _, err := workSpeedTable.Get(v, speedKey(taskType, config, class))
	if err != nil {
		return nil, err
	}
	if !row.throughput().PerGame().Known && sizing.Unmeasured == 0 {
		return nil, nil
	}
	answer := sched.Sizing{
		Target: sizing.TargetSeconds.Duration(), Concurrency: 1, Batch: sizing.Batch,
		Least: sizing.Least, Most: sizing.Most, Unmeasured: sizing.Unmeasured,
	}.Games(row.throughput())
	return &work.Size{Units: answer.Games, NodeClass: class, Reason: answer.Reason}, nil
}

// SpeedQuestion is the query of Speeds.
type SpeedQuestion struct {
	Type   string `query:"type"`
	Config string `query:"config_key"`
}

// SpeedsAnswer is the answer of Speeds.
type SpeedsAnswer struct {
	Speeds []Speed `json:"speeds"`
}

// Speed is a measured speed and the size of the next item of its kind.
type Speed struct {
	SpeedRow
	PerUnitMS int64  `json:"per_unit_ms"`
	Size      int    `json:"size" doc:"0: the type is not sized any more"`
	Reason    string `json:"reason" doc:"of the size"`
}

// Speeds lists the measured speeds by type, config and class of node.
func Speeds(v projections.View, q SpeedQuestion) (SpeedsAnswer, error) {
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return SpeedsAnswer{}, err
	}
	answer := SpeedsAnswer{Speeds: []Speed{}}
	for entry, err := range workSpeedTable.Scan(v, projections.Span{}) {
		if err != nil {
			return SpeedsAnswer{}, err
		}
		row := entry.Row
		if q.Type != "" && row.TaskType != q.Type || q.Config != "" && row.ConfigKey != q.Config {
			continue
		}
		one := Speed{SpeedRow: row, PerUnitMS: row.SpentMS / max(row.Units, 1)}
		if sizing, sized := work.PolicyOf(policy).Sizing[row.TaskType]; sized {
			size := sched.Sizing{
				Target: sizing.TargetSeconds.Duration(), Concurrency: 1, Batch: sizing.Batch,
				Least: sizing.Least, Most: sizing.Most, Unmeasured: sizing.Unmeasured,
			}.Games(row.throughput())
			one.Size, one.Reason = size.Games, size.Reason
		}
		answer.Speeds = append(answer.Speeds, one)
	}
	return answer, nil
}
