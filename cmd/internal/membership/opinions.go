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

// Opinions holds the states of the members as the failure detector reports them, and
// reports their changes as events. It sends no probes. It is safe for use by many
// goroutines.
type Opinions struct {
	config  Config
	limit   time.Duration // longest suspicion for up to ten members; it grows with their logarithm
	knows   func(name string, address *url.URL)
	forgets func(name string)

	mu       sync.Mutex
	known    map[string]*known
	probes   wire.Probes
	suspects uint64
	wake     chan struct{}
}

// known is the state of a member.
type known struct {
	state     swim.State
	since     time.Time
	address   string
	rtt       time.Duration
	answered  time.Time
	suspected uint64
	goes      bool   // it announced that it is leaving
	reported  string // the kind of the last edge that was reported
}

// NewOpinions returns the opinions of a node that knows no members.
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

// limitOf returns the longest time that a suspicion can last in a cluster of up to ten
// members.
func limitOf(tune *memberlist.Config) time.Duration {
	return time.Duration(tune.SuspicionMult*tune.SuspicionMaxTimeoutMult) * tune.ProbeInterval
}

// NotifyAlive refuses members with an invalid name or address, and members beyond
// maxMembers.
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

// readMeta decodes the metadata of a member: its address, and whether it is leaving.
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

// of returns the state of a member, which it adds if need be. The lock is held.
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

// NotifyJoin notes a member that has joined, or is back.
func (o *Opinions) NotifyJoin(n *memberlist.Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.of(n.Name)
	o.heed(n, k)
	o.become(k, swim.SwimAlive)
}

// heed takes over the metadata of a member. The lock is held.
func (o *Opinions) heed(n *memberlist.Node, k *known) {
	address, goes, err := readMeta(n.Meta)
	if err != nil {
		return
	}
	k.address, k.goes = address.String(), goes
	o.knows(n.Name, address)
}

// NotifyUpdate notes that the metadata of a member changed.
func (o *Opinions) NotifyUpdate(n *memberlist.Node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heed(n, o.of(n.Name))
}

// NotifyLeave notes a member that is dead, or has left.
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

// NotifyPingComplete notes a member that answered a probe of this node.
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

// Suspect notes a member that did not answer the probes of this node.
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
