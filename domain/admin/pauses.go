package admin

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// AllKinds is the kind whose pause holds every task type.
const AllKinds = "all"

// KindSelfplayScaleUp is a kind that is no task type: adding more selfplay than
// there is. Selfplay that is queued already goes on.
const KindSelfplayScaleUp = "selfplay_scale_up"

// PauseCluster is the reason of the pauses that the cluster's health makes and lifts.
const PauseCluster = "cluster"

// MaxPauseReason bounds the reason of a pause in bytes: it is half of the
// pause's name.
const MaxPauseReason = 200

// PauseStream is where the pauses of one kind are written: a stream of its own,
// so that deciding on one kind reads and waits for no other.
func PauseStream(kind string) domain.StreamID {
	return domain.Stream("admin", DefaultCluster+":"+kind)
}

// KindPaused: items of a type are not handed out, for this reason, until it is
// lifted or runs out. Several reasons may hold one kind. Said again for the same
// reason, the last word on its end counts.
type KindPaused struct {
	Kind   string    `json:"kind"` // a task type, "all", or an activity such as "selfplay_scale_up"
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // absent: until it is resumed
}

func (KindPaused) EventType() string          { return "KIND_PAUSED" }
func (e KindPaused) Home() domain.StreamID    { return PauseStream(e.Kind) }
func (e KindPaused) Validate() []domain.Fault { return kindChecks(e.Kind, e.Reason) }

// KindResumed: one reason for which a kind was paused is lifted. Other reasons
// go on holding it.
type KindResumed struct {
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`            // the reason that is lifted
	Expired bool   `json:"expired,omitempty"` // nobody lifted it: its time ran out
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

// PauseToken is one reason that holds a kind.
type PauseToken struct {
	Reason string
	Until  time.Time // zero: until it is lifted
}

// Pauses is the reasons that hold one kind, by reason. A kind is paused while
// there is one; lifting a reason leaves the others where they are.
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

// Find tells the token of a reason.
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
