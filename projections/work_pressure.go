package projections

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// QueuePressure is how long the queue is; it starts from the default policy.
func QueuePressure(v View) (work.Pressure, error) {
	row, found, err := workPressureTable.Get(v, "queue")
	if err == nil && !found {
		row = work.NewPressure(domain.DefaultWorkPolicy())
	}
	return row, err
}

// changePressure stores what the pressure becomes.
func changePressure(tx Tx, change func(work.Pressure) work.Pressure) error {
	row, err := QueuePressure(tx)
	if err != nil {
		return err
	}
	return workPressureTable.Put(tx, "queue", change(row))
}

// pressureChange takes over a change of the queue's length.
func pressureChange(tx Tx, change int) error {
	if change == 0 {
		return nil
	}
	return changePressure(tx, func(p work.Pressure) work.Pressure { return p.Add(change) })
}

func workPolicy(tx Tx, _ domain.Envelope, changed domain.PolicyChanged) error {
	if changed.Name != domain.PolicyDefaultName {
		return nil
	}
	return changePressure(tx, func(p work.Pressure) work.Pressure { return p.Limit(domain.WorkPolicyOf(changed.Policy)) })
}

func pressureActivated(tx Tx, e domain.Envelope, activated domain.BackpressureActivated) error {
	return changePressure(tx, func(p work.Pressure) work.Pressure { return p.Announce(e, activated.Level) })
}

func pressureReleased(tx Tx, e domain.Envelope, _ domain.BackpressureReleased) error {
	return changePressure(tx, func(p work.Pressure) work.Pressure { return p.Announce(e, string(sched.NoPressure)) })
}
