package nodes

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// BreakerOpened: too many items failed on the node in a short time; it gets no work
// until the given time, and then one item.
type BreakerOpened struct {
	NodeID   domain.NodeID `json:"node_id"`
	Failures int           `json:"failures"`
	Until    time.Time     `json:"until,omitzero"`
	Target   string        `json:"target,omitempty"` // what is blocked, if a recording is more specific than the node
	Opens    int           `json:"opens,omitempty"`  // openings in a row, reduced over time without failures; each doubles the open time
	// RecoverySeconds is how long it opens, if a recording says so; rift's own
	// breaker uses Until.
	RecoverySeconds domain.Seconds `json:"recovery_seconds,omitempty"`
}

func (BreakerOpened) EventType() string { return "NODE_BREAKER_OPENED" }

func (e BreakerOpened) Validate() []domain.Fault {
	c := domain.Checks(nodeFaults(e.NodeID))
	domain.AtLeast(&c, "failures", e.Failures, 0)
	domain.AtLeast(&c, "opens", e.Opens, 0)
	domain.Within(&c, "recovery_seconds", e.RecoverySeconds, 0, domain.MaxSeconds)
	return c
}

// BreakerClosed: the node gets work normally again.
type BreakerClosed struct {
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason"`           // success, quiet, or the operator's reason
	Target string        `json:"target,omitempty"` // as in BreakerOpened
}

func (BreakerClosed) EventType() string       { return "NODE_BREAKER_CLOSED" }
func (e BreakerClosed) Home() domain.StreamID { return e.NodeID.Stream() }

func (e BreakerClosed) Validate() []domain.Fault {
	faults := nodeFaults(e.NodeID)
	if e.Reason == "" {
		faults = append(faults, domain.Fault{Field: "reason", Reason: "required"})
	}
	return faults
}

// Breaker is the breaker of one node, folded from the node's stream. While it is
// open the node gets no work; at a fixed time it becomes half open and lets one
// item through at a time, until a success or enough time without failures closes
// it.
type Breaker struct {
	Until  time.Time // zero: closed
	Opens  int       // number of doublings, before decay
	Opened time.Time // when it last opened
}

// Evolve applies a fact of the node's stream.
func (b Breaker) Evolve(fact domain.Envelope) Breaker {
	switch e := fact.Event.(type) {
	case BreakerOpened:
		if !e.Until.IsZero() { // recordings of other clusters do not give the time
			return Breaker{Until: e.Until, Opens: e.Opens, Opened: fact.Time}
		}
	case BreakerClosed:
		if e.Target == "" {
			b.Until = time.Time{}
		}
	}
	return b
}

// Reopen returns the opening caused by a failure. The open time doubles with each
// opening up to the policy's maximum, and each decay interval since the last one
// undoes one doubling, so a breaker never excludes a node for ever.
func (b Breaker) Reopen(now time.Time, p Policy) (until time.Time, opens int) {
	opens = 1
	if !b.Opened.IsZero() {
		quiet := int(max(now.Sub(b.Opened), 0) / max(p.BreakerDecaySeconds.Duration(), time.Second))
		opens = max(b.Opens-quiet, 0) + 1
	}
	open, most := p.BreakerOpenSeconds.Duration(), p.BreakerMaxOpenSeconds.Duration()
	for range opens - 1 {
		if open *= 2; open >= most {
			break
		}
	}
	return domain.Instant(now.Add(min(open, most))), opens
}
