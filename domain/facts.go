package domain

import (
	"time"

	"github.com/ringrift/rift/domain/sched"
)

// Facts is everything a decision may see that is not in the log. The edge
// resolves it once, before the decision; a decision that is run again with the
// same state and the same facts gives the same events.
type Facts struct {
	Now         time.Time
	There       time.Time // since when the node has heard everybody without a break; zero: always
	Command     string    // id of this command; event ids derive from it
	Node        string    // the node that decides
	Actor       string    // who asked
	Causation   string    // id of the event that a reactor answered, if any
	Correlation string
	Term        uint64
	Seed        uint64 // the only source of randomness a decision has
	Policy      Policy // the policy document in force
	PolicyName  string // which one that is, "policy-default@3"
	// Rules is the scheduling part of Policy, compiled once per version; nil:
	// whoever needs it compiles it.
	Rules *sched.Rules
	// Expressions evaluates where and accepts; nil: nothing does.
	Expressions Expressions
	// Level is what the node that claims last said of itself; nil when not known.
	Level *Level
	// Models are the read models of the node that decides; only for whoever
	// decides on them.
	Models []Model
	// Readings is how often in a row a node that reports was over its limits,
	// this report included.
	Readings Readings
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
		Actor: f.Actor, Node: f.Node, Policy: f.PolicyName, Term: f.Term,
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

// Scheduler is the compiled scheduling part of the policy in force.
func (f Facts) Scheduler() (*sched.Rules, error) {
	if f.Rules != nil {
		return f.Rules, nil
	}
	return f.Policy.Work.Rules()
}
