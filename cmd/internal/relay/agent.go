package relay

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// AgentConfig is what an agent is made with.
type AgentConfig struct {
	Node    domain.NodeID
	Hubs    []string     // addresses
	Token   string       // that the hubs want; empty: none
	Handler http.Handler // answers the calls
	HTTP    *http.Client // nil: one of its own
	Logger  *slog.Logger
	// Poll is how long one poll waits, and Backoff how long the pauses after failures
	// are, from the first to the longest; zero: 25 s, 250 ms and 30 s.
	Poll             time.Duration
	Backoff, Longest time.Duration
}

// The bounds of an agent.
const (
	mailboxTTL    = 90 * time.Second
	maxAtOnce     = 32      // calls that are answered at once, of all hubs
	maxFromHub    = 4 << 20 // bytes of one answer of a hub
	answersWithin = 10 * time.Second
)

// Agent takes the calls to a node out of its mailboxes at hubs.
type Agent struct {
	config AgentConfig
	places chan struct{} // of calls that are answered
}

// NewAgent makes an agent. Addresses that are none are an error here.
func NewAgent(config AgentConfig) (*Agent, error) {
	if config.HTTP == nil {
		config.HTTP = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	bounded := *config.HTTP
	bounded.Transport = boundedAnswers{config.HTTP.Transport}
	config.HTTP = &bounded
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Poll == 0 {
		config.Poll = longestWait
	}
	if config.Backoff == 0 {
		config.Backoff, config.Longest = 250*time.Millisecond, 30*time.Second
	}
	a := &Agent{config: config, places: make(chan struct{}, maxAtOnce)}
	for _, hub := range config.Hubs {
		if _, err := a.client(hub); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *Agent) client(hub string) (*transport.Client, error) {
	return transport.NewClient(hub, [][]transport.Route{transport.RoutesOf([]transport.Area{wire.Area()})},
		transport.WithToken(a.config.Token), transport.WithActor(string(a.config.Node)), transport.WithRetries(0, 0), transport.WithHTTP(a.config.HTTP))
}

// Run takes calls from every hub until ctx ends. A hub that does not answer is
// asked again, for ever.
func (a *Agent) Run(ctx context.Context) error {
	var hubs sync.WaitGroup
	for _, address := range a.config.Hubs {
		hub, err := a.client(address)
		if err != nil {
			return err
		}
		hubs.Go(func() { a.attend(ctx, hub, a.config.Logger.With("hub", address)) })
	}
	hubs.Wait()
	return nil
}

// attend keeps the mailbox at one hub.
func (a *Agent) attend(ctx context.Context, hub *transport.Client, logger *slog.Logger) {
	var calls sync.WaitGroup
	defer calls.Wait()
	pause, registered, told := a.config.Backoff, false, false
	for ctx.Err() == nil {
		var err error
		if !registered {
			err = do(ctx, hub, wire.Register{NodeID: a.config.Node, TTL: domain.Seconds(mailboxTTL.Seconds())}, "relay.register", nil)
		}
		if err == nil {
			if !registered {
				logger.Info("registered with a hub", "node", a.config.Node)
				registered = true
			}
			if err = a.round(ctx, hub, &calls); err == nil {
				pause, told = a.config.Backoff, false
				continue
			}
		}
		if ctx.Err() != nil {
			return
		}
		if !told {
			logger.Warn("a hub gives no calls; it is asked again until it does", "error", err)
			told = true
		}
		registered = false // what it had given before is to be given again
		if !sleep(ctx, pause/2+rand.N(pause/2+1)) {
			return
		}
		pause = min(2*pause, a.config.Longest)
	}
}

// sleep waits; false: ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// do makes a call of a hub and reads its answer.
func do(ctx context.Context, hub *transport.Client, ask any, name string, answer any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return domain.Errorf(domain.Internal, "%s: %w", name, err)
	}
	receipt, err := hub.DoJSON(ctx, name, body)
	if err != nil || answer == nil {
		return err
	}
	if err := receipt.Into(answer); err != nil {
		return domain.Errorf(domain.Unavailable, "%s: want the answer of a hub: %w", name, err)
	}
	return nil
}

// round polls once and has what comes answered. It asks for no more than there are
// places for, and takes no more.
func (a *Agent) round(ctx context.Context, hub *transport.Client, calls *sync.WaitGroup) error {
	select {
	case a.places <- struct{}{}:
		<-a.places
	case <-ctx.Done():
		return ctx.Err()
	}
	free := min(cap(a.places)-len(a.places), maxDelivered)
	wait := domain.Seconds(a.config.Poll.Seconds())
	within, cancel := context.WithTimeout(ctx, a.config.Poll+answersWithin)
	defer cancel()
	var polled wire.Polled
	if err := do(within, hub, wire.Poll{NodeID: a.config.Node, Wait: &wait, Max: max(free, 1)}, "relay.poll", &polled); err != nil {
		return err
	}
	if len(polled.Calls) > max(free, 1) {
		return domain.Errorf(domain.TooMany, "want at most %d calls from a hub, found %d; none was taken", max(free, 1), len(polled.Calls))
	}
	for _, one := range polled.Calls {
		select {
		case a.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		calls.Go(func() {
			defer func() { <-a.places }()
			a.answer(ctx, hub, one)
		})
	}
	return nil
}

// answer has a call answered and brings the answer back, again while the call has
// time. What cannot be brought back is delivered again once the node registers.
func (a *Agent) answer(ctx context.Context, hub *transport.Client, one wire.Delivery) {
	left := min(max(time.Until(one.Deadline), time.Second), longestKeep)
	within, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	result := wire.Result{NodeID: a.config.Node, CallID: one.CallID, Response: a.run(within, one)}
	for pause := a.config.Backoff; ; pause = min(2*pause, a.config.Longest) {
		err := do(within, hub, result, "relay.result", nil)
		if err == nil {
			return
		}
		if !transport.CodeOf(err).Retryable() || !sleep(within, pause) {
			a.config.Logger.Warn("the answer to a call was not taken", "call", one.CallID, "error", err)
			return
		}
	}
}

// boundedAnswers bounds what is read of one answer: a hub that floods fills no memory.
type boundedAnswers struct{ next http.RoundTripper }

// RoundTrip makes a request.
func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err == nil {
		response.Body = &boundedBody{response.Body, maxFromHub}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errFlood = errors.New("the answer is longer than a hub may send")

// Read reads up to the bound.
func (b *boundedBody) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errFlood
	}
	n, err := b.ReadCloser.Read(into[:min(len(into), b.left)])
	b.left -= n
	return n, err
}
