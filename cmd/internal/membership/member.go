package membership

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/cmd/internal/peer"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/swim"
)

// Config is what a member is made with.
type Config struct {
	Node    domain.NodeID
	Cluster string   // packets of another one are refused
	Address string   // of this node, as others call it: http://10.0.0.5:8770
	Join    []string // addresses of members
	Secrets []string // tokens that nodes alone have, the first to encrypt with; none: nothing is encrypted
	TLS     *tls.Config

	Backend transport.Backend // runs the commands that edges become; nil: none do
	Leads   func() bool       // nil: this node does
	// Heard is told of members that are alive, and LastHeard knows when a node gave a
	// sign of life in any way; nil: nobody wants to know, nobody knows.
	Heard     func(domain.NodeID)
	LastHeard func(domain.NodeID) time.Time

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger
	Tune   func(*memberlist.Config) // for tests; nil: what memberlist has for a LAN
}

// The bounds and times of a member.
const (
	maxMembers   = 4096
	forgetAfter  = time.Hour              // members that are dead or left
	lookEvery    = 500 * time.Millisecond // between two looks at edges
	rejoin       = 30 * time.Second       // between two looks for members that are to be joined
	leaveWithin  = time.Second
	seedWithin   = 5 * time.Second
	firstJoin    = 200 * time.Millisecond
	longestJoin  = 30 * time.Second
	unwellBefore = 2 * time.Second // a suspicion becomes an edge
)

// Member is this node among the others.
type Member struct {
	*Opinions
	link *link
	list *memberlist.Memberlist

	leaving bool // mu of the opinions guards it, and what follows
	refuted uint64
	joins   wire.Joins
	ended   sync.Once
}

// meta is what a member says of itself.
type meta struct {
	URL  string `json:"u"`
	Goes bool   `json:"g,omitempty"` // it leaves
}

// New makes a member that has joined nobody yet. Run ends it.
func New(config Config) (*Member, error) {
	own, ip, port, err := advertised(config.Address)
	if err != nil {
		return nil, err
	}
	m := &Member{Opinions: NewOpinions(config), link: newLink(config.Cluster, own, ip, port)}
	config = m.config
	m.knows, m.forgets = m.link.know, m.link.forget
	m.link.trust(config.TLS)
	tune := memberlist.DefaultLANConfig()
	tune.Name, tune.Transport, tune.Label = string(config.Node), m.link, config.Cluster
	tune.Delegate, tune.Events, tune.Ping, tune.Alive, tune.Conflict = m, m, m, m, m
	tune.Logger = log.New(logLines{m}, "", 0)
	tune.DeadNodeReclaimTime = 10 * time.Second
	if tune.Keyring, err = keyring(config.Secrets); err != nil {
		return nil, err
	}
	if config.Tune != nil {
		config.Tune(tune)
	}
	m.limit = limitOf(tune)
	if m.list, err = memberlist.Create(tune); err != nil {
		return nil, errors.Join(domain.Errorf(domain.Unavailable, "membership: %w", err), m.link.Shutdown())
	}
	return m, nil
}

// keyring makes a key of each secret. One that leaked tells nothing of its token.
func keyring(secrets []string) (*memberlist.Keyring, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	var keys [][]byte
	for _, secret := range secrets {
		sum := sha256.Sum256([]byte("rift membership\x00" + secret))
		keys = append(keys, sum[:])
	}
	ring, err := memberlist.NewKeyring(keys, keys[0])
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "membership: %w", err)
	}
	return ring, nil
}

// advertised reads the address of this node. It has to be one that others can call.
func advertised(address string) (own *url.URL, ip net.IP, port int, err error) {
	own, err = url.Parse(address)
	if err != nil || own.Host == "" || own.Scheme != "http" && own.Scheme != "https" {
		return nil, nil, 0, domain.Errorf(domain.Invalid, "address %q: want one of this node that others can call, such as http://10.0.0.5:8770", address)
	}
	parsed, failed := netip.ParseAddr(own.Hostname())
	if failed != nil || parsed.IsUnspecified() {
		// Members are told apart by their URLs; the rest is for the library alone.
		if failed == nil {
			return nil, nil, 0, domain.Errorf(domain.Invalid, "address %q: want one that others can call", address)
		}
		parsed = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if port, _ = strconv.Atoi(own.Port()); port == 0 {
		port = map[string]int{"http": 80, "https": 443}[own.Scheme]
	}
	return own, parsed.AsSlice(), port, nil
}

// Run joins, looks after members and reports edges until ctx ends; then it leaves.
func (m *Member) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { m.join(ctx) })
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ticker.C:
		case <-m.wake:
		case <-ctx.Done():
		}
		m.Look(ctx)
	}
	parts.Wait()
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	return m.end(func() {
		if m.list.NumMembers() > 1 {
			// Nobody to tell is nothing to fail for.
			_ = m.list.UpdateNode(leaveWithin)
			_ = m.list.Leave(leaveWithin)
		}
	})
}

// Kill ends the member without a word to the others, as a crash does. It is for tests.
func (m *Member) Kill() error { return m.end(func() {}) }

// end ends the member, once, after its last words.
func (m *Member) end(lastWords func()) (err error) {
	m.ended.Do(func() {
		lastWords()
		err = errors.Join(m.list.Shutdown(), m.link.Shutdown())
	})
	return err
}

// join joins the others, again and again until one is there, and again when one of
// them is none of the members.
func (m *Member) join(ctx context.Context) {
	pauses := peer.Backoff{First: firstJoin, Longest: longestJoin}
	for ctx.Err() == nil {
		missing := m.missing(ctx)
		if len(missing) > 0 {
			joined, err := m.list.Join(missing)
			m.joined(joined, err)
		}
		if len(m.config.Join) == 0 || m.list.NumMembers() > 1 {
			pauses = peer.Backoff{First: rejoin, Longest: rejoin}
		} else if pauses.Longest == rejoin && pauses.First == rejoin {
			pauses = peer.Backoff{First: firstJoin, Longest: longestJoin}
		}
		if !pauses.Wait(ctx) {
			return
		}
	}
}

func (m *Member) joined(count int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.joins.Tries++
	m.joins.LastAt = domain.Instant(m.config.Now())
	if count > 0 {
		if m.joins.LastError != "" || m.joins.Tries == 1 {
			m.config.Logger.Info("joined members", "members", count)
		}
		m.joins.LastError = ""
		return
	}
	m.joins.Failed++
	if err != nil {
		if m.joins.LastError == "" {
			m.config.Logger.Warn("no member to join answers; they are asked again until one does", "error", err)
		}
		m.joins.LastError = domain.Clip(err.Error(), 256)
	}
}

// missing lists the hosts that are to be joined and are none of the members.
func (m *Member) missing(ctx context.Context) []string {
	there := map[string]bool{m.link.own.String(): true}
	m.mu.Lock()
	for _, k := range m.known {
		if k.state == swim.SwimAlive || k.state == swim.SwimSuspect {
			there[k.address] = true
		}
	}
	m.mu.Unlock()
	var hosts []string
	for _, address := range m.config.Join {
		u, err := url.Parse(address)
		if err != nil || there[u.String()] {
			continue
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		within, cancel := context.WithTimeout(ctx, seedWithin)
		found, err := net.DefaultResolver.LookupNetIP(within, "ip", u.Hostname())
		cancel()
		if err != nil {
			m.joined(0, err)
			continue
		}
		host := net.JoinHostPort(found[0].Unmap().String(), port)
		m.link.seed(host, u)
		hosts = append(hosts, host)
	}
	return hosts
}

// Packet takes a packet of another member.
func (m *Member) Packet(from string, packet []byte) error { return m.link.took(from, packet) }

// Stream takes a connection of another member.
func (m *Member) Stream(conn net.Conn) error { return m.link.streamed(conn) }

func (m *Member) encodeMeta() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	encoded, err := json.Marshal(meta{URL: m.link.own.String(), Goes: m.leaving})
	if err != nil {
		return nil
	}
	return encoded
}
