package sched

import "cmp"

// Flow is the state of a config in one class and pool for fair queueing.
type Flow struct {
	Weight int    `json:"weight"`
	Finish uint64 `json:"finish"` // virtual time at which its last pick finishes
	Served uint64 `json:"served"` // turn of the class in which it was last charged; 0: never
}

// Class counts the turns of a class and the flows that have items queued in it.
type Class struct {
	Turns  uint64 `json:"turns"`
	Flows  int    `json:"flows"`  // with items queued
	Weight int    `json:"weight"` // sum of the weights of those
}

// unit is the virtual time that one slot costs a config of weight 1.
const unit = 1 << 30

// Charge books an ordinary pick that starts at a virtual time: the class has had one more
// turn, and the flow finishes cost ÷ weight later. Reserved turns are not charged.
func (f *Flow) Charge(class *Class, start uint64, cost int) {
	class.Turns++
	f.Served = class.Turns
	f.Finish = start + uint64(cost)*unit/uint64(f.Weight)
}

// stale reports whether a flow was not served for more than twice the longest wait of a
// flow that always competes, cost × W/w + n turns of its class. Its virtual time then
// means nothing.
func (f *Flow) stale(class *Class, maxCost int64) bool {
	if f.Served == 0 {
		return true
	}
	passed := min(class.Turns-f.Served, 1<<40)
	spare := 2 * uint64(class.Flows)
	return passed > spare && (passed-spare)*uint64(f.Weight) > 2*uint64(maxCost)*uint64(class.Weight)
}

// Contender is the item of a group that a node could get: the oldest if it starves,
// otherwise the first by priority.
type Contender struct {
	*Standing
	Flow       *Flow
	Rank       int // of its class, 0 the most important
	Preference int // of the node for its type
	Starving   bool

	entry *entry // of the index, for its own use
}

// Standing is what orders the items of one config.
type Standing struct {
	ID       string
	Seq      uint64 // among items of one age, the smaller goes first
	Queued   int64  // microseconds since 1970
	Priority int
}

// Choice is the contender that is chosen, and why.
type Choice struct {
	Winner   int
	Reserved bool   // it is the longest starving item, on a reserved turn
	Rejoined bool   // its config was stale and starts level with the others
	Start    uint64 // virtual start of its config, for Charge
}

// Choose chooses a contender. On a reserved turn it is the oldest of all that starve.
// Otherwise it is one of the best class, and of these a starving one if there is any; of
// these one of the config with the smallest virtual start, which is the finish of its last
// pick or, if it is stale, the smallest finish of the others; of these the first by
// priority and the node's preference, unless they starve, then by age and by id. The order
// of contenders does not matter.
func Choose(contenders []Contender, classes []Class, maxCost int64, reserved bool) (Choice, bool) {
	if len(contenders) == 0 {
		return Choice{}, false
	}
	if reserved {
		oldest := -1
		for i := range contenders {
			if contenders[i].Starving && (oldest < 0 || contenders[i].older(contenders[oldest].Standing) < 0) {
				oldest = i
			}
		}
		if oldest >= 0 {
			return Choice{Winner: oldest, Reserved: true, Start: contenders[oldest].Flow.Finish}, true
		}
	}
	rank, starving := contenders[0].Rank, contenders[0].Starving
	for i := range contenders[1:] {
		c := &contenders[i+1]
		if c.Rank < rank {
			rank, starving = c.Rank, c.Starving
		} else if c.Rank == rank && c.Starving {
			starving = true
		}
	}
	class := &classes[rank]
	var level, highest uint64
	anyLevel := false
	for i := range contenders {
		c := &contenders[i]
		if c.Rank != rank || c.Starving != starving {
			continue
		}
		highest = max(highest, c.Flow.Finish)
		if !c.Flow.stale(class, maxCost) && (!anyLevel || c.Flow.Finish < level) {
			level, anyLevel = c.Flow.Finish, true
		}
	}
	if !anyLevel {
		level = highest
	}
	best := Choice{Winner: -1}
	for i := range contenders {
		c := &contenders[i]
		if c.Rank != rank || c.Starving != starving {
			continue
		}
		this := Choice{Winner: i, Start: c.Flow.Finish}
		if c.Flow.stale(class, maxCost) {
			this.Start, this.Rejoined = level, true
		}
		if best.Winner < 0 || before(this, best, c, &contenders[best.Winner]) {
			best = this
		}
	}
	return best, true
}

func before(a, b Choice, ca, cb *Contender) bool {
	if a.Start != b.Start {
		return a.Start < b.Start
	}
	if a.Rejoined != b.Rejoined {
		return a.Rejoined
	}
	if !ca.Starving {
		if ca.Priority != cb.Priority {
			return ca.Priority > cb.Priority
		}
		if ca.Preference != cb.Preference {
			return ca.Preference > cb.Preference
		}
	}
	return ca.older(cb.Standing) < 0
}

// Before reports whether s has waited longer than other.
func (s *Standing) Before(other *Standing) bool { return s.older(other) < 0 }

// older compares by age, then by sequence, then by id.
func (s *Standing) older(other *Standing) int {
	switch {
	case s.Queued != other.Queued:
		return cmp.Compare(s.Queued, other.Queued)
	case s.Seq != other.Seq:
		return cmp.Compare(s.Seq, other.Seq)
	}
	return cmp.Compare(s.ID, other.ID)
}
