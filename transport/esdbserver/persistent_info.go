package esdbserver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"github.com/ringrift/rift/eventlog/foreign"
)

// describe returns the state of a group.
func (g *group) describe(ctx context.Context) (*persistent.SubscriptionInfo, error) {
	_, parked, err := g.parkedStream(ctx)
	if err != nil {
		return nil, err
	}
	last, err := g.sourceEnd(ctx)
	if err != nil {
		return nil, err
	}
	var info *persistent.SubscriptionInfo
	if !g.do(func() { info = g.info(last) }) {
		return nil, g.over()
	}
	info.ParkedMessageCount = int64(max(parked.last+1-parked.shown(), 0))
	return info, nil
}

// sourceEnd returns the last place of the source as text; empty if the source is empty.
func (g *group) sourceEnd(ctx context.Context) (string, error) {
	switch {
	case g.def.all():
		head, err := g.server.log.Head(ctx)
		return g.place(uint64(head)), err
	case isIndex(g.def.Stream):
		x := g.server.index.of(g.def.Stream)
		if err := x.extend(ctx, g.server.log); err != nil || x.size() == 0 {
			return "", err
		}
		return g.place(x.size() - 1), nil
	}
	id, err := foreign.StreamID(g.def.Stream)
	if err != nil {
		return "", err
	}
	state, err := g.server.stateOf(ctx, g.def.Stream, id)
	if err != nil || state.last < 0 {
		return "", err
	}
	return g.place(uint64(state.last)), nil
}

func (g *group) info(last string) *persistent.SubscriptionInfo {
	d, now := &g.def, g.server.clock()
	g.recent.turn(now)
	status := "Live"
	if g.following != nil && !g.live {
		status = "Behind"
	}
	info := &persistent.SubscriptionInfo{
		EventSource: d.Stream, GroupName: d.Group, Status: status,
		AveragePerSecond: int32(g.recent.before), TotalItems: g.handled, CountSinceLastMeasurement: g.recent.current,
		LastKnownEventPosition: last, ResolveLinkTos: d.Settings.ResolveLinks, StartFrom: g.startFrom(),
		MessageTimeoutMilliseconds: int32(d.Settings.Timeout), ExtraStatistics: d.Settings.Statistics, MaxRetryCount: d.Settings.MaxRetries,
		LiveBufferSize: d.Settings.LiveBuffer, BufferSize: d.Settings.HistoryBuffer, ReadBatchSize: d.Settings.ReadBatch,
		CheckPointAfterMilliseconds: int32(d.Settings.CheckpointWait), MinCheckPointCount: d.Settings.MinCheckpoint, MaxCheckPointCount: d.Settings.MaxCheckpoint,
		ReadBufferCount: int32(len(g.waiting)), RetryBufferCount: int32(len(g.retry)), TotalInFlightMessages: int32(len(g.flight)),
		OutstandingMessagesCount: int32(len(g.flight)), NamedConsumerStrategy: d.Settings.Strategy, MaxSubscriberCount: d.Settings.MaxConsumers,
	}
	if g.live {
		info.LiveBufferCount = int64(len(g.waiting))
	}
	if g.checkpoint.exists {
		info.LastCheckpointedEventPosition = g.place(g.checkpoint.stored - g.base())
	}
	for _, c := range g.consumers {
		info.Connections = append(info.Connections, &persistent.SubscriptionInfo_ConnectionInfo{
			From: c.from, Username: c.login, ConnectionName: c.name, TotalItems: c.total,
			AvailableSlots: int32(c.slots - c.flight), InFlightMessages: int32(c.flight), ObservedMeasurements: c.measurements(),
		})
	}
	return info
}

func (g *group) startFrom() string {
	switch {
	case g.def.FromEnd && g.def.all():
		return "C:-1/P:-1"
	case g.def.FromEnd:
		return "-1"
	}
	return g.place(g.def.Start)
}

// measurements returns the latencies of a consumer in milliseconds, under the names that
// tools use.
func (c *consumer) measurements() []*persistent.SubscriptionInfo_Measurement {
	if len(c.times) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(c.times))
	var sum time.Duration
	for _, t := range sorted {
		sum += t
	}
	var all []*persistent.SubscriptionInfo_Measurement
	add := func(key string, t time.Duration) {
		all = append(all, &persistent.SubscriptionInfo_Measurement{Key: key, Value: t.Milliseconds()})
	}
	at := func(part float64) time.Duration { return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)] }
	add("Mean", sum/time.Duration(len(sorted)))
	add("Median", at(0.5))
	add("Fastest", sorted[0])
	for i := 1; i <= 5; i++ {
		add(fmt.Sprintf("Quintile %d", i), at(float64(i)*0.2))
	}
	for _, p := range []struct {
		key  string
		part float64
	}{{"90%", 0.9}, {"95%", 0.95}, {"99%", 0.99}, {"99.5%", 0.995}, {"99.9%", 0.999}} {
		add(p.key, at(p.part))
	}
	add("Highest", sorted[len(sorted)-1])
	return all
}
