package projections

import (
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// PressureRow is the length of the queue and what it means.
type PressureRow struct {
	Pending  int             `json:"pending"`
	Level    string          `json:"level"` // none, soft, hard
	Soft     int             `json:"soft_limit"`
	Hard     int             `json:"hard_limit"`
	Recovery int             `json:"recovery_limit"`
	Edge     domain.Position `json:"edge,omitempty"` // where the level became what it is
	Told     string          `json:"told,omitempty"` // the level that was announced last
}

// Announced is the level that producers were told.
func (p PressureRow) Announced() string { return or(p.Told, string(sched.NoPressure)) }

// PressureEdge begins the ids of the commands that announce a level.
const PressureEdge = "clock/pressure/"

// QueuePressure is how long the queue is; it starts from the default policy.
func QueuePressure(v View) (PressureRow, error) {
	row, found, err := workPressureTable.Get(v, "queue")
	if err == nil && !found {
		policy := builtIn.Work
		row = PressureRow{Level: string(sched.NoPressure), Soft: policy.SoftLimit, Hard: policy.HardLimit, Recovery: policy.RecoveryLimit}
	}
	return row, err
}

// pressureChange takes over a change of the queue's length.
func pressureChange(tx Tx, at domain.Position, change int) error {
	if change == 0 {
		return nil
	}
	row, err := QueuePressure(tx)
	if err != nil {
		return err
	}
	row.Pending += change
	return workPressureTable.Put(tx, "queue", row.leveled(at))
}

func (p PressureRow) leveled(at domain.Position) PressureRow {
	limits := sched.PressureLimits{Soft: p.Soft, Hard: p.Hard, Recovery: p.Recovery}
	if level := string(limits.Next(sched.Pressure(p.Level), p.Pending)); level != p.Level {
		p.Level, p.Edge = level, at
	}
	return p
}

func workPolicy(tx Tx, e domain.Envelope, changed domain.PolicyChanged) error {
	if changed.Name != domain.PolicyDefaultName {
		return nil
	}
	row, err := QueuePressure(tx)
	if err != nil {
		return err
	}
	work := changed.Policy.Work
	row.Soft, row.Hard, row.Recovery = work.SoftLimit, work.HardLimit, work.RecoveryLimit
	return workPressureTable.Put(tx, "queue", row.leveled(e.Position))
}

func pressureActivated(tx Tx, e domain.Envelope, activated domain.BackpressureActivated) error {
	return pressureTold(tx, e, activated.Level)
}

func pressureReleased(tx Tx, e domain.Envelope, _ domain.BackpressureReleased) error {
	return pressureTold(tx, e, string(sched.NoPressure))
}

// pressureTold remembers what was announced. What a recording says of another
// cluster's queue is not this one's.
func pressureTold(tx Tx, e domain.Envelope, level string) error {
	if !strings.HasPrefix(e.Meta.Command, PressureEdge) {
		return nil
	}
	row, err := QueuePressure(tx)
	if err != nil {
		return err
	}
	row.Told = level
	return workPressureTable.Put(tx, "queue", row)
}
