package relay

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/ringrift/rift/cmd/internal/peer"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// AgentConfig configures an agent.
type AgentConfig struct {
	Node    domain.NodeID
	Hubs    []string     // addresses
	Token   string       // the token that the hubs require; empty: none
	HTTP    *http.Client // calls hubs; nil: a client of its own
	Handler http.Handler // answers the calls
	Logger  *slog.Logger
	// Poll is how long one poll waits. Backoff and Longest are the first and the longest
	// pause after a failure. Zero: 25 s, 250 ms and 30 s.
	Poll             time.Duration
	Backoff, Longest time.Duration
}

// The bounds of an agent.
const (
	mailboxTTL    = 90 * time.Second
	maxAtOnce     = 32 // calls of all hubs together that are answered at the same time
	answersWithin = 10 * time.Second
)

// Agent takes the calls to its node from the node's mailboxes at hubs, and answers them.
type Agent struct {
	config AgentConfig
	caller peer.Caller
	places chan struct{} // one token for each call that is being answered
}

// NewAgent makes an agent. An address of a hub that is not valid is an error.
func NewAgent(config AgentConfig) (*Agent, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Poll == 0 {
		config.Poll = longestWait
	}
	if config.Backoff == 0 {
		config.Backoff, config.Longest = 250*time.Millisecond, 30*time.Second
	}
	a := &Agent{config: config, caller: peer.Caller{Node: config.Node, Token: config.Token, HTTP: config.HTTP}.Filled(), places: make(chan struct{}, maxAtOnce)}
	for _, hub := range config.Hubs {
		if _, err := a.client(hub); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *Agent) client(hub string) (*transport.Client, error) { return a.caller.New(hub, wire.Area()) }

// Run takes calls from every hub until ctx ends. It retries a hub that does not answer
// without end.
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

// attend registers the node at one hub and takes calls from its mailbox there until ctx
// ends.
func (a *Agent) attend(ctx context.Context, hub *transport.Client, logger *slog.Logger) {
	var calls sync.WaitGroup
	defer calls.Wait()
	registered, told := false, false
	pauses := peer.Backoff{First: a.config.Backoff, Longest: a.config.Longest}
	for ctx.Err() == nil {
		var err error
		if !registered {
			err = peer.Call(ctx, hub, "relay.register", wire.Register{NodeID: a.config.Node, TTL: domain.Seconds(mailboxTTL.Seconds())}, nil)
		}
		if err == nil {
			if !registered {
				logger.Info("registered with a hub", "node", a.config.Node)
				registered = true
			}
			if err = a.round(ctx, hub, &calls); err == nil {
				pauses.Reset()
				told = false
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
		registered = false // register again, so that calls that were delivered but not answered are delivered again
		if !pauses.Wait(ctx) {
			return
		}
	}
}

// round polls a hub once and begins to answer the calls that it returns. It asks for no
// more calls than there is room to answer, and refuses an answer with more.
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
	if err := peer.Call(within, hub, "relay.poll", wire.Poll{NodeID: a.config.Node, Wait: &wait, Max: max(free, 1)}, &polled); err != nil {
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

// answer runs a call and sends the answer to the hub, with retries until the deadline of
// the call. A call whose answer could not be sent is delivered again when the node
// registers.
func (a *Agent) answer(ctx context.Context, hub *transport.Client, one wire.Delivery) {
	left := min(max(time.Until(one.Deadline), time.Second), longestKeep)
	within, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	result := wire.Result{NodeID: a.config.Node, CallID: one.CallID, Response: a.run(within, one)}
	for pauses := (peer.Backoff{First: a.config.Backoff, Longest: a.config.Longest}); ; {
		err := peer.Call(within, hub, "relay.result", result, nil)
		if err == nil {
			return
		}
		if !transport.CodeOf(err).Retryable() || !pauses.Wait(within) {
			a.config.Logger.Warn("the answer to a call was not taken", "call", one.CallID, "error", err)
			return
		}
	}
}
