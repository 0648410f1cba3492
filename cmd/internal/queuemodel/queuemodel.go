// Package queuemodel is a model of the work queue as callers see it, item by item:
// it defines which answers are possible, in whatever order overlapping calls took
// effect. porcupine checks histories against Queue. It knows nothing about nodes
// and logs; tests with real processes and simulations record their histories in its
// types.
package queuemodel

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/domain"
)

// Asked is a call about one item. A claim names no item: it is recorded for the
// item that it got, and one that got nothing for every item.
type Asked struct {
	Verb     string // add, claim, start, heartbeat, complete, fail, release, cancel
	Item     domain.TaskID
	Lease    uint64
	Returned int64 // when the answer arrived: deadlines before that may have passed
}

// Told is the answer to a call.
type Told struct {
	Code     domain.Code // empty for a success
	Lease    uint64      // of the claimed item; 0: the claim got nothing
	Deadline int64       // of the lease
	Cancel   bool
}

// stage is the state of one item as far as clients can tell.
type stage struct {
	name     string
	lease    uint64 // the last one
	deadline int64
}

// The stages. An item whose attempt failed or whose lease expired is unsettled: it
// waits, or is queued again, and clients are not told when that changes.
const (
	stageQueued    = "queued"
	stageHeld      = "held"
	stageUnsettled = "unsettled"
	stageDone      = "done"
	stageCancelled = "cancelled"
)

// next reports whether an answer is possible for one item, and returns the stage
// after it.
func (s stage) next(in Asked, out Told) (bool, stage) {
	held := s.name == stageHeld && in.Lease == s.lease
	if s.name == stageHeld && in.Returned >= s.deadline {
		// A deadline may have been handled before this command.
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

// byItem splits a history by item. A claim that got nothing is part of every item's
// history if no other claim overlapped it: overlapping claims avoid each other's
// items, so that one may get nothing although the other does not take the item in
// the end.
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

// LonelyClaims returns the claims that got nothing although no other claim
// overlapped.
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
