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

// The numbers and times of relayed calls in a simulation.
const (
	behindHubs   = 2 // nodes that cannot be called
	callsEach    = 6 // calls after each fault, through the same hub at first
	callsWithin  = 500 * time.Millisecond
	callWaits    = 8 * time.Second
	callKept     = 60 * time.Second
	pollWaits    = 5 * time.Second
	answersAfter = 10 * time.Second // added to the wait of a request until its caller gives up
	mailboxTTL   = 90 * time.Second
	// settlesWithin bounds the time after Heal until every call has ended.
	settlesWithin = 5 * time.Minute
)

// smallHub makes hubs full, so that they refuse calls.
var smallHub = wire.Limits{Mailboxes: 8, Polls: 2, NodeCalls: 2, NodeBytes: 4 << 10, Calls: 3, Bytes: 6 << 10}

// mailboxes is the relay: every node is a hub for the agents, which cannot be called, and
// callers call the agents through the hubs.
type mailboxes struct {
	*services
	agents   []*agent
	lines    []string // the results of Cluster.Call, for Show
	asked    int
	answered int
	expired  int
	refused  int // attempts, because a hub was full
	ended    int // calls that failed for another reason
}

// hub is the hub of one node.
type hub struct {
	*relay.Hub
	asking map[int]time.Duration // when each unanswered call arrived, by its number
}

// Stop ends every wait at the hub.
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

// start makes every agent poll every hub.
func (m *mailboxes) start() {
	for _, a := range m.agents {
		for _, h := range m.cluster.hosts {
			m.begin(nil, func() { a.attend(h) })
		}
	}
}

// agent is a node that cannot be called. It uses the network links of the node at place,
// and answers a repeated key without doing the call again.
type agent struct {
	*mailboxes
	node  domain.NodeID
	place int
	done  map[string]calls.Response // by key
	taken map[string]bool           // delivered calls, by registration, id and deadline
	lives int
}

func (a *agent) caller() transport.Caller { return transport.Caller{Key: string(a.node)} }

// attend registers at a hub and polls it, as a node's agent does.
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

// take answers a call and sends the answer to the hub.
func (a *agent) take(at *Host, registered string, one wire.Delivery) {
	// The same call after it expired has another deadline.
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

// burst starts callsEach calls, through the same hub at first.
func (m *mailboxes) burst() {
	first := m.cluster.hosts[m.random.IntN(len(m.cluster.hosts))]
	for range callsEach {
		m.after(m.upTo(callsWithin), func() { m.call(m.random.IntN(len(m.cluster.hosts)), first) })
	}
}

// call calls an agent from a place, and retries through other hubs until the call is
// answered, is refused, or is older than callKept.
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

// forward tries a call once, through one hub.
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

// check checks that hubs keep their limits.
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

// settle waits until every call has ended and no hub has an unanswered one.
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
		m.keepRunning()
		c.Run(time.Second)
	}
	if h := owes(); h != nil {
		c.violate("the hub %s has not answered calls %v", h.Name(), slices.Sorted(maps.Keys(h.parts.asking)))
		return
	}
	c.violate("of %d callers %d have not been told anything", m.asked, m.asked-m.answered-m.expired-m.ended)
}

// finish checks the relay's events in the log: a call is answered at most once, after it
// was delivered, and does not expire after its answer.
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
			// The CALL_DELIVERED of a call that expired may be lost; its answer may still come.
			one.delivered = e.Type == (calls.CallExpired{}).EventType()
		}
	}
}
