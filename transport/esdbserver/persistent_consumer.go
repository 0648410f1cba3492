package esdbserver

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
)

// consumer is a connection to a group.
type consumer struct {
	seed   uint64 // tells it from others, for pinning
	login  string
	name   string
	from   string
	slots  int
	flight int
	total  int64
	out    chan delivery
	times  []time.Duration // how long the last events took to be acknowledged
	next   int

	once   sync.Once
	reason error
	lost   chan struct{} // closed when the group has let it go
}

// delivery is an event that goes out, with how often it was tried before.
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

// free tells whether an event may be sent to it. What it was sent and has not taken
// counts too when it is in flight no more: it ran out of time, or was answered unseen.
func (c *consumer) free() bool { return c.flight < c.slots && len(c.out) < cap(c.out) }

// took is called when it has taken what it was sent: one that had no room has some,
// which the group is to know of.
func (g *group) took(c *consumer) {
	if len(c.out) != cap(c.out)-1 {
		return
	}
	select {
	case g.room <- struct{}{}:
	default: // it is told of already
	}
}

// pick finds a consumer for an event: none when the one it belongs to has no
// room now; more is false when no event would find one.
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

// pinnedTo gives all events of a stream, or of a chain, to one consumer, and
// keeps most of them where they are when one comes or goes: the consumer whose
// hash with the key is the highest has it.
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

// connect adds a consumer, and starts the source for the first one.
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

// disconnect takes a consumer out; what it had is tried with others.
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

// nack does with events what a consumer wants that could not handle them.
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
		case nackStop: // the consumer is about to leave
		default:
			g.fail(id, m, reason)
		}
	}
}

// keptTimes bounds how many times of acknowledgement are kept of a consumer.
const keptTimes = 1000

func (c *consumer) measure(took time.Duration) {
	if len(c.times) < keptTimes {
		c.times = append(c.times, took)
		return
	}
	c.times[c.next] = took
	c.next = (c.next + 1) % keptTimes
}

// rate counts events of the last second that is over, and of the one that runs.
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
