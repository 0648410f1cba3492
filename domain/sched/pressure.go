package sched

import "fmt"

// PressureLimits are the lengths of the queue at which the pressure changes.
type PressureLimits struct {
	Soft     int `json:"soft_limit"`     // from here producers are asked to slow down
	Hard     int `json:"hard_limit"`     // from here items are refused
	Recovery int `json:"recovery_limit"` // below this there is no pressure
}

// Pressure is how full the queue is.
type Pressure string

// The levels of pressure.
const (
	NoPressure   Pressure = "none"
	SoftPressure Pressure = "soft"
	HardPressure Pressure = "hard"
)

func (l PressureLimits) faults() []Fault {
	if l.Recovery < 1 || l.Recovery > l.Soft || l.Soft > l.Hard {
		return []Fault{{"pressure", fmt.Sprintf("want 1 ≤ recovery ≤ soft ≤ hard, found %d, %d, %d", l.Recovery, l.Soft, l.Hard)}}
	}
	return nil
}

// Next returns the level for a length of the queue. Between the recovery and the soft limit
// the level does not change, so that a length that varies around a limit does not change
// it often. Hard pressure ends below the hard limit.
func (l PressureLimits) Next(level Pressure, pending int) Pressure {
	switch {
	case pending >= l.Hard:
		return HardPressure
	case pending >= l.Soft:
		return SoftPressure
	case pending < l.Recovery:
		return NoPressure
	case level == HardPressure:
		return SoftPressure
	}
	return level
}

// Admission says whether an item may be added.
type Admission struct {
	OK     bool
	Limit  int // the limit that refused it
	Reason string
}

// Admit decides on one more item of a type: the cap of its kind first, then the
// length of the whole queue.
func (r *Rules) Admit(kind string, level Pressure, pending, pendingOfKind int) Admission {
	if most := r.Type(kind).PendingCap; most != nil && pendingOfKind >= *most {
		return Admission{Limit: *most, Reason: fmt.Sprintf("%d items of type %s wait, its cap is %d", pendingOfKind, kind, *most)}
	}
	if level == HardPressure || pending >= r.policy.Pressure.Hard {
		return Admission{Limit: r.policy.Pressure.Hard, Reason: fmt.Sprintf("%d items wait, the hard limit is %d", pending, r.policy.Pressure.Hard)}
	}
	return Admission{OK: true, Reason: fmt.Sprintf("%d items wait, pressure is %s", pending, level)}
}
