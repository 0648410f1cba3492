package admin

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// AllKinds is the kind whose pause covers every task type.
const AllKinds = "all"

// KindSelfplayScaleUp is a kind that is not a task type: adding more selfplay
// items. Selfplay items in the queue are not paused by it.
const KindSelfplayScaleUp = "selfplay_scale_up"

// PauseCluster is the reason of pauses that the cluster's health starts and ends.
const PauseCluster = "cluster"

// MaxPauseReason limits the reason of a pause in bytes, since it is part of the
// pause's name.
const MaxPauseReason = 200

// PauseStream returns the stream with the pauses of one kind. Each kind has its
// own, so that a decision on one reads no other.
func PauseStream(kind string) domain.StreamID {
	return domain.Stream("admin", DefaultCluster+":"+kind)
}

// KindPaused: items of a type are not handed out, for this reason, until it is
// lifted or expires. A kind may be paused for several reasons. Another event for
// the same reason replaces its end.
type KindPaused struct {
	Kind   string    `json:"kind"` // a task type, "all", or an activity such as "selfplay_scale_up"
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // absent: until it is resumed
}

func (KindPaused) EventType() string          { return "KIND_PAUSED" }
func (e KindPaused) Home() domain.StreamID    { return PauseStream(e.Kind) }
func (e KindPaused) Validate() []domain.Fault { return kindChecks(e.Kind, e.Reason) }

// KindResumed: one reason for which a kind was paused is lifted. Other reasons
// remain.
type KindResumed struct {
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`            // the lifted reason
	Expired bool   `json:"expired,omitempty"` // it expired
}

func (KindResumed) EventType() string          { return "KIND_RESUMED" }
func (e KindResumed) Home() domain.StreamID    { return PauseStream(e.Kind) }
func (e KindResumed) Validate() []domain.Fault { return kindChecks(e.Kind, e.Reason) }

func kindChecks(kind, reason string) domain.Checks {
	var c domain.Checks
	c.Name("kind", kind)
	c.Text("reason", reason)
	if len(reason) > MaxPauseReason {
		c.Fault("reason", "want at most %d bytes, found %d", MaxPauseReason, len(reason))
	}
	return c
}

// PauseToken is one reason that pauses a kind.
type PauseToken struct {
	Reason string
	Until  time.Time // zero: until it is lifted
}

// Pauses holds the reasons that pause one kind, by reason. A kind is paused while
// there is at least one; lifting one leaves the others.
type Pauses struct{ Tokens []PauseToken }

// Evolve applies a fact of the kind's stream.
func (p Pauses) Evolve(fact domain.Envelope) Pauses {
	switch e := fact.Event.(type) {
	case KindPaused:
		at, there := p.find(e.Reason)
		p.Tokens = slices.Clone(p.Tokens)
		if !there {
			p.Tokens = slices.Insert(p.Tokens, at, PauseToken{Reason: e.Reason})
		}
		p.Tokens[at].Until = e.Until
	case KindResumed:
		if at, there := p.find(e.Reason); there {
			p.Tokens = slices.Delete(slices.Clone(p.Tokens), at, at+1)
		}
	}
	return p
}

// Find returns the token of a reason.
func (p Pauses) Find(reason string) (PauseToken, bool) {
	at, there := p.find(reason)
	if !there {
		return PauseToken{}, false
	}
	return p.Tokens[at], true
}

func (p Pauses) find(reason string) (int, bool) {
	for i, token := range p.Tokens {
		if token.Reason >= reason {
			return i, token.Reason == reason
		}
	}
	return len(p.Tokens), false
}
