package relay

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/transport"
)

// meters exports what a hub holds as Prometheus gauges.
type meters struct{ backend transport.Backend }

var (
	held    = prometheus.NewDesc("rift_relay_held", "What the hub of calls to other nodes holds now: mailboxes, polls, calls, bytes.", []string{"what"}, nil)
	refused = prometheus.NewDesc("rift_relay_refused_total", "Calls refused for want of room in a mailbox or in all.", nil, nil)
	taken   = prometheus.NewDesc("rift_relay_forwarded_total", "Calls taken for other nodes.", nil, nil)
)

// Describe implements prometheus.Collector.
func (meters) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- held
	descriptions <- refused
	descriptions <- taken
}

// Collect implements prometheus.Collector.
func (m meters) Collect(metrics chan<- prometheus.Metric) {
	hub, err := transport.LentBy[Hub](m.backend)
	if err != nil {
		return
	}
	counts := hub.Counts()
	for what, value := range map[string]int{"mailboxes": counts.Mailboxes, "polls": counts.Polls, "calls": counts.Calls, "bytes": counts.Bytes} {
		metrics <- prometheus.MustNewConstMetric(held, prometheus.GaugeValue, float64(value), what)
	}
	metrics <- prometheus.MustNewConstMetric(refused, prometheus.CounterValue, float64(counts.Refused))
	metrics <- prometheus.MustNewConstMetric(taken, prometheus.CounterValue, float64(counts.Forwarded))
}

func gauges(b transport.Backend, _ func() time.Time) prometheus.Collector { return meters{b} }
