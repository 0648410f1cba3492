package transport

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringrift/rift/domain"
)

// meters are the metrics of the HTTP layer. Those of a route that succeeds are looked
// up once, when it is mounted, to avoid a label lookup per request.
type meters struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	panics     prometheus.Counter
	eventsSent prometheus.Counter
	streams    prometheus.Gauge
	badTokens  prometheus.Counter
	inFlight   atomic.Int64
}

// meter holds the metrics of one route. The counter of a code is made when a request
// first fails with it: a route answers few of all codes.
type meter struct {
	ok      prometheus.Counter
	failed  *prometheus.CounterVec
	seconds prometheus.Observer
}

func newMeters(registry *prometheus.Registry) (*meters, error) {
	m := &meters{
		registry: registry,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rift_http_requests_total", Help: "Requests by route and by code; the code of success is ok.",
		}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rift_http_request_seconds", Help: "Time from the head of a request to its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 30},
		}, []string{"route"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rift_http_panics_total", Help: "Requests that ended in a panic, each answered with internal.",
		}),
		eventsSent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rift_http_stream_events_total", Help: "Events told to the readers of event streams.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rift_http_streams", Help: "Open event streams.",
		}),
	}
	m.badTokens = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "rift_http_bad_tokens_total", Help: "Requests that showed a token which is not a known one.",
	})
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rift_http_in_flight", Help: "Requests being served.",
	}, func() float64 { return float64(m.inFlight.Load()) })
	for _, collector := range []prometheus.Collector{m.requests, m.seconds, m.panics, m.eventsSent, m.streams, m.badTokens, inFlight} {
		if err := registry.Register(collector); err != nil {
			return nil, domain.Errorf(domain.Internal, "metrics: %w", err)
		}
	}
	return m, nil
}

func (m *meters) of(route *Route) *meter {
	labels := prometheus.Labels{"route": route.Name}
	failed := m.requests.MustCurryWith(labels)
	return &meter{ok: failed.WithLabelValues("ok"), failed: failed, seconds: m.seconds.With(labels)}
}

// seen counts one request; an empty code means success.
func (m *meter) seen(code domain.Code, took time.Duration) {
	counter := m.ok
	if code != "" {
		if _, known := statuses[code]; !known {
			code = domain.Internal
		}
		counter = m.failed.WithLabelValues(string(code))
	}
	counter.Inc()
	m.seconds.Observe(took.Seconds())
}

// unmatched counts a request that matched no route.
func (m *meters) unmatched(code domain.Code) {
	m.requests.WithLabelValues("none", string(code)).Inc()
}

func (m *meters) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
