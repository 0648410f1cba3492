package transport

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Role limits what a token may do. Each role may do more than the one
// before it, except that a worker may do some things for its own nodes
// only.
type Role string

// The roles of tokens.
const (
	RoleRead     Role = "read"     // queries
	RoleWorker   Role = "worker"   // queries, and for the token's nodes what OfNodes admits
	RoleOperator Role = "operator" // queries, and all commands except administration
	RoleAdmin    Role = "admin"    // everything
)

// maxTokenNodes limits the nodes of one token.
const maxTokenNodes = 4096

func (r Role) known() bool {
	return r == RoleRead || r == RoleWorker || r == RoleOperator || r == RoleAdmin
}

// grant sets the role, given as "role" or "role:node,node...".
func (t *Token) grant(word string) error {
	name, list, bound := strings.Cut(word, ":")
	t.Role = Role(name)
	switch {
	case !t.Role.known():
		return domain.Errorf(domain.Invalid, "want nothing, a role (%s, %s:NODE,NODE, %s, %s) or %s after a name and a secret", RoleRead, RoleWorker, RoleOperator, RoleAdmin, onBehalf)
	case t.Role != RoleWorker && bound:
		return domain.Errorf(domain.Invalid, "want nodes after the role %s alone, found some after %s", RoleWorker, name)
	case t.Role != RoleWorker:
		return nil
	}
	for node := range strings.SplitSeq(list, ",") {
		if err := domain.CheckName(node); err != nil {
			return domain.Errorf(domain.Invalid, "nodes of a %s: %w; want %s:NODE or %s:NODE,NODE", RoleWorker, err, RoleWorker, RoleWorker)
		}
		if t.Nodes = append(t.Nodes, domain.NodeID(node)); len(t.Nodes) > maxTokenNodes {
			return domain.Errorf(domain.TooMany, "want at most %d nodes of one token", maxTokenNodes)
		}
	}
	return nil
}

// By sets which role a route needs. The default is RoleRead for a GET and
// RoleOperator for anything else.
func By(role Role) Option { return func(r *Route) { r.role = role } }

// OfNodes admits tokens of RoleWorker to a route with input C. named
// returns pointers to the nodes that the input names; each must be one of
// the token's. An empty one is set to the token's node if it has only one.
func OfNodes[C any](named func(input *C) []*domain.NodeID) Option {
	return func(r *Route) {
		if r.request != reflect.TypeFor[C]() && r.fault == nil {
			r.fault = domain.Errorf(domain.Internal, "nodes of a %s, found an input of %s", reflect.TypeFor[C](), r.request)
		}
		r.nodes = func(input any, token *shown) (any, error) {
			c := input.(C)
			for _, node := range named(&c) {
				if err := token.own(node); err != nil {
					return nil, err
				}
			}
			return c, nil
		}
	}
}

// need returns the lowest role that may call the route for any node; empty:
// no token is needed.
func (r *Route) need() Role {
	switch {
	case r.public:
		return ""
	case r.role != "":
		return r.role
	case r.Method == http.MethodGet:
		return RoleRead
	}
	return RoleOperator
}

// Roles returns the lowest roles that may call the route: one, or two if
// workers may call it for their own nodes, or none if no token is needed.
// Higher roles may call it too.
func (r Route) Roles() []Role {
	need := r.need()
	switch {
	case need == "":
		return nil
	case r.nodes != nil:
		return []Role{RoleWorker, need}
	}
	return []Role{need}
}

// may returns an error if the token does not allow the route.
func (r *Route) may(token *shown) error {
	need := r.need()
	switch {
	case token.role == "" || token.role == RoleAdmin || need == RoleRead:
		return nil
	case token.role == RoleOperator && need == RoleOperator:
		return nil
	case token.role == RoleWorker && r.nodes != nil:
		return nil
	}
	var wanted []string
	for _, role := range r.Roles() {
		wanted = append(wanted, string(role))
	}
	return domain.Errorf(domain.Forbidden, "%s %s: want a token of role %s, found one of role %s", r.Method, r.Path, strings.Join(wanted, " or "), token.role)
}

// ownNodes returns an error if a worker names a node that is not its own.
func (x *exchange) ownNodes() error {
	if x.token == nil || x.token.role != RoleWorker {
		return nil
	}
	var err error
	x.input, err = x.route.nodes(x.input, x.token)
	return err
}

// own returns an error for a node that is not the token's, and fills in an
// empty one.
func (t *shown) own(node *domain.NodeID) error {
	switch {
	case slices.Contains(t.nodes, *node):
		return nil
	case *node == "" && len(t.nodes) == 1:
		*node = t.nodes[0]
		return nil
	case *node == "":
		return domain.Errorf(domain.Forbidden, "node_id: want one of %s, which the token stands for, found none", t.named())
	}
	return domain.Errorf(domain.Forbidden, "node_id %s: want %s, which the token stands for", domain.Clip(string(*node), 64), t.named())
}

// named lists the nodes of a token for messages, shortened if there are
// many.
func (t *shown) named() string {
	const most = 8
	var names []string
	for _, node := range t.nodes[:min(len(t.nodes), most)] {
		names = append(names, string(node))
	}
	if more := len(t.nodes) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
