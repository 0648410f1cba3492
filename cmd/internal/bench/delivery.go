package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// deliveryTargets are the subscribers that are measured and the most
// microseconds that half the deliveries may take.
var deliveryTargets = []struct {
	subscribers int
	target      float64
}{{1, 30}, {100, 300}}

// deliveryPace is the time between two events: a delivery is over before the
// next begins.
const deliveryPace = time.Millisecond

func deliveryFigure(ctx context.Context, s *suite) ([]Row, error) {
	tails := map[string][]float64{}
	half := func(name string, measure func(context.Context) ([]float64, error)) peer {
		return peer{name, func(ctx context.Context, _ int) (float64, error) {
			micros, err := measure(ctx)
			if err != nil {
				return 0, err
			}
			slices.Sort(micros)
			tails[name] = append(tails[name], quantile(micros, 0.99))
			return quantile(micros, 0.5), nil
		}}
	}
	var peers []peer
	for _, one := range deliveryTargets {
		if !s.wanted(fmt.Sprintf("delivery.%d", one.subscribers)) {
			continue
		}
		peers = append(peers,
			half(fmt.Sprintf("%d.channel", one.subscribers), func(ctx context.Context) ([]float64, error) { return s.handOff(ctx, one.subscribers) }),
			half(fmt.Sprintf("%d.log", one.subscribers), func(ctx context.Context) ([]float64, error) { return s.deliver(ctx, one.subscribers) }))
	}
	values, err := s.rounds(ctx, "delivery", peers...)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, one := range deliveryTargets {
		name := fmt.Sprintf("delivery.%d", one.subscribers)
		log, channel := fmt.Sprintf("%d.log", one.subscribers), fmt.Sprintf("%d.channel", one.subscribers)
		who := "a subscriber"
		if one.subscribers > 1 {
			who = fmt.Sprintf("%d subscribers", one.subscribers)
		}
		rows = append(rows,
			row(name, "acknowledgement to delivery to "+who+", median", "µs", values[log], "closing a channel", values[channel], valueAtMost(one.target)),
			row(name+".p99", "acknowledgement to delivery to "+who+", 99th percentile", "µs", tails[log], "closing a channel", tails[channel], nil))
	}
	return rows, nil
}

// deliveries is how many events a cell delivers.
func (s *suite) deliveries() int { return int(s.cellTime() / deliveryPace) }

// deliver measures from the return of an append to the moment each subscriber
// has the event, in microseconds.
func (s *suite) deliver(ctx context.Context, subscribers int) (micros []float64, err error) {
	dir, done, err := s.fresh("delivery")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	log, err := pebblelog.Open(dir, pebblelog.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()

	events := s.deliveries()
	m := newMoments(events, subscribers)
	subscriptions, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var ready, all sync.WaitGroup
	ready.Add(subscribers)
	for subscriber := range subscribers {
		all.Go(func() {
			waiting := true
			for item, err := range log.Subscribe(subscriptions, 0, eventlog.Filter{}) {
				if waiting {
					waiting = false
					ready.Done()
				}
				if err != nil {
					stop(err)
					return
				}
				if item.Envelope.Position == 0 {
					continue
				}
				m.arrived(subscriber, int(item.Envelope.Position)-1)
				if int(item.Envelope.Position) == events {
					return
				}
			}
		})
	}
	ready.Wait()
	payload := text(256)
	for n := range events {
		if err := pause(subscriptions, deliveryPace); err != nil {
			break
		}
		if _, err := log.Append(subscriptions, own(0), expecting(n), appended(0, n, payload)); err != nil {
			stop(err)
			break
		}
		m.acknowledged(n)
	}
	all.Wait()
	if subscriptions.Err() != nil {
		return nil, context.Cause(subscriptions)
	}
	return m.micros(), nil
}

// handOff measures the least that waking as many goroutines takes: from just
// before a channel is closed to the moment each of them runs.
func (s *suite) handOff(ctx context.Context, subscribers int) ([]float64, error) {
	events := s.deliveries()
	m := newMoments(events, subscribers)
	signals := make([]chan struct{}, events)
	for i := range signals {
		signals[i] = make(chan struct{})
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	for subscriber := range subscribers {
		all.Go(func() {
			for n := range events {
				select {
				case <-signals[n]:
					m.arrived(subscriber, n)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	var err error
	for n := range events {
		if err = pause(ctx, deliveryPace); err != nil {
			stop()
			break
		}
		m.acknowledged(n)
		close(signals[n])
	}
	all.Wait()
	if err != nil {
		return nil, err
	}
	return m.micros(), nil
}

// moments are the times of acknowledgements and deliveries. Each cell is
// written by one goroutine and read after all have ended.
type moments struct {
	base      time.Time
	acked     []time.Duration
	delivered [][]time.Duration
}

func newMoments(events, subscribers int) *moments {
	m := &moments{base: time.Now(), acked: make([]time.Duration, events), delivered: make([][]time.Duration, subscribers)}
	for i := range m.delivered {
		m.delivered[i] = make([]time.Duration, events)
	}
	return m
}

func (m *moments) acknowledged(n int)        { m.acked[n] = time.Since(m.base) }
func (m *moments) arrived(subscriber, n int) { m.delivered[subscriber][n] = time.Since(m.base) }

// micros lists how long each delivery took. What arrives before its own
// acknowledgement took no time.
func (m *moments) micros() []float64 {
	var out []float64
	for _, times := range m.delivered {
		for n, at := range times {
			out = append(out, max(0, float64(at-m.acked[n])/float64(time.Microsecond)))
		}
	}
	return out
}
