package simulate

import (
	"encoding/json"
	"iter"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
)

// Scenario is the environment of a queue.
type Scenario struct {
	Name     string
	Start    time.Time
	Span     time.Duration // from the first arrival to the last; the simulation continues until all items have ended
	Machines []Machine
	// Arrivals yields items in the order of their time. The first error ends it.
	Arrivals iter.Seq2[Arrival, error]
	Faults   []Fault // in the order of their start; those of a machine do not overlap
	Policy   domain.Policy
	Notes    []string // changes made to fit the recording

	Poll time.Duration // between two claims of a machine with free slots
	Tick time.Duration // between two checks of the deadlines
}

// Machine is a node with a worker on it.
type Machine struct {
	ID           domain.NodeID
	Capabilities []string
	Facts        json.RawMessage
	Slots        int
}

// Arrival is an item with its fate.
type Arrival struct {
	At   time.Time
	Task workcmd.AddTask
	Fate Fate
}

// Fate is the course of an item, on whichever machine it runs.
type Fate struct {
	Runs     []Ending      // of successive runs; the last one applies to all later ones
	Lasts    time.Duration // of a run that is not interrupted
	CancelAt time.Time     // when its owner cancels it; zero: never
}

// Run returns the ending of the n-th run, from 1.
func (f Fate) Run(n int) Ending {
	if len(f.Runs) == 0 {
		return Succeeds
	}
	return f.Runs[min(n, len(f.Runs))-1]
}

// Ending is how a run ends.
type Ending uint8

// The endings of runs.
const (
	Succeeds Ending = iota
	Fails           // and may be retried
	FailsForGood
	Releases     // gives its item back half way
	Vanishes     // ends without a report
	AwaitsCancel // runs until its owner cancels it, half way at the latest
)

// Fault is a period in which a machine does not work.
type Fault struct {
	Machine    int // index of the machine
	Start, End time.Time
	Reason     string
	// Silent: the machine is gone, and the cluster has to notice by itself.
	// Otherwise the fault is reported, and its worker keeps claiming.
	Silent bool
}

// Totals counts the parts of a scenario.
type Totals struct {
	Machines int `json:"machines"`
	Slots    int `json:"slots"`
	Faults   int `json:"faults"`
	Silent   int `json:"silent_faults"`
}

func (s Scenario) totals() Totals {
	t := Totals{Machines: len(s.Machines), Faults: len(s.Faults)}
	for _, m := range s.Machines {
		t.Slots += m.Slots
	}
	for _, f := range s.Faults {
		if f.Silent {
			t.Silent++
		}
	}
	return t
}
