package esdbserver

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
)

// consumer is a connection to a group.
type consumer struct {
	seed   uint64 // random, for pinning
	login  string
	name   string
	from   string
	slots  int // how many events may be in flight
	flight int
	total  int64
	out    chan delivery
	times  []time.Duration // between sending and acknowledgement, of the last keptTimes events
	next   int

	once   sync.Once
	reason error
	lost   chan struct{} // closed when the group has disconnected it
}

// delivery is an event to send, with the number of earlier tries.
type delivery struct {
	message *message
	retries int32
}

func (c *consumer) drop(reason error) {
	c.once.Do(func() {
		c.reason = reason
		close(c.lost)
	})
}

// free reports whether an event may be sent to the consumer. An event that waits in out
// counts even if it is not in flight any more, because it timed out or was acknowledged
// before it was sent.
func (c *consumer) free() bool { return c.flight < c.slots && len(c.out) < cap(c.out) }

// took is called when an event left c.out. It wakes the group if c.out was full.
func (g *group) took(c *consumer) {
	if len(c.out) != cap(c.out)-1 {
		return
	}
	select {
	case g.room <- struct{}{}:
	default: // it is awake already
	}
}

// pick returns a consumer for an event; nil if the consumer that the event is pinned to has
// no room. more is false if no consumer has room for any event.
func (g *group) pick(m *message) (c *consumer, more bool) {
	switch g.def.Settings.Strategy {
	case pinned, pinnedByCorrelation:
		if c = g.pinnedTo(m); !c.free() {
			c = nil
		}
		return c, true
	case toSingle:
		for _, c := range g.consumers {
			if c.free() {
				return c, true
			}
		}
		return nil, false
	}
	for range g.consumers {
		c := g.consumers[g.turn%len(g.consumers)]
		g.turn++
		if c.free() {
			return c, true
		}
	}
	return nil, false
}

// pinnedTo returns the consumer of a stream, or of a correlation id, by rendezvous hashing:
// the one with the highest hash of the key and its seed. So most keys keep their consumer
// when another one connects or disconnects.
func (g *group) pinnedTo(m *message) *consumer {
	key := string(m.event.Stream)
	if g.def.Settings.Strategy == pinnedByCorrelation {
		if key = m.event.Meta.Correlation; key == "" {
			key = m.id().String()
		}
	}
	hash := maphash.String(g.server.seed, key)
	best, highest := g.consumers[0], uint64(0)
	for _, c := range g.consumers {
		if weight := scramble(hash ^ c.seed); weight >= highest {
			best, highest = c, weight
		}
	}
	return best
}

// scramble spreads every bit over all others (the finaliser of splitmix64).
func scramble(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// connect adds a consumer. The first one starts the source.
func (g *group) connect(c *consumer) error {
	if most := g.def.Settings.MaxConsumers; most > 0 && len(g.consumers) >= int(most) {
		return groupFailure("maximum-subscribers-reached", g.def.Stream, g.def.Group, "")
	}
	g.consumers = append(g.consumers, c)
	if g.following == nil {
		g.follow()
	}
	return nil
}

// disconnect removes a consumer and retries its events with others.
func (g *group) disconnect(c *consumer) {
	for i, other := range g.consumers {
		if other == c {
			g.consumers = append(g.consumers[:i:i], g.consumers[i+1:]...)
			break
		}
	}
	for id, m := range g.flight {
		if m.to != c {
			continue
		}
		if m.dropped {
			m.to = nil
			continue
		}
		g.again(id, m)
	}
	if len(g.consumers) == 0 {
		g.unfollow()
	}
}

// nack handles a negative acknowledgement.
func (g *group) nack(c *consumer, ids []domain.EventID, action nackAction, reason string) {
	for _, id := range ids {
		m := g.flight[id]
		if m == nil || m.to != c || m.dropped {
			continue
		}
		switch action {
		case nackPark:
			g.parkMessage(id, m, reason)
		case nackSkip:
			g.settle(id, m)
		case nackStop: // the consumer disconnects next
		default:
			g.fail(id, m, reason)
		}
	}
}

// keptTimes bounds consumer.times.
const keptTimes = 1000

func (c *consumer) measure(took time.Duration) {
	if len(c.times) < keptTimes {
		c.times = append(c.times, took)
		return
	}
	c.times[c.next] = took
	c.next = (c.next + 1) % keptTimes
}

// rate counts the events of the current second and of the one before.
type rate struct {
	second  int64
	current int64
	before  int64
}

func (r *rate) add(now time.Time) {
	r.turn(now)
	r.current++
}

func (r *rate) turn(now time.Time) {
	switch second := now.Unix(); {
	case second == r.second:
	case second == r.second+1:
		r.before, r.current, r.second = r.current, 0, second
	default:
		r.before, r.current, r.second = 0, 0, second
	}
}
