// Package gossip registers the endpoints through which nodes exchange state
// documents. It has no events of its own: that a node was heard from is an event of
// transport/nodes.
//
// Read domain/gossip for documents and their merge, Gossip for what the process has
// to provide.
package gossip

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gossip"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

// Gossip is the documents that the process provides to the endpoints.
type Gossip interface {
	Push(ctx context.Context, push Push) (Pulled, error)
	Answer(ctx context.Context, ask gossip.Ask) (gossip.Answer, error)
	Peers(ctx context.Context) (Peers, domain.Position, error)
}

// Push is the request that sends documents to a node.
type Push struct {
	NodeID    domain.NodeID     `json:"node_id"`
	Cluster   string            `json:"cluster,omitempty" doc:"of another one nothing is taken"`
	Documents []gossip.Document `json:"documents,omitempty"`
}

// Pulled is the answer to Push: the documents that the node received last.
type Pulled struct {
	Documents []gossip.Document `json:"documents"`
	Applied   int               `json:"applied" doc:"documents that were new to it"`
}

// Peers is the answer of GET /peers.
type Peers struct {
	Self   domain.NodeID `json:"self"`
	Root   string        `json:"root" doc:"digest of all: nodes with the same one know the same"`
	Peers  []Peer        `json:"peers"`
	Counts Counts        `json:"counts"`
}

// Peer is the document of a node, and its age by this node's clock.
type Peer struct {
	gossip.Document
	Age domain.Seconds `json:"age_seconds"`
}

// Counts counts what became of documents since the start.
type Counts struct {
	Applied   uint64    `json:"applied"`
	Known     uint64    `json:"known" doc:"that were no news"`
	Invalid   uint64    `json:"invalid" doc:"with invalid content"`
	Retired   uint64    `json:"retired" doc:"of nodes that are retired"`
	Full      uint64    `json:"full" doc:"for which there was no room"`
	Refuted   uint64    `json:"refuted" doc:"times that this node refuted a document about itself"`
	Foreign   uint64    `json:"foreign" doc:"messages of other clusters"`
	Exchanges uint64    `json:"exchanges"`
	Failed    uint64    `json:"failed" doc:"exchanges"`
	LastError string    `json:"last_error,omitempty"`
	LastAt    time.Time `json:"last_at,omitzero" doc:"of an exchange"`
}

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name: "gossip",
		Routes: []transport.Route{
			transport.Serve("/gossip", "gossip.push", func(ctx context.Context, b transport.Backend, _ transport.Caller, push Push) (Pulled, error) {
				g, err := transport.LentBy[Gossip](b)
				if err != nil {
					return Pulled{}, err
				}
				return g.Push(ctx, push)
			}, transport.Large(), transport.By(transport.RoleAdmin), transport.About("tell a node what nodes say of themselves, and hear what it heard last")),
			transport.Serve("/gossip/anti-entropy", "gossip.anti_entropy", func(ctx context.Context, b transport.Backend, _ transport.Caller, ask gossip.Ask) (gossip.Answer, error) {
				g, err := transport.LentBy[Gossip](b)
				if err != nil {
					return gossip.Answer{}, err
				}
				return g.Answer(ctx, ask)
			}, transport.Large(), transport.By(transport.RoleAdmin), transport.About("one step of making two nodes know the same: a digest, the versions of what differs, the documents")),
			transport.Tell("/peers", "gossip.peers", func(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (Peers, domain.Position, error) {
				g, err := transport.LentBy[Gossip](b)
				if err != nil {
					return Peers{}, 0, err
				}
				return g.Peers(ctx)
			}, transport.In("gossip"), transport.About("what the nodes say of themselves, by node")),
		},
	}
}
