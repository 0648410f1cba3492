package endtoend

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/domain"
)

// asked is what a client asked of one item. A claim asks for no item in
// particular: it is put down for the item that it got, and one that got nothing
// for every item there is.
type asked struct {
	verb     string // add, claim, start, heartbeat, complete, fail, release, cancel
	item     domain.TaskID
	lease    uint64
	returned int64 // when the answer was there: the deadlines behind it may have passed by then
}

// told is what it was answered.
type told struct {
	code     domain.Code // empty for a success
	lease    uint64      // that a claim got; 0: the claim got nothing
	deadline int64       // of the lease
	cancel   bool
}

// stage is where one item is, as far as clients can tell.
type stage struct {
	name     string
	lease    uint64 // the last one given
	deadline int64
}

// The stages. An item whose attempt failed or whose lease ran out is unsettled:
// it waits, or is queued again, and no client is told when that changes.
const (
	stageQueued    = "queued"
	stageHeld      = "held"
	stageUnsettled = "unsettled"
	stageDone      = "done"
	stageCancelled = "cancelled"
)

// next is the queue of one item: whether an answer is a possible one, and where
// the item is then.
func (s stage) next(in asked, out told) (bool, stage) {
	held := s.name == stageHeld && in.lease == s.lease
	if s.name == stageHeld && in.returned >= s.deadline {
		// The clock may have come before this command.
		switch {
		case in.verb == "claim" && out.lease != 0, held && out.code == domain.StaleLease:
			s, held = stage{name: stageUnsettled, lease: s.lease}, false
		}
	}
	switch in.verb {
	case "add":
		if out.code == domain.Conflict {
			return s.name != "", s
		}
		return s.name == "" && out.code == "", stage{name: stageQueued}
	case "claim":
		if out.lease == 0 {
			return s.name != stageQueued, s
		}
		free := s.name == stageQueued || s.name == stageUnsettled
		return free && out.lease == s.lease+1, stage{stageHeld, out.lease, out.deadline}
	case "cancel":
		switch {
		case s.name == "":
			return out.code == domain.NotFound, s
		case s.name == stageDone:
			return out.code == domain.Conflict, s
		}
		return out.code == "", stage{name: stageCancelled, lease: s.lease}
	}
	switch {
	case s.name == "":
		return out.code == domain.NotFound, s
	case in.verb == "heartbeat" && s.name == stageCancelled && in.lease == s.lease:
		return out.code == "" && out.cancel, s
	case !held:
		return out.code == domain.StaleLease, s
	case out.code != "":
		return false, s
	}
	switch in.verb {
	case "start":
		return true, s
	case "heartbeat":
		return !out.cancel, stage{stageHeld, s.lease, out.deadline}
	case "complete":
		return true, stage{name: stageDone, lease: s.lease}
	case "fail":
		return true, stage{name: stageUnsettled, lease: s.lease}
	case "release":
		return true, stage{name: stageQueued, lease: s.lease}
	}
	return false, s
}

// queue is the model that histories are checked against, item by item.
var queue = porcupine.Model{
	Partition: byItem,
	Init:      func() any { return stage{} },
	Step: func(state, input, output any) (bool, any) {
		return state.(stage).next(input.(asked), output.(told))
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(asked), output.(told)
		answer := string(cmp.Or(out.code, "ok"))
		switch {
		case in.verb == "claim" && out.lease == 0:
			return "claim → nothing"
		case in.verb == "claim":
			return fmt.Sprintf("claim → lease %d until %d", out.lease, out.deadline)
		case in.verb == "heartbeat" && out.code == "":
			answer = fmt.Sprintf("until %d, cancel %v", out.deadline, out.cancel)
		}
		return fmt.Sprintf("%s(%d) → %s", in.verb, in.lease, answer)
	},
	DescribeState: func(state any) string {
		s := state.(stage)
		return fmt.Sprintf("%s, lease %d until %d", cmp.Or(s.name, "unknown"), s.lease, s.deadline)
	},
}

// byItem gives every item its history. A claim that got nothing stands in all of
// them, if no other claim was under way beside it: two claims in flight keep off
// each other's items, so that one may leave empty-handed what the other then does
// not take.
func byItem(history []porcupine.Operation) [][]porcupine.Operation {
	items := map[domain.TaskID][]porcupine.Operation{}
	var names []domain.TaskID
	for _, operation := range history {
		in, out := operation.Input.(asked), operation.Output.(told)
		if in.verb == "claim" && out.lease == 0 {
			continue
		}
		if items[in.item] == nil {
			names = append(names, in.item)
		}
		items[in.item] = append(items[in.item], operation)
	}
	alone := lonelyClaims(history)
	var parts [][]porcupine.Operation
	for _, name := range names {
		parts = append(parts, slices.Concat(items[name], alone))
	}
	return parts
}

// lonelyClaims are those that got nothing although no other was under way.
func lonelyClaims(history []porcupine.Operation) []porcupine.Operation {
	var claims, alone []porcupine.Operation
	for _, operation := range history {
		if operation.Input.(asked).verb == "claim" {
			claims = append(claims, operation)
		}
	}
	for _, claim := range claims {
		beside := 0
		for _, other := range claims {
			if other.Call <= claim.Return && claim.Call <= other.Return {
				beside++ // itself too
			}
		}
		if claim.Output.(told).lease == 0 && beside == 1 {
			alone = append(alone, claim)
		}
	}
	return alone
}

// checking bounds the search for an order.
const checking = time.Minute
