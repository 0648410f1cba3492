package whatif

import (
	"context"
	"encoding/json"

	"github.com/ringrift/rift/cmd/internal/matching"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
)

// world is a change of the policy, and the state that the recorded events come to under
// it. The first world has no change, the second has all, and if there are several
// settings, a world for each follows.
type world struct {
	change json.RawMessage // nil: none
	alone  *Changed        // the setting that alone is changed; nil: none or all

	policy domain.Policy // in force, with every section
	unfit  error         // why it is not changed
	named  map[string]domain.Policy
	models *store.Memory
	queue  *commands.Queue
}

// maxAlone bounds the settings that are also changed alone: each has read models of its
// own.
const maxAlone = 16

// newWorld makes the world of a change on an empty log.
func newWorld(catalog *domain.Catalog, match *matching.Expressions, change json.RawMessage, alone *Changed) (*world, error) {
	w := &world{change: change, alone: alone, named: map[string]domain.Policy{}}
	var err error
	w.policy, w.unfit = w.changed(domain.Policy{})
	w.models, err = store.NewMemory(wiring.Projections(), nil, catalog, store.Options{Codec: wiring.FastCodec{}})
	if err != nil {
		return nil, err
	}
	queue, err := work.New(match, nil)
	if err != nil {
		return nil, err
	}
	w.queue = &commands.Queue{Queue: queue}
	w.named[defaultVersion] = w.policy
	if change == nil {
		return w, nil
	}
	return w, w.apply(domain.Envelope{
		Stream: domain.PolicyStream(domain.PolicyDefaultName), Revision: domain.NoStream, Type: domain.PolicyChanged{}.EventType(),
		Event: domain.PolicyChanged{Name: domain.PolicyDefaultName},
	})
}

// defaultVersion is the name of the built-in policy in events.
const defaultVersion = "policy-" + domain.PolicyDefaultName + "@0"

// changed returns a document as it is in this world, and an error if the change does not
// go with it.
func (w *world) changed(p domain.Policy) (domain.Policy, error) {
	read, err := wiring.Sections().Read(p)
	if err != nil || w.change == nil {
		return read, err
	}
	after, faults := wiring.Sections().Change(read, w.change)
	if err := domain.Faulty("policy", faults); err != nil {
		return read, err
	}
	return after, nil
}

// apply folds the next recorded event, which is decoded if it can be.
func (w *world) apply(e domain.Envelope) error {
	if set, ok := e.Event.(domain.PolicyChanged); ok && set.Name == domain.PolicyDefaultName {
		set.Policy, w.unfit = w.changed(set.Policy)
		w.policy, e.Event = set.Policy, set
		defer func() { w.named[w.policyName()] = set.Policy }()
	}
	if err := w.models.Apply(e); err != nil {
		return err
	}
	if e.Event == nil {
		w.queue.Advance(e.Position)
		return nil
	}
	return w.queue.Apply(e)
}

// policyName returns the name of the version in force.
func (w *world) policyName() (name string) {
	_ = w.view(func(v projections.View) (err error) {
		_, name, err = policyview.InForce(v)
		return err
	})
	return name
}

// policyNamed returns the version that an event names, or else the one in force.
func (w *world) policyNamed(name string) domain.Policy {
	if version, known := w.named[name]; known {
		return version
	}
	return w.policy
}

// view calls f with the read models and the queue.
func (w *world) view(f func(projections.View) error) error {
	return w.models.View(func(v projections.View) error {
		w.queue.Models, w.queue.Nodes = v, commands.NodesIn{View: v}
		return f(v)
	})
}

// Snapshot returns the read models, for commands that consult them. They are valid until
// the next event.
func (w *world) Snapshot(context.Context) (view projections.View, release func(), err error) {
	return view, func() {}, w.view(func(v projections.View) error {
		view = v
		return nil
	})
}
