package simulate

import (
	"encoding/json"
	"iter"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
)

// Scenario is what happens around a queue.
type Scenario struct {
	Name     string
	Start    time.Time
	Span     time.Duration // from the first arrival to the last; work goes on until it is done
	Machines []Machine
	// Arrivals are items in the order of their time. The first error ends it.
	Arrivals iter.Seq2[Arrival, error]
	Faults   []Fault // in the order of their start; those of a machine do not overlap
	Policy   domain.Policy
	Notes    []string // what was changed to make it fit

	Poll time.Duration // between two claims of a machine that has slots free
	Tick time.Duration // between two looks at the deadlines
}

// Machine is a node with a worker on it.
type Machine struct {
	ID           domain.NodeID
	Capabilities []string
	Facts        json.RawMessage
	Slots        int
}

// Arrival is an item with what will become of it.
type Arrival struct {
	At   time.Time
	Task workcmd.AddTask
	Fate Fate
}

// Fate is what becomes of an item, whoever runs it.
type Fate struct {
	Runs     []Ending      // of one run after the other; the last one goes for all later ones
	Lasts    time.Duration // of a run that nothing breaks off
	CancelAt time.Time     // when its owner wants it no more; zero: never
}

// Run is the ending of the n-th run, from 1.
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
	Fails           // and may be tried again
	FailsForGood
	Releases     // is given back half way
	Vanishes     // nothing is heard of it any more
	AwaitsCancel // runs until its owner has had enough of it, half way at the latest
)

// Fault is a time in which a machine is no good.
type Fault struct {
	Machine    int // its place among the machines
	Start, End time.Time
	Reason     string
	// Silent: the machine is gone, and the cluster has to notice by itself. If
	// not, somebody says what it has, and its worker asks for work all the same.
	Silent bool
}

// Totals are what a scenario is made of.
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
