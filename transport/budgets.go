package transport

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/domain"
)

// budget is how many requests of a kind are served at once. Kinds have budgets
// of their own, so that no number of slow readers keeps a worker from its lease:
//
//   - vital: what workers do with leases and nodes with their heartbeats
//   - commands: every other command
//   - queries: questions to the read models of now
//   - scans: what reads long stretches of the log or of the past, and reports
//
// Event streams are counted by themselves, and probes are outside all bounds.
type budget struct {
	name  string
	most  int
	taken chan struct{}
}

func newBudget(name string, most int) *budget {
	return &budget{name: name, most: most, taken: make(chan struct{}, most)}
}

// enter takes a place, or says that there is none; nobody waits for one.
func (b *budget) enter() error {
	select {
	case b.taken <- struct{}{}:
		return nil
	default:
		return domain.Errorf(domain.TooMany, "want at most %d requests at once of the kind %s", b.most, b.name)
	}
}

func (b *budget) leave() { <-b.taken }

// budgets are the bounds of one handler.
type budgets struct{ vital, commands, queries, scans *budget }

func newBudgets(config Config) *budgets {
	return &budgets{
		vital: newBudget("vital", config.InFlight), commands: newBudget("commands", config.InFlight),
		queries: newBudget("queries", config.InFlight), scans: newBudget("scans", config.Scans),
	}
}

// of finds the budget of a request to a route.
func (b *budgets) of(route *Route, r *http.Request) *budget {
	switch {
	case route.vital:
		return b.vital
	case route.Kind == Command:
		return b.commands
	case route.scans || ofThePast(r.URL.RawQuery):
		return b.scans
	}
	return b.queries
}

// ofThePast tells a query that names a position or a time.
func ofThePast(query string) bool {
	return strings.HasPrefix(query, "at=") || strings.Contains(query, "&at=")
}

// register shows how much of each budget is taken.
func (b *budgets) register(registry *prometheus.Registry) error {
	for _, one := range []*budget{b.vital, b.commands, b.queries, b.scans} {
		for name, value := range map[string]func() float64{
			"rift_http_budget_taken": func() float64 { return float64(len(one.taken)) },
			"rift_http_budget_most":  func() float64 { return float64(one.most) },
		} {
			err := registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: name, Help: "Requests served at once, by kind.", ConstLabels: prometheus.Labels{"budget": one.name},
			}, value))
			if err != nil {
				return domain.Errorf(domain.Internal, "metrics: %w", err)
			}
		}
	}
	return nil
}

// Vital says that work stops where the route is not served: it has a budget
// that nothing else can use up.
func Vital() Option { return func(r *Route) { r.vital = true } }

// Scans says that one request reads much: few are served at once.
func Scans() Option { return func(r *Route) { r.scans = true } }
