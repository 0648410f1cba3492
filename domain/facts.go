package domain

import (
	"slices"
	"time"
)

// Facts is everything a decision may see that is not in the log. The edge
// resolves it once, before the decision; a decision that is run again with the
// same state and the same facts gives the same events.
type Facts struct {
	Now         time.Time
	There       time.Time // since when the node has heard everybody without a break; zero: always
	Command     string    // id of this command; event ids derive from it
	Request     string    // digest of what a caller commands under that id; empty: the id follows from the command
	Node        string    // the node that decides
	Actor       string    // who asked
	Causation   string    // id of the event that a reactor answered, if any
	Correlation string
	Term        uint64
	Seed        uint64 // the only source of randomness a decision has
	Policy      Policy // the policy document in force
	PolicyName  string // which one that is, "policy-default@3"
	known       []any  // what single areas look at besides
}

// With gives facts that hold these values too, each found by its type.
func (f Facts) With(values ...any) Facts {
	f.known = append(slices.Clip(f.known), values...)
	return f
}

// FactOf finds the value of a type among what With put into facts; its zero when
// nobody put one there.
func FactOf[T any](f Facts) T {
	for _, value := range f.known {
		if found, ok := value.(T); ok {
			return found
		}
	}
	var none T
	return none
}

// Heard is a moment, or There where the node was away after it: how much time
// passed while it was away nobody can tell for certain.
func (f Facts) Heard(moment time.Time) time.Time {
	if f.There.After(moment) {
		return f.There
	}
	return moment
}

// ID is the identity of the i-th event of this decision.
func (f Facts) ID(i int) EventID { return DeriveID(f.Command, i) }

// Meta is what the events of this decision say of their cause.
func (f Facts) Meta() Meta {
	return Meta{
		Command: f.Command, Causation: f.Causation, Correlation: f.Correlation,
		Actor: f.Actor, Node: f.Node, Policy: f.PolicyName, Term: f.Term, Request: f.Request,
	}
}

// Jitter draws a number in [0, 1) from the seed and a salt: splitmix64, so that
// every machine draws the same.
func (f Facts) Jitter(salt uint64) float64 {
	z := f.Seed + (salt+1)*0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) / (1 << 53)
}
