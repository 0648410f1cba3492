package nodes

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/transport"
)

// silences exports how long each kind of success has been overdue as Prometheus
// gauges. A kind of success that was not expected yet has no value.
type silences struct {
	backend transport.Backend
	now     func() time.Time
}

var (
	silentSeconds = prometheus.NewDesc("rift_seconds_since_last", "Seconds since the last success of a kind: dispatch, completion, sync, export, training, evaluation, promotion.", []string{"kind"}, nil)
	silenceAlarm  = prometheus.NewDesc("rift_silence_alarm", "Whether the silence of a kind is an alarm.", []string{"kind"}, nil)
)

// Describe implements prometheus.Collector.
func (silences) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- silentSeconds
	descriptions <- silenceAlarm
}

// gaugeTime limits how long a scrape waits for the read models.
const gaugeTime = 2 * time.Second

// Collect implements prometheus.Collector. While the read models cannot answer
// there are no values.
func (s silences) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gaugeTime)
	defer cancel()
	var answer nodesview.AlarmsAnswer
	err := s.backend.View(ctx, transport.At{}, 0, func(v projections.View) (err error) {
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

// silenceGauges returns the gauges of the area.
func silenceGauges(b transport.Backend, now func() time.Time) prometheus.Collector {
	return silences{b, now}
}
