package sched

import "cmp"

// Flow is what a config is owed in one class and pool: a row of three numbers.
type Flow struct {
	Weight int    `json:"weight"`
	Finish uint64 `json:"finish"` // virtual time at which what it got is paid for
	Served uint64 `json:"served"` // the class's turn in which it was charged last; 0: never
}

// Class counts the turns of a class and the flows that have items queued in it.
type Class struct {
	Turns  uint64 `json:"turns"`
	Flows  int    `json:"flows"`  // with items queued
	Weight int    `json:"weight"` // of those, together
}

// unit is the virtual time that one slot costs a config of weight 1.
const unit = 1 << 30

// Charge books an ordinary pick: the class has had one more turn, and the flow
// has to wait its share of virtual time, cost ÷ weight, from where it started.
// A reserved turn is not charged.
func (f *Flow) Charge(class *Class, start uint64, cost int) {
	class.Turns++
	f.Served = class.Turns
	f.Finish = start + uint64(cost)*unit/uint64(f.Weight)
}

// stale tells that a flow was not served for more than twice the longest wait
// that its share explains, cost × W/w + n turns of its class. Where it stood
// says nothing any more: neither may it catch up on the others, nor do they have
// anything to catch up on it.
func (f *Flow) stale(class *Class, maxCost int64) bool {
	if f.Served == 0 {
		return true
	}
	passed := min(class.Turns-f.Served, 1<<40)
	spare := 2 * uint64(class.Flows)
	return passed > spare && (passed-spare)*uint64(f.Weight) > 2*uint64(maxCost)*uint64(class.Weight)
}

// Contender is the item that a group of equals would give a node: its oldest if
// that one is starving, else its first by priority.
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
	Queued   int64  // microseconds of a calendar
	Priority int
}

// Choice is which contender wins and how.
type Choice struct {
	Winner   int
	Reserved bool   // it was the turn of the longest starving
	Rejoined bool   // its config starts level with the others, whatever it had before
	Start    uint64 // virtual start of its config; what Charge wants
}

// Choose is the order. On a reserved turn the oldest of all starving contenders
// wins. Otherwise those of the best class, and of these the starving ones if
// there are any; then the config that has the smallest virtual start, which is
// where the last thing it got is paid for, or level with the smallest of the
// others if it is stale; then priority and the node's preference, unless they
// starve; then age, then id. Contenders may stand in any order.
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

// Before tells that one has waited longer than the other.
func (s *Standing) Before(other *Standing) bool { return s.older(other) < 0 }

// older orders by age, then by sequence, then by id.
func (s *Standing) older(other *Standing) int {
	switch {
	case s.Queued != other.Queued:
		return cmp.Compare(s.Queued, other.Queued)
	case s.Seq != other.Seq:
		return cmp.Compare(s.Seq, other.Seq)
	}
	return cmp.Compare(s.ID, other.ID)
}
