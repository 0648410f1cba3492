package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
)

// RebuildProjection requests that a read model be rebuilt from the start of the
// log. The current version keeps answering queries until the new one has caught up.
type RebuildProjection struct {
	Name   string        `json:"name" path:"name"`
	NodeID domain.NodeID `json:"node_id,omitempty" doc:"only this node builds; absent: every node"`
	Reason string        `json:"reason,omitempty"`
}

func (RebuildProjection) CommandType() string       { return "admin.rebuild_projection" }
func (c RebuildProjection) Stream() domain.StreamID { return admin.ReadModelStream(c.Name) }

// RebuildAnswer is the answer to RebuildProjection.
type RebuildAnswer struct {
	Running bool `json:"running,omitempty" doc:"it was being built already, so nothing new was begun"`
}

func rebuildProjection(_ admin.ReadModel, c RebuildProjection, facts domain.Facts) ([]domain.Event, error) {
	models := domain.FactOf[[]admin.Model](facts)
	at := slices.IndexFunc(models, func(m admin.Model) bool { return m.Name == c.Name })
	if at < 0 {
		names := make([]string, len(models))
		for i, model := range models {
			names[i] = model.Name
		}
		return nil, domain.Errorf(domain.NotFound, "no read model %q; there are %s", c.Name, strings.Join(names, ", "))
	}
	here := c.NodeID == "" || c.NodeID == domain.NodeID(facts.Node)
	if here && models[at].Building {
		return nil, nil
	}
	return []domain.Event{admin.ProjectionRebuildRequested{Name: c.Name, NodeID: c.NodeID, Reason: c.Reason}}, nil
}

func rebuildFaults(c RebuildProjection) []domain.Fault {
	faults := commands.NameFaults("name", c.Name)
	if c.NodeID != "" {
		faults = append(faults, commands.NameFaults("node_id", string(c.NodeID))...)
	}
	if len(c.Reason) > admin.MaxPauseReason {
		faults = append(faults, domain.Fault{Field: "reason", Reason: fmt.Sprintf("want at most %d bytes, found %d", admin.MaxPauseReason, len(c.Reason))})
	}
	return faults
}

func rebuildSpecs() []commands.Spec {
	return []commands.Spec{
		commands.HandleAnswer("build a read model again beside the one that serves", rebuildProjection,
			func(_ admin.ReadModel, _ RebuildProjection, events []domain.Envelope) RebuildAnswer {
				return RebuildAnswer{Running: len(events) == 0}
			},
			commands.Normalize(func(c RebuildProjection, _ domain.Facts) (RebuildProjection, error) {
				return c, domain.Faulty("admin.rebuild_projection", rebuildFaults(c))
			})),
	}
}
