package membership

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/swim"
	wire "github.com/ringrift/rift/transport/swim"
)

// Opinions is what this node thinks of the members, by what the failure detector tells
// it, and who makes events of that. It probes nobody. It is safe for use by many
// goroutines.
type Opinions struct {
	config  Config
	limit   time.Duration // of a suspicion, times the logarithm of the members
	knows   func(name string, address *url.URL)
	forgets func(name string)

	mu       sync.Mutex
	known    map[string]*known
	probes   wire.Probes
	suspects uint64
	wake     chan struct{}
}

// known is what this node knows of a member.
type known struct {
	state     swim.State
	since     time.Time
	address   string
	rtt       time.Duration
	answered  time.Time
	suspected uint64
	goes      bool   // it said that it leaves
	reported  string // the last edge that became a command
}

// NewOpinions makes those of a node that has heard of nobody.
func NewOpinions(config Config) *Opinions {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Opinions{
		config: config, limit: limitOf(memberlist.DefaultLANConfig()), known: map[string]*known{}, wake: make(chan struct{}, 1),
		knows: func(string, *url.URL) {}, forgets: func(string) {},
	}
}

// limitOf is for how long a suspicion may last.
func limitOf(tune *memberlist.Config) time.Duration {
	return time.Duration(tune.SuspicionMult*tune.SuspicionMaxTimeoutMult) * tune.ProbeInterval
}

// NotifyAlive refuses members whose names or addresses nobody may have, and more
// than there is room for.
func (o *Opinions) NotifyAlive(n *memberlist.Node) error {
	if err := domain.CheckName(n.Name); err != nil {
		return domain.Errorf(domain.Invalid, "member %q: %w", domain.Clip(n.Name, 64), err)
	}
	if _, _, err := readMeta(n.Meta); err != nil {
		return domain.Errorf(domain.Invalid, "member %s: %w", n.Name, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known[n.Name] == nil && len(o.known) >= maxMembers {
		return domain.Errorf(domain.TooMany, "want at most %d members", maxMembers)
	}
	return nil
}

// readMeta reads what a member says of itself.
func readMeta(encoded []byte) (*url.URL, bool, error) {
	var said meta
	if err := json.Unmarshal(encoded, &said); err != nil {
		return nil, false, domain.Errorf(domain.Invalid, "want an address, found %q", domain.Clip(string(encoded), 64))
	}
	address, err := url.Parse(said.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" || address.User != nil || address.RawQuery != "" {
		return nil, false, domain.Errorf(domain.Invalid, "want an http address, found %q", domain.Clip(said.URL, 64))
	}
	return address, said.Goes, nil
}

// of gives what is known of a member. The lock is held.
func (o *Opinions) of(name string) *known {
	k := o.known[name]
	if k == nil {
		k = &known{}
		o.known[name] = k
	}
	return k
}

// become changes the state of a member. The lock is held.
func (o *Opinions) become(k *known, state swim.State) {
	if k.state == state {
		return
	}
	k.state, k.since = state, o.config.Now()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// NotifyJoin is told of a member that came, or came back.
func (o *Opinions) NotifyJoin(n *memberlist.Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.of(n.Name)
	o.heed(n, k)
	o.become(k, swim.SwimAlive)
}

// heed takes over what a member says of itself. The lock is held.
func (o *Opinions) heed(n *memberlist.Node, k *known) {
	address, goes, err := readMeta(n.Meta)
	if err != nil {
		return
	}
	k.address, k.goes = address.String(), goes
	o.knows(n.Name, address)
}

// NotifyUpdate is told of a member that says something else of itself.
func (o *Opinions) NotifyUpdate(n *memberlist.Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heed(n, o.of(n.Name))
}

// NotifyLeave is told of a member that is dead, or left.
func (o *Opinions) NotifyLeave(n *memberlist.Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.of(n.Name)
	if k.goes {
		o.become(k, swim.SwimLeft)
	} else {
		o.become(k, swim.SwimDead)
	}
}

// NotifyPingComplete is told of a member that answered a probe of this node.
func (o *Opinions) NotifyPingComplete(n *memberlist.Node, rtt time.Duration, _ []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.of(n.Name)
	k.rtt, k.answered = rtt, o.config.Now()
	if k.state == swim.SwimSuspect {
		o.become(k, swim.SwimAlive)
	}
	took := float64(rtt) / float64(time.Millisecond)
	mean := took
	if o.probes.MeanRTT != nil {
		mean = *o.probes.MeanRTT + (took-*o.probes.MeanRTT)/64
	}
	o.probes.Answered++
	o.probes.LastRTT, o.probes.MeanRTT = &took, &mean
}

// Suspect is told of a member that answered no probe of this node.
func (o *Opinions) Suspect(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.known[name]
	if k == nil || k.state != swim.SwimAlive {
		return
	}
	k.suspected++
	o.suspects++
	o.become(k, swim.SwimSuspect)
}
