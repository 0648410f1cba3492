package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// PauseKind pauses a kind of work for a reason: no item of it is handed out until
// the reason is lifted or expires. Running items continue.
type PauseKind struct {
	Kind    string          `json:"kind" doc:"a task type, \"all\", or \"selfplay_scale_up\""`
	Reason  string          `json:"reason" doc:"names the pause: lifting this reason lifts no other"`
	Seconds *domain.Seconds `json:"seconds,omitempty"`
	Until   *time.Time      `json:"until,omitempty" doc:"instead of seconds; neither: until it is lifted"`

	moot bool // a reaction to a cluster verdict that is no longer the latest
}

func (PauseKind) CommandType() string       { return "admin.pause" }
func (c PauseKind) Stream() domain.StreamID { return admin.PauseStream(c.Kind) }

// ResumeKind lifts one reason for which a kind is paused.
type ResumeKind struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"`

	moot bool // as in PauseKind
}

func (ResumeKind) CommandType() string       { return "admin.resume" }
func (c ResumeKind) Stream() domain.StreamID { return admin.PauseStream(c.Kind) }

// KindHeld is the answer to a pause or a resume: the reasons that pause the kind
// now.
type KindHeld struct {
	Kind   string   `json:"kind"`
	Paused bool     `json:"paused"`
	HeldBy []string `json:"held_by" doc:"reasons"`
}

func heldOf[C commands.Targeted](kind func(C) string) func(admin.Pauses, C, []domain.Envelope) KindHeld {
	return func(p admin.Pauses, c C, _ []domain.Envelope) KindHeld {
		held := KindHeld{Kind: kind(c), Paused: len(p.Tokens) > 0, HeldBy: []string{}}
		for _, token := range p.Tokens {
			held.HeldBy = append(held.HeldBy, token.Reason)
		}
		return held
	}
}

func pauseFaults(kind, reason string) []domain.Fault {
	faults := commands.NameFaults("kind", kind)
	switch {
	case reason == "":
		faults = append(faults, domain.Fault{Field: "reason", Reason: "required: it names the pause, and lifting it lifts no other"})
	case len(reason) > admin.MaxPauseReason:
		faults = append(faults, domain.Fault{Field: "reason", Reason: fmt.Sprintf("want at most %d bytes, found %d", admin.MaxPauseReason, len(reason))})
	case strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' }):
		faults = append(faults, domain.Fault{Field: "reason", Reason: "want no control characters"})
	}
	return faults
}

func completePause(c PauseKind, facts domain.Facts) (PauseKind, error) {
	c.Reason = strings.TrimSpace(c.Reason)
	faults := pauseFaults(c.Kind, c.Reason)
	longest := admin.PolicyOf(facts.Policy).MaxPauseSeconds
	switch {
	case c.Seconds != nil && c.Until != nil:
		faults = append(faults, domain.Fault{Field: "until", Reason: "want seconds or until, found both"})
	case c.Seconds != nil && !(*c.Seconds > 0 && *c.Seconds <= longest):
		faults = append(faults, domain.Fault{Field: "seconds", Reason: fmt.Sprintf("want more than 0 and at most %.0f, found %v", float64(longest), float64(*c.Seconds))})
	case c.Seconds != nil:
		until := domain.Instant(facts.Now.Add(c.Seconds.Duration()))
		c.Seconds, c.Until = nil, &until
	case c.Until != nil:
		until := domain.Instant(*c.Until)
		c.Until = &until
		switch {
		case !until.After(facts.Now):
			faults = append(faults, domain.Fault{Field: "until", Reason: fmt.Sprintf("want a time to come, found %s when it is %s", until.Format(domain.Timestamp), facts.Now.Format(domain.Timestamp))})
		case until.Sub(facts.Now) > longest.Duration():
			faults = append(faults, domain.Fault{Field: "until", Reason: fmt.Sprintf("want at most %v ahead, found %s", longest.Duration(), until.Format(domain.Timestamp))})
		}
	}
	return c, domain.Faulty("admin.pause", faults)
}

// overtaken reports whether a reaction belongs to a verdict on the cluster that
// another verdict followed. Such a reaction may run late, or again after a crash,
// and must not undo what the later verdict caused.
func overtaken(v projections.View, reason string, facts domain.Facts, verdict admin.ClusterState) (bool, error) {
	if reason != admin.PauseCluster || facts.Causation == "" {
		return false, nil
	}
	cluster, err := nodesview.TheCluster(v)
	return cluster.State != verdict, err
}

// boundPaused refuses to pause more kinds than the policy allows.
func boundPaused(v projections.View, c PauseKind, facts domain.Facts) (_ PauseKind, err error) {
	if c.moot, err = overtaken(v, c.Reason, facts, admin.ClusterSick); err != nil || c.moot {
		return c, err
	}
	rows, err := adminview.PausedKinds(v)
	if err != nil || len(rows) < admin.PolicyOf(facts.Policy).MaxPausedKinds {
		return c, err
	}
	for _, row := range rows {
		if row.Kind == c.Kind {
			return c, nil
		}
	}
	return c, domain.Errorf(domain.TooMany, "admin.pause: want at most %d paused kinds, found as many already", admin.PolicyOf(facts.Policy).MaxPausedKinds)
}

func pauseKind(p admin.Pauses, c PauseKind, facts domain.Facts) ([]domain.Event, error) {
	event := admin.KindPaused{Kind: c.Kind, Reason: c.Reason}
	if c.Until != nil {
		event.Until = *c.Until
	}
	token, held := p.Find(c.Reason)
	switch {
	case c.moot:
		return nil, nil
	case held && token.Until.Equal(event.Until):
		return nil, nil
	case !held && len(p.Tokens) >= admin.PolicyOf(facts.Policy).MaxPauseReasons:
		return nil, domain.Errorf(domain.TooMany, "admin.pause: want at most %d reasons to hold %s, found as many already", admin.PolicyOf(facts.Policy).MaxPauseReasons, c.Kind)
	}
	return []domain.Event{event}, nil
}

func resumeKind(p admin.Pauses, c ResumeKind, _ domain.Facts) ([]domain.Event, error) {
	if _, held := p.Find(c.Reason); !held || c.moot {
		return nil, nil
	}
	return []domain.Event{admin.KindResumed{Kind: c.Kind, Reason: c.Reason}}, nil
}

// endPause lifts an expired reason. The clock issues it.
type endPause struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
}

func (endPause) CommandType() string       { return "admin.end_pause" }
func (c endPause) Stream() domain.StreamID { return admin.PauseStream(c.Kind) }

func pauseEnds(p admin.Pauses, c endPause, facts domain.Facts) ([]domain.Event, error) {
	token, held := p.Find(c.Reason)
	if !held || token.Until.IsZero() || facts.Now.Before(token.Until) {
		return nil, nil // it was lifted, or extended
	}
	return []domain.Event{admin.KindResumed{Kind: c.Kind, Reason: c.Reason, Expired: true}}, nil
}

// Clock ends expired pauses, and judges the health of the cluster.
func Clock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]commands.Timed, time.Time, error) {
	rows, next, err := adminview.DuePauses(v, now, limit)
	if err != nil {
		return nil, time.Time{}, err
	}
	due, verdict, err := clusterClock(v, now, policy)
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, row := range rows {
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/pause/%s/%s/%s", row.Kind, row.At.Format(domain.Timestamp), row.Reason),
			Command: endPause{row.Kind, row.Reason},
		})
	}
	if next.IsZero() || !verdict.IsZero() && verdict.Before(next) {
		next = verdict
	}
	return due, next, nil
}

// pauseSpecs returns the specs of pauses.
func pauseSpecs() []commands.Spec {
	always := func(PauseKind) bool { return true }
	return []commands.Spec{
		commands.HandleAnswer("hold a kind of work back for a reason", pauseKind, heldOf(func(c PauseKind) string { return c.Kind }),
			commands.Normalize(completePause), commands.Consult(always, boundPaused)),
		commands.HandleAnswer("lift one reason for which a kind of work is held back", resumeKind, heldOf(func(c ResumeKind) string { return c.Kind }),
			commands.Normalize(func(c ResumeKind, _ domain.Facts) (ResumeKind, error) {
				c.Reason = strings.TrimSpace(c.Reason)
				return c, domain.Faulty("admin.resume", pauseFaults(c.Kind, c.Reason))
			}),
			commands.Consult(func(c ResumeKind) bool { return c.Reason == admin.PauseCluster }, func(v projections.View, c ResumeKind, facts domain.Facts) (_ ResumeKind, err error) {
				c.moot, err = overtaken(v, c.Reason, facts, admin.ClusterWell)
				return c, err
			})),
		commands.Handle("end a pause whose time ran out", pauseEnds),
		commands.Handle("take over what somebody says of the cluster", reportCluster,
			commands.Takes(func(e admin.ClusterHealthy) ReportCluster { return ReportCluster{Healthy: &e} }),
			commands.Takes(func(e admin.ClusterUnhealthy) ReportCluster { return ReportCluster{Unhealthy: &e} })),
	}
}
