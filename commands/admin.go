package commands

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
)

// RequestShutdown asks the node that answers to stop in good order.
type RequestShutdown struct {
	Reason       string          `json:"reason,omitempty"`
	GraceSeconds *domain.Seconds `json:"grace_seconds,omitempty"` // 5 when absent
}

// CommandType is admin.shutdown.
func (RequestShutdown) CommandType() string { return "admin.shutdown" }

// Stream is the administration's.
func (RequestShutdown) Stream() domain.StreamID { return domain.AdminStream(domain.DefaultCluster) }

// Expect is no revision: a wish to stop is always recorded.
func (RequestShutdown) Expect() domain.Revision { return domain.AnyRevision }

// Facts is the wish.
func (c RequestShutdown) Facts() []domain.Event {
	return []domain.Event{domain.ShutdownRequested{Reason: c.Reason, GraceSeconds: *c.GraceSeconds}}
}

// defaultGrace is how long work under way may take to end, in seconds.
const defaultGrace = domain.Seconds(5)

func completeShutdown(c RequestShutdown, _ domain.Facts) (RequestShutdown, error) {
	if c.Reason == "" {
		c.Reason = "asked to stop"
	}
	if c.GraceSeconds == nil {
		grace := defaultGrace
		c.GraceSeconds = &grace
	}
	if *c.GraceSeconds < 0 || *c.GraceSeconds > 3600 {
		return c, domain.Faulty("admin.shutdown", []domain.Fault{{Field: "grace_seconds", Reason: fmt.Sprintf("want 0 to 3600, found %v", float64(*c.GraceSeconds))}})
	}
	return c, nil
}

// Admin is how the commands of the administration are run.
func Admin() []Spec {
	return slices.Concat(
		[]Spec{Record[RequestShutdown]("stop this node in good order", Normalize(completeShutdown))},
		pauseSpecs(), letterSpecs(), rebuildSpecs(),
	)
}
