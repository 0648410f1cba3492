package admin

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
)

// RequestShutdown asks the node that receives it to shut down gracefully.
type RequestShutdown struct {
	Reason       string          `json:"reason,omitempty"`
	GraceSeconds *domain.Seconds `json:"grace_seconds,omitempty" doc:"5 when absent"`
}

func (RequestShutdown) CommandType() string     { return "admin.shutdown" }
func (RequestShutdown) Stream() domain.StreamID { return admin.Stream(admin.DefaultCluster) }

// Expect returns AnyRevision: a request to shut down is always recorded.
func (RequestShutdown) Expect() domain.Revision { return domain.AnyRevision }

// Facts returns the event.
func (c RequestShutdown) Facts() []domain.Event {
	return []domain.Event{admin.ShutdownRequested{Reason: c.Reason, GraceSeconds: *c.GraceSeconds}}
}

// defaultGrace is how long requests in flight may take to finish, in seconds.
const defaultGrace = domain.Seconds(5)

func completeShutdown(c RequestShutdown, _ domain.Facts) (RequestShutdown, error) {
	return c.Complete()
}

// Complete fills in the fields that the caller omitted.
func (c RequestShutdown) Complete() (RequestShutdown, error) {
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

// Specs returns the specs of the administration's commands.
func Specs() []commands.Spec {
	return slices.Concat(
		[]commands.Spec{commands.Record[RequestShutdown]("stop this node in good order", commands.Normalize(completeShutdown))},
		pauseSpecs(), letterSpecs(), rebuildSpecs(),
	)
}
