package domain

import (
	"slices"
	"time"
)

// Facts is everything a decision may use that is not in the log. It is collected
// once before the decision; a decision that runs again with the same state and the
// same facts gives the same events.
type Facts struct {
	Now         time.Time
	There       time.Time // since when the node has been reachable without a break; zero: always
	Command     string    // id of this command; event ids derive from it
	Request     string    // digest of the caller's command under that id; empty: the id is derived from the command
	Node        string    // the deciding node
	Actor       string    // who issued the command
	Causation   string    // id of the event that a reactor reacted to, if any
	Correlation string
	Term        uint64
	Seed        uint64 // the only source of randomness a decision has
	Policy      Policy // the policy document in force
	PolicyName  string // which one that is, "policy-default@3"
	known       []any  // additional facts of single areas
}

// With returns facts that also hold these values, to be found by type.
func (f Facts) With(values ...any) Facts {
	f.known = append(slices.Clip(f.known), values...)
	return f
}

// FactOf returns the value of a type that With added, or its zero value.
func FactOf[T any](f Facts) T {
	for _, value := range f.known {
		if found, ok := value.(T); ok {
			return found
		}
	}
	var none T
	return none
}

// Heard returns moment, or There if that is later: time before There does not
// count, because nobody could reach the node then.
func (f Facts) Heard(moment time.Time) time.Time {
	if f.There.After(moment) {
		return f.There
	}
	return moment
}

// ID returns the id of the i-th event of this decision.
func (f Facts) ID(i int) EventID { return DeriveID(f.Command, i) }

// Meta returns the metadata of this decision's events.
func (f Facts) Meta() Meta {
	return Meta{
		Command: f.Command, Causation: f.Causation, Correlation: f.Correlation,
		Actor: f.Actor, Node: f.Node, Policy: f.PolicyName, Term: f.Term, Request: f.Request,
	}
}

// Jitter returns a number in [0, 1) derived from the seed and a salt by splitmix64,
// the same on every machine.
func (f Facts) Jitter(salt uint64) float64 {
	z := f.Seed + (salt+1)*0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) / (1 << 53)
}
