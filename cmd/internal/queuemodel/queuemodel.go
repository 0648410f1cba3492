// Package queuemodel is the work queue as its callers may see it, item by item: which
// answers are possible ones, whatever the order in which calls that overlap took effect.
// porcupine checks histories against Queue. It knows nothing of nodes and logs; tests
// with real processes and simulations write their histories in its words.
package queuemodel

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/domain"
)

// Asked is what a client asked of one item. A claim asks for no item in
// particular: it is put down for the item that it got, and one that got nothing
// for every item there is.
type Asked struct {
	Verb     string // add, claim, start, heartbeat, complete, fail, release, cancel
	Item     domain.TaskID
	Lease    uint64
	Returned int64 // when the answer was there: the deadlines behind it may have passed by then
}

// Told is what it was answered.
type Told struct {
	Code     domain.Code // empty for a success
	Lease    uint64      // that a claim got; 0: the claim got nothing
	Deadline int64       // of the lease
	Cancel   bool
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
func (s stage) next(in Asked, out Told) (bool, stage) {
	held := s.name == stageHeld && in.Lease == s.lease
	if s.name == stageHeld && in.Returned >= s.deadline {
		// The clock may have come before this command.
		switch {
		case in.Verb == "claim" && out.Lease != 0, held && out.Code == domain.StaleLease:
			s, held = stage{name: stageUnsettled, lease: s.lease}, false
		}
	}
	switch in.Verb {
	case "add":
		if out.Code == domain.Conflict {
			return s.name != "", s
		}
		return s.name == "" && out.Code == "", stage{name: stageQueued}
	case "claim":
		if out.Lease == 0 {
			return s.name != stageQueued, s
		}
		free := s.name == stageQueued || s.name == stageUnsettled
		return free && out.Lease == s.lease+1, stage{stageHeld, out.Lease, out.Deadline}
	case "cancel":
		switch {
		case s.name == "":
			return out.Code == domain.NotFound, s
		case s.name == stageDone:
			return out.Code == domain.Conflict, s
		}
		return out.Code == "", stage{name: stageCancelled, lease: s.lease}
	}
	switch {
	case s.name == "":
		return out.Code == domain.NotFound, s
	case in.Verb == "heartbeat" && s.name == stageCancelled && in.Lease == s.lease:
		return out.Code == "" && out.Cancel, s
	case !held:
		return out.Code == domain.StaleLease, s
	case out.Code != "":
		return false, s
	}
	switch in.Verb {
	case "start":
		return true, s
	case "heartbeat":
		return !out.Cancel, stage{stageHeld, s.lease, out.Deadline}
	case "complete":
		return true, stage{name: stageDone, lease: s.lease}
	case "fail":
		return true, stage{name: stageUnsettled, lease: s.lease}
	case "release":
		return true, stage{name: stageQueued, lease: s.lease}
	}
	return false, s
}

// Queue is the model that histories are checked against, item by item.
var Queue = porcupine.Model{
	Partition: byItem,
	Init:      func() any { return stage{} },
	Step: func(state, input, output any) (bool, any) {
		return state.(stage).next(input.(Asked), output.(Told))
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(Asked), output.(Told)
		answer := string(cmp.Or(out.Code, "ok"))
		switch {
		case in.Verb == "claim" && out.Lease == 0:
			return "claim → nothing"
		case in.Verb == "claim":
			return fmt.Sprintf("claim → lease %d until %d", out.Lease, out.Deadline)
		case in.Verb == "heartbeat" && out.Code == "":
			answer = fmt.Sprintf("until %d, cancel %v", out.Deadline, out.Cancel)
		}
		return fmt.Sprintf("%s(%d) → %s", in.Verb, in.Lease, answer)
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
		in, out := operation.Input.(Asked), operation.Output.(Told)
		if in.Verb == "claim" && out.Lease == 0 {
			continue
		}
		if items[in.Item] == nil {
			names = append(names, in.Item)
		}
		items[in.Item] = append(items[in.Item], operation)
	}
	alone := LonelyClaims(history)
	var parts [][]porcupine.Operation
	for _, name := range names {
		parts = append(parts, slices.Concat(items[name], alone))
	}
	return parts
}

// LonelyClaims are those that got nothing although no other was under way.
func LonelyClaims(history []porcupine.Operation) []porcupine.Operation {
	var claims, alone []porcupine.Operation
	for _, operation := range history {
		if operation.Input.(Asked).Verb == "claim" {
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
		if claim.Output.(Told).Lease == 0 && beside == 1 {
			alone = append(alone, claim)
		}
	}
	return alone
}
