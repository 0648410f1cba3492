package transport

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// HandlerRoutes is what handlers do and failed at, and what has not happened for long.
func HandlerRoutes() []Route {
	admin := In("admin")
	return []Route{
		Tell("/handlers", "admin.handlers", tellHandlers, admin, About("the handlers of events and the reactors: what each reads, writes and commands; runs, failures, lag, last run")),
		Get("/handlers/failures", "handlers.failures", adminview.FailedHandlers, admin, About("the failures of handlers, as nodes and tools noted them on the log")),
		Get("/alarms", "admin.alarms", nodesview.Alarms, admin, About("how long ago work was last given out, completed, copied, exported, trained, measured and promoted, and which silence is an alarm")),
	}
}

// HandlersQuery asks for handlers: all, or those of one type of event, or the
// one of a name: its own, or the one it is documented by; or of these the ones
// that were at work, or failed.
type HandlersQuery struct {
	Event string `query:"event"`
	Name  string `query:"name"`
	Ran   bool   `query:"ran"`
}

// Keeps tells whether a handler is meant: its event, its name, and the name it is
// documented by.
func (q HandlersQuery) Keeps(event, name, documented string) bool {
	return (q.Event == "" || q.Event == event) && (q.Name == "" || q.Name == name || q.Name == documented)
}

func tellHandlers(ctx context.Context, b Backend, q HandlersQuery) (Handlers, domain.Position, error) {
	handlers, err := b.Handlers(ctx)
	if err != nil {
		return handlers, 0, err
	}
	handlers.Handlers = slices.DeleteFunc(handlers.Handlers, func(row HandlerRow) bool {
		return !q.Keeps(row.Event, row.Name, row.Documented) || q.Ran && row.Runs == 0 && row.Failures == 0
	})
	return handlers, handlers.Position, nil
}

// silences tells Prometheus how long each kind of success has failed to happen.
// A kind that nothing has asked for yet has no value.
type silences struct {
	backend Backend
	now     func() time.Time
}

var (
	silentSeconds = prometheus.NewDesc("rift_seconds_since_last", "Seconds since the last success of a kind: dispatch, completion, sync, export, training, evaluation, promotion.", []string{"kind"}, nil)
	silenceAlarm  = prometheus.NewDesc("rift_silence_alarm", "Whether the silence of a kind is an alarm.", []string{"kind"}, nil)
)

// Describe names the gauges.
func (silences) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- silentSeconds
	descriptions <- silenceAlarm
}

// gaugeTime bounds how long a scrape waits for the read models.
const gaugeTime = 2 * time.Second

// Collect asks the read models. While they cannot answer there are no values.
func (s silences) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gaugeTime)
	defer cancel()
	var answer nodesview.AlarmsAnswer
	err := s.backend.View(ctx, At{}, 0, func(v projections.View) (err error) {
		answer, err = nodesview.Alarms(v, nodesview.AlarmsQuery{}.At(s.now()))
		return err
	})
	if err != nil {
		return
	}
	for _, silence := range answer.Alarms {
		kind := string(silence.Kind)
		if silence.SilentSeconds != nil {
			metrics <- prometheus.MustNewConstMetric(silentSeconds, prometheus.GaugeValue, float64(*silence.SilentSeconds), kind)
		}
		raised := 0.0
		if silence.RaisedAt != nil {
			raised = 1
		}
		metrics <- prometheus.MustNewConstMetric(silenceAlarm, prometheus.GaugeValue, raised, kind)
	}
}
