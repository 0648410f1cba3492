package clustersim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/domain"
	calls "github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// How calls go through mailboxes in a simulation. Each hub has room for few.
const (
	behindHubs   = 2 // nodes that cannot be called
	callsEach    = 6 // callers after each fault, of one hub at first
	callsWithin  = 500 * time.Millisecond
	callWaits    = 8 * time.Second
	callKept     = 60 * time.Second
	pollWaits    = 5 * time.Second
	answersAfter = 10 * time.Second // that a poll or a call waits, until its caller gives it up
	mailboxTTL   = 90 * time.Second
	// settlesWithin is how long it takes at most until every caller was told something.
	settlesWithin = 5 * time.Minute
)

var smallHub = wire.Limits{Mailboxes: 8, Polls: 2, NodeCalls: 2, NodeBytes: 4 << 10, Calls: 3, Bytes: 6 << 10}

// mailboxes is every node as a hub for nodes that cannot be called, those nodes, and
// who calls them.
type mailboxes struct {
	*services
	agents   []*agent
	lines    []string // what came of calls that somebody looks at
	asked    int
	answered int
	expired  int
	refused  int // attempts, for want of room
	ended    int // calls, for another reason
}

// hub is a node's part in that.
type hub struct {
	*relay.Hub
	asking map[int]time.Duration // calls that wait for an answer, since when
}

// Stop has everybody go who waits at the hub.
func (h hub) Stop() {
	if h.Hub != nil {
		h.Hub.Stop()
	}
}

func newMailboxes(s *services) *mailboxes {
	m := &mailboxes{services: s}
	for i := range behindHubs {
		a := &agent{mailboxes: m, node: domain.NodeID(fmt.Sprintf("behind-%d", i+1)), place: i % len(s.cluster.members), done: map[string]calls.Response{}, taken: map[string]bool{}}
		m.agents = append(m.agents, a)
	}
	return m
}

func (m *mailboxes) boot(p *parts) {
	config := relay.Config{
		Backend: backend{p.host.node.Backend(), p}, Node: p.host.Name(), Now: p.host.node.Now, Limits: smallHub,
		Go: func(what func()) { m.begin(p, what) },
		Wait: func(ctx context.Context, d time.Duration, either, or <-chan struct{}) {
			until := m.now + d
			m.after(d, func() {})
			m.wait(func() bool { return m.now >= until || closed(either) || closed(or) || ctx.Err() != nil })
		},
	}
	if broken := m.cluster.config.mutation; broken != nil && broken.relays != nil {
		broken.relays(p, &config)
	}
	p.hub = hub{relay.NewHub(config), map[int]time.Duration{}}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// start has the nodes that cannot be called take their calls at every hub.
func (m *mailboxes) start() {
	for _, a := range m.agents {
		for _, h := range m.cluster.hosts {
			m.begin(nil, func() { a.attend(h) })
		}
	}
}

// agent is a node that can call and not be called. It is beside a node of the cluster,
// and is cut off with that. What it is asked twice under one key it does once.
type agent struct {
	*mailboxes
	node  domain.NodeID
	place int
	done  map[string]calls.Response // by key
	taken map[string]bool           // calls, by their registration and deadline
	lives int
}

func (a *agent) caller() transport.Caller { return transport.Caller{Key: string(a.node)} }

// attend takes the calls out of a mailbox, as a node's agent does.
func (a *agent) attend(at *Host) {
	registered := ""
	for pause := time.Second; !a.ending; {
		if registered == "" {
			told, err := ask(context.Background(), a.services, question[wire.Registered]{
				kind: "relay.register", from: a.place, to: at, within: answersAfter,
				do: func(ctx context.Context, p *parts) (wire.Registered, error) {
					return p.Register(ctx, a.caller(), wire.Register{NodeID: a.node, TTL: domain.Seconds(mailboxTTL.Seconds())})
				},
			})
			if err != nil {
				a.sleep(pause)
				pause = min(2*pause, 10*time.Second)
				continue
			}
			a.lives++
			registered, pause = fmt.Sprintf("%s/%d", told.Hub, a.lives), time.Second
		}
		wait := domain.Seconds(pollWaits.Seconds())
		polled, err := ask(context.Background(), a.services, question[wire.Polled]{
			kind: "relay.poll", from: a.place, to: at, within: pollWaits + answersAfter,
			do: func(ctx context.Context, p *parts) (wire.Polled, error) {
				return p.Poll(ctx, a.caller(), wire.Poll{NodeID: a.node, Wait: &wait, Max: 2})
			},
		})
		if err != nil {
			registered = ""
			a.sleep(pause)
			continue
		}
		for _, one := range polled.Calls {
			a.take(at, registered, one)
		}
	}
}

// take does what is asked and brings the answer back.
func (a *agent) take(at *Host, registered string, one wire.Delivery) {
	// A call that expired and is made again has another deadline.
	if call := fmt.Sprint(registered, "/", one.CallID, "/", one.Deadline.UnixNano()); a.taken[call] {
		a.cluster.violate("%s gave %s the call %s twice in one registration", at.Name(), a.node, one.CallID)
	} else {
		a.taken[call] = true
	}
	a.begin(nil, func() {
		a.sleep(a.upTo(time.Second))
		if a.random.IntN(6) == 0 {
			a.sleep(a.upTo(2 * callWaits))
		}
		key := one.Header["Idempotency-Key"]
		response, did := a.done[key]
		if !did {
			response = calls.Response{Status: 200, Body: answerTo(key)}
			a.done[key] = response
		}
		for until := a.now + callKept; a.now < until && !a.ending; {
			_, err := ask(context.Background(), a.services, question[wire.Resulted]{
				kind: "relay.result", from: a.place, to: at, within: answersAfter,
				do: func(ctx context.Context, p *parts) (wire.Resulted, error) {
					return p.Result(ctx, a.caller(), wire.Result{NodeID: a.node, CallID: one.CallID, Response: response})
				},
			})
			if err == nil || !domain.CodeOf(err).Retryable() {
				return
			}
			a.sleep(time.Second)
		}
	})
}

func answerTo(key string) json.RawMessage { return fmt.Appendf(nil, `{"answer":%q}`, key) }

// burst has some call nodes that cannot be called, through one hub at first.
func (m *mailboxes) burst() {
	first := m.cluster.hosts[m.random.IntN(len(m.cluster.hosts))]
	for range callsEach {
		m.after(m.upTo(callsWithin), func() { m.call(m.random.IntN(len(m.cluster.hosts)), first) })
	}
}

// call has somebody at a place call a node that cannot be called, and again until the
// call is answered, refused, or too old.
func (m *mailboxes) call(from int, at *Host) {
	m.asked++
	number := m.asked
	target := m.agents[m.random.IntN(len(m.agents))]
	request := calls.Request{Target: target.node, Method: "GET", Path: "/status"}
	if m.random.IntN(2) == 0 {
		request = calls.Request{Target: target.node, Method: "POST", Path: "/work/add", Body: json.RawMessage(`{}`)}
	}
	m.begin(nil, func() {
		until := m.now + callKept
		for attempt := 1; !m.ending; attempt++ {
			key := fmt.Sprintf("call-%d", number)
			if !request.Kept() {
				key = fmt.Sprintf("call-%d-%d", number, attempt)
			}
			err := m.forward(from, at, number, key, request)
			switch {
			case err == nil:
				m.answered++
				return
			case !domain.CodeOf(err).Retryable():
				m.ended++
				m.cluster.violate("call %s to %s is refused: %v", key, target.node, err)
				return
			case m.now >= until:
				m.expired++
				return
			}
			if domain.CodeOf(err) == domain.TooMany {
				m.refused++
			}
			m.sleep(time.Second + m.upTo(2*time.Second))
			at = m.cluster.hosts[m.random.IntN(len(m.cluster.hosts))]
		}
	})
}

// forward makes a call through a hub once.
func (m *mailboxes) forward(from int, at *Host, number int, key string, request calls.Request) error {
	wait := domain.Seconds(callWaits.Seconds())
	told, err := ask(context.Background(), m.services, question[wire.Forwarded]{
		kind: "relay.forward", from: from, to: at, within: callWaits + answersAfter,
		do: func(ctx context.Context, p *parts) (wire.Forwarded, error) {
			p.asking[number] = m.now
			told, err := p.Forward(ctx, transport.Caller{Actor: "caller", ID: key}, wire.Forward{Request: request, Wait: &wait, Keep: domain.Seconds(callKept.Seconds())})
			delete(p.asking, number)
			return told, err
		},
	})
	if err == nil && string(told.Body) != string(answerTo(key)) {
		m.cluster.violate("call %s to %s is answered with %s", key, request.Target, told.Body)
	}
	return err
}

// check looks whether hubs hold no more than they may.
func (m *mailboxes) check() {
	for _, h := range m.cluster.hosts {
		p := h.parts
		if p == nil || p.Hub == nil {
			continue
		}
		if held := p.Counts(); held.Calls > smallHub.Calls || held.Bytes > smallHub.Bytes || held.Mailboxes > smallHub.Mailboxes || held.Polls > smallHub.Polls*behindHubs {
			m.cluster.violate("the hub %s holds more than it may: %+v", h.Name(), held)
		}
	}
}

// settle waits until every caller has been told something, and no hub owes an answer.
func (m *mailboxes) settle() {
	c := m.cluster
	owes := func() *Host {
		for _, h := range c.hosts {
			if h.parts != nil && len(h.parts.asking) > 0 {
				return h
			}
		}
		return nil
	}
	for until := c.now + settlesWithin; c.now < until; {
		if m.answered+m.expired+m.ended == m.asked && owes() == nil {
			return
		}
		m.stir()
		c.Run(time.Second)
	}
	if h := owes(); h != nil {
		c.violate("the hub %s has not answered calls %v", h.Name(), slices.Sorted(maps.Keys(h.parts.asking)))
		return
	}
	c.violate("of %d callers %d have not been told anything", m.asked, m.asked-m.answered-m.expired-m.ended)
}

// finish looks at what the log says of calls: each was answered once at most, after it
// was delivered, and none expired that had been answered.
func (m *mailboxes) finish() {
	type way struct{ delivered, answered bool }
	ways := map[domain.StreamID]*way{}
	for i := range m.cluster.truth {
		e := &m.cluster.truth[i]
		if e.Stream.Category() != "relay" {
			continue
		}
		one := ways[e.Stream]
		if one == nil {
			one = &way{}
			ways[e.Stream] = one
		}
		switch e.Type {
		case (calls.CallDelivered{}).EventType():
			one.delivered = true
		case (calls.CallAnswered{}).EventType():
			if one.answered || !one.delivered {
				m.cluster.violate("%s was answered twice, or without being delivered, at %d", e.Stream, e.Position)
			}
			one.answered = true
		case (calls.CallExpired{}).EventType(), (calls.CallQueued{}).EventType():
			if one.answered {
				m.cluster.violate("%s was answered, and at %d there is %s", e.Stream, e.Position, e.Type)
			}
			// That it was delivered may have been lost before it expired; its answer comes all the same.
			one.delivered = e.Type == (calls.CallExpired{}).EventType()
		}
	}
}
