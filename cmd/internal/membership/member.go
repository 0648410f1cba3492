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

// Config configures a member.
type Config struct {
	Node    domain.NodeID
	Cluster string   // packets of other clusters are refused
	Address string   // of this node for others, such as http://10.0.0.5:8770
	Join    []string // addresses of members
	Secrets []string // tokens that only nodes have; the first encrypts; none: nothing is encrypted
	TLS     *tls.Config

	Backend transport.Backend // runs the commands of edges; nil: no edge is reported
	Leads   func() bool       // nil: this node does
	// Heard is called for members that are alive. LastHeard returns when a node last gave
	// any sign of life. Both may be nil.
	Heard     func(domain.NodeID)
	LastHeard func(domain.NodeID) time.Time

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger
	Tune   func(*memberlist.Config) // for tests; nil: the settings of memberlist for a LAN
}

// The bounds and times of a member.
const (
	maxMembers   = 4096
	forgetAfter  = time.Hour              // for members that are dead or have left
	lookEvery    = 500 * time.Millisecond // between two calls of Look
	rejoin       = 30 * time.Second       // between two attempts to join addresses that are not members
	leaveWithin  = time.Second
	seedWithin   = 5 * time.Second
	firstJoin    = 200 * time.Millisecond
	longestJoin  = 30 * time.Second
	unwellBefore = 2 * time.Second // age from which on a suspicion becomes an edge
)

// Member is this node as a member of the cluster.
type Member struct {
	*Opinions
	link *link
	list *memberlist.Memberlist

	leaving bool // guarded by mu of Opinions, as are the fields below
	refuted uint64
	joins   wire.Joins
	ended   sync.Once
}

// meta is the metadata that a member sends to the others.
type meta struct {
	URL  string `json:"u"`
	Goes bool   `json:"g,omitempty"` // it is leaving
}

// New returns a member that has not joined the others. Run joins them, and leaves when it
// ends.
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

// keyring derives a key from each secret, so that a key that leaked does not reveal the
// token.
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

// advertised parses the address of this node. It has to be one that others can call.
func advertised(address string) (own *url.URL, ip net.IP, port int, err error) {
	own, err = url.Parse(address)
	if err != nil || own.Host == "" || own.Scheme != "http" && own.Scheme != "https" {
		return nil, nil, 0, domain.Errorf(domain.Invalid, "address %q: want one of this node that others can call, such as http://10.0.0.5:8770", address)
	}
	parsed, failed := netip.ParseAddr(own.Hostname())
	if failed != nil || parsed.IsUnspecified() {
		// Members are called at their URLs, so any IP address does for the library.
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

// Run joins the other members and reports edges until ctx ends. Then it leaves.
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
			// The member ends even if no other member can be notified.
			_ = m.list.UpdateNode(leaveWithin)
			_ = m.list.Leave(leaveWithin)
		}
	})
}

// Kill ends the member without notifying the others, as a crash does. It is for tests.
func (m *Member) Kill() error { return m.end(func() {}) }

// end calls lastWords and shuts the member down, once.
func (m *Member) end(lastWords func()) (err error) {
	m.ended.Do(func() {
		lastWords()
		err = errors.Join(m.list.Shutdown(), m.link.Shutdown())
	})
	return err
}

// join joins the addresses of Config.Join that are not members yet, with pauses of up to
// longestJoin while this node is alone and every rejoin otherwise, until ctx ends.
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

// missing returns the addresses that are to be joined and are not members yet, as
// host:port.
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
