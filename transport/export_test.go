package transport

import (
	"context"
	"net/http"
	"net/url"
	"reflect"

	"github.com/ringrift/rift/domain"
)

// Limits that tests reach.
const (
	ScanWindow = scanWindow
	Uncounted  = uncounted
)

// Parts of the package that only tests use.
var (
	AddressOf     = addressOf
	AppendJSON    = appendJSON
	AppendMembers = appendMembers
	AppendString  = appendString
	DecodeBody    = decodeBody
	JSONContent   = jsonContent
	NewBudgets    = newBudgets
	ParamsOf      = paramsOf
	ReceiptKeys   = receiptKeys
	ShapeOf       = shapeOf
	Statuses      = statuses
)

// Budget is the limit on one kind of request.
type Budget = budget

func (b *budget) Name() string                          { return b.name }
func (b *budget) Most() int64                           { return b.most }
func (b *budget) Enter(caller string, n int64) error    { return b.enter(caller, n) }
func (b *budgets) Of(r *Route, q *http.Request) *Budget { return b.of(r, q) }

// BudgetNames lists the budgets of a handler.
var BudgetNames = []string{"vital", "commands", "queries", "scans", "streams", "waits", "bodies", "answers"}

// Held returns how much of a budget is taken.
func (h *Handler) Held(budget string) int64 {
	for i, one := range h.budgets.all() {
		if BudgetNames[i] == budget {
			return one.held()
		}
	}
	panic("no budget is called " + budget)
}

func (h *Handler) Mux() *http.ServeMux     { return h.mux }
func (h *Handler) Rows() []Route           { return h.routes }
func (h *Handler) TurnsTaken() int         { return len(h.turns.places) }
func (h *Handler) StreamMemoryFree() bool  { return h.memory.all.TryAcquire(h.memory.most) }
func (h *Handler) StreamMemoryEach() int64 { return h.memory.each }

// CountConnections returns how many connections are open, and how many of them
// wait.
func (h *Handler) CountConnections() (open, waiting int) {
	h.connections.mu.Lock()
	defer h.connections.mu.Unlock()
	for _, one := range h.connections.open {
		if one.state.Load() == waits {
			waiting++
		}
	}
	return len(h.connections.open), waiting
}

func (r *Route) Decode(body []byte) (any, error) { return r.decode(body) }
func (r *Route) Inputs() []string                { return r.inputs() }
func (r *Route) IsPublic() bool                  { return r.public }
func (r *Route) NewInput() any                   { return r.newInput() }
func (r *Route) Value(pointer any) any           { return r.value(pointer) }

func (p *params) Bind(r *http.Request, values url.Values, into reflect.Value) []domain.Fault {
	return p.bind(r, values, into)
}

func (p *params) Fill(pattern string, question reflect.Value) (string, url.Values, error) {
	return p.fill(pattern, question)
}

func (c *Client) FollowOnce(ctx context.Context, after domain.Position, s Selection, yield func(Followed, error) bool) (domain.Position, bool, error) {
	return c.followOnce(ctx, after, s, yield)
}

// Strikes returns how many addresses are remembered for bad tokens.
func (h *Handler) Strikes() int { return len(h.strikes.young) + len(h.strikes.old) }
