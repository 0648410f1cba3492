// Package relay registers the area of calls through mailboxes: events, read model,
// decisions, gauges, and the endpoints of a hub. It holds no mailbox.
//
// Read domain/relay for what a call is, Hub for what the process has to provide.
package relay

import (
	"context"
	"net/http"

	"github.com/ringrift/rift/commands"
	relaycmd "github.com/ringrift/rift/commands/relay"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/projections"
	relayview "github.com/ringrift/rift/projections/relay"
	"github.com/ringrift/rift/transport"
)

// Hub is the mailboxes that the process provides to the endpoints.
type Hub interface {
	Register(ctx context.Context, caller transport.Caller, ask Register) (Registered, error)
	Forward(ctx context.Context, caller transport.Caller, ask Forward) (Forwarded, error)
	Poll(ctx context.Context, caller transport.Caller, ask Poll) (Polled, error)
	Result(ctx context.Context, caller transport.Caller, ask Result) (Resulted, error)
	Status(ctx context.Context) (Status, domain.Position, error)
	Counts() Counts
}

// Area returns what this area adds to a process.
func Area() transport.Area {
	byAdmin := transport.By(transport.RoleAdmin) // except for the mailbox of a worker's own node
	return transport.Area{
		Name:        "relay",
		Events:      relay.Events(),
		Projections: []projections.Projection{relayview.Projection()},
		Clocks:      []commands.Clock{relaycmd.Clock},
		Specs:       relaycmd.Specs(),
		Gauges:      gauges,
		Routes: []transport.Route{
			serve("/relay/register", "relay.register", Hub.Register, byAdmin, transport.OfNodes(func(ask *Register) []*domain.NodeID { return []*domain.NodeID{&ask.NodeID} }), transport.Vital(), transport.About("open the mailbox of a node for a time; what it took and did not answer is delivered again")),
			serve("/relay/forward", "relay.forward", Hub.Forward, transport.Waits(), transport.About("call a node through its mailbox, wait for its answer and give it; its Idempotency-Key and Authorization are passed on")),
			serve("/relay/poll", "relay.poll", Hub.Poll, byAdmin, transport.OfNodes(func(ask *Poll) []*domain.NodeID { return []*domain.NodeID{&ask.NodeID} }), transport.Waits(), transport.About("take the calls out of the mailbox of a node, waiting for one; it keeps the mailbox open")),
			serve("/relay/result", "relay.result", Hub.Result, byAdmin, transport.OfNodes(func(ask *Result) []*domain.NodeID { return []*domain.NodeID{&ask.NodeID} }), transport.Vital(), transport.Large(), transport.About("answer a call")),
			transport.Tell("/relay/status", "relay.status", status, transport.About("the mailboxes: what waits in each, and what became of the calls")),
			transport.Raw[Through](http.MethodGet, "/relay/to/{node}/{path...}", "relay.get", to, transport.Waits(), transport.In("relay"), transport.About("ask a node through its mailbox and give its answer as it is: http://hub/relay/to/<node> is an address of it")),
			transport.Raw[Through](http.MethodPost, "/relay/to/{node}/{path...}", "relay.post", to, transport.Waits(), transport.In("relay"), transport.About("call a node through its mailbox and give its answer as it is")),
		},
	}
}

func serve[Q, R any](path, name string, do func(Hub, context.Context, transport.Caller, Q) (R, error), options ...transport.Option) transport.Route {
	return transport.Serve(path, name, func(ctx context.Context, b transport.Backend, caller transport.Caller, ask Q) (R, error) {
		hub, err := transport.LentBy[Hub](b)
		if err != nil {
			var none R
			return none, err
		}
		return do(hub, ctx, caller, ask)
	}, options...)
}

func status(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (Status, domain.Position, error) {
	hub, err := transport.LentBy[Hub](b)
	if err != nil {
		return Status{}, 0, err
	}
	return hub.Status(ctx)
}
