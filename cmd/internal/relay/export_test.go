package relay

import (
	"context"
	"net/http"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	wire "github.com/ringrift/rift/transport/relay"
)

// Run runs a call to a node with a handler.
func Run(node domain.NodeID, one wire.Delivery, handler http.Handler) relay.Response {
	a := &Agent{config: AgentConfig{Node: node, Handler: handler}}
	return a.run(context.Background(), one)
}
