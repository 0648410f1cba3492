package work

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// QueuePressure returns the pressure of the queue.
func QueuePressure(v projections.View) (work.Pressure, error) {
	row, found, err := workPressureTable.Get(v, "queue")
	if err == nil && !found {
		row = work.NewPressure(work.DefaultPolicy())
	}
	return row, err
}

// changePressure changes the stored pressure.
func changePressure(tx projections.Tx, change func(work.Pressure) work.Pressure) error {
	row, err := QueuePressure(tx)
	if err != nil {
		return err
	}
	return workPressureTable.Put(tx, "queue", change(row))
}

// pressureChange notes a change of the length of the queue.
func pressureChange(tx projections.Tx, change int) error {
	if change == 0 {
		return nil
	}
	return changePressure(tx, func(p work.Pressure) work.Pressure { return p.Add(change) })
}

func workPolicy(tx projections.Tx, _ domain.Envelope, changed domain.PolicyChanged) error {
	if changed.Name != domain.PolicyDefaultName {
		return nil
	}
	return changePressure(tx, func(p work.Pressure) work.Pressure { return p.Limit(work.PolicyOf(changed.Policy)) })
}

func pressureActivated(tx projections.Tx, e domain.Envelope, activated work.BackpressureActivated) error {
	return changePressure(tx, func(p work.Pressure) work.Pressure { return p.Announce(e, activated.Level) })
}

func pressureReleased(tx projections.Tx, e domain.Envelope, _ work.BackpressureReleased) error {
	return changePressure(tx, func(p work.Pressure) work.Pressure { return p.Announce(e, string(sched.NoPressure)) })
}
