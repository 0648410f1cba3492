package clustersim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	random "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ringrift/rift/cmd/internal/agenda"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// Start is the moment at which every cluster begins.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Raft's time. The library would wait for votes for another up to Election ticks, drawn
// from the system; here ticks themselves are drawn.
const (
	tick    = 100 * time.Millisecond
	beats   = 2
	timeout = 10
	// Raft's time runs for stirred after something changed, and for longest at most
	// while messages are lost or nobody leads: then nothing comes of it any more.
	stirred = 6 * time.Second
	longest = 30 * time.Second
)

// Config is what a cluster is made of.
type Config struct {
	Seed     uint64
	Voters   []domain.NodeID
	Learners []domain.NodeID
	Kept     int64 // bytes of entries that nodes keep for followers; 0: 64 MiB
	// Node changes what a node is opened with; nil: nothing.
	Node func(*node.Config)

	// Services has what runs beside the log run on the nodes: services.go. With Steady
	// its time never stands still.
	Services, Steady bool

	mutation *mutation // nil: every rule is kept
}

// Cluster is nodes in virtual time.
type Cluster struct {
	config  Config
	catalog *domain.Catalog
	random  *random.Rand
	now     time.Duration // since Start, by no node's clock
	coming  agenda.Agenda[func()]
	members []raftlog.Member
	hosts   []*Host
	net     network
	stirs   time.Duration // Raft's time runs until then,
	aligned time.Duration // nodes tick at the same moments until then
	limit   time.Duration // and not for longer than until then

	truth   []domain.Envelope        // what some node showed, by position
	leaders map[uint64]domain.NodeID // by term
	broken  []string
	counts  Counts
	open    int // calls that are not answered
	told    []told
	probes  []*probe
	steps   int // of clocks
	gaveUp  bool
	change  *replacement  // nil: no node is being replaced
	demoted time.Duration // when somebody asked last that a voter be made a learner
	// demotions are the voters that were, and that are not known to vote again.
	demotions map[*Host]bool

	services *services // nil: none

	// observe is shown each event when the first node shows it; nil: nobody.
	observe func(*domain.Envelope)
}

// Counts are how often things happened.
type Counts struct {
	Messages     int           `json:"messages"`
	Lost         int           `json:"lost"`
	Repeated     int           `json:"repeated"`
	Crashes      int           `json:"crashes"`
	Acknowledged int           `json:"acknowledged"` // events that callers were told of
	Elections    int           `json:"elections"`    // terms that had a leader
	Replaced     int           `json:"replaced"`     // nodes that were lost, removed, and joined again with empty disks
	Copies       int           `json:"copies"`       // attempts to copy records, too far behind for entries
	Services     ServiceCounts `json:"services"`
}

var once sync.Once

// settled has Raft's library draw the same time to wait for votes, whoever asks. It
// reads single bytes for it, and nobody else does.
func settled() {
	once.Do(func() { rand.Reader = evenBytes{rand.Reader} })
}

type evenBytes struct{ io.Reader }

func (r evenBytes) Read(p []byte) (int, error) {
	if len(p) == 1 {
		p[0] = 0
		return 1, nil
	}
	return r.Reader.Read(p)
}

// New opens the nodes of a cluster. Nobody leads yet.
func New(config Config) (*Cluster, error) {
	settled()
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		config: config, catalog: catalog, random: random.New(random.NewPCG(config.Seed, 0x636c7573746572)),
		leaders: map[uint64]domain.NodeID{}, demotions: map[*Host]bool{},
	}
	c.net = network{cluster: c, links: map[link]*path{}}
	for i, name := range slices.Concat(config.Voters, config.Learners) {
		c.members = append(c.members, raftlog.Member{Node: name, Address: "http://" + string(name), Learner: i >= len(config.Voters)})
	}
	for i := range c.members {
		c.hosts = append(c.hosts, newHost(c, i))
	}
	if config.Services {
		c.services = newServices(c, config.Seed)
		c.services.always = config.Steady
		c.services.mail.start()
	}
	for _, h := range c.hosts {
		if err := h.open(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	c.Stir()
	return c, nil
}

// Close lets go of every node.
func (c *Cluster) Close() (err error) {
	if c.services != nil {
		c.services.close()
	}
	for _, h := range c.hosts {
		err = errors.Join(err, h.close())
	}
	return err
}

// Now is the true time.
func (c *Cluster) Now() time.Time { return Start.Add(c.now) }

// Hosts are the nodes, voters first.
func (c *Cluster) Hosts() []*Host { return c.hosts }

// Host finds a node by its name; "leader" is whoever leads.
func (c *Cluster) Host(name string) *Host {
	if name == "leader" {
		return c.Leader()
	}
	for _, h := range c.hosts {
		if string(h.member.Node) == name {
			return h
		}
	}
	return nil
}

// Leader is the node that leads in the newest term that has a leader which is up; nil:
// none.
func (c *Cluster) Leader() (leader *Host) {
	newest := uint64(0)
	for _, h := range c.hosts {
		if !h.up() {
			continue
		}
		if now := h.log.Standing(); now.Leads && now.Term >= newest {
			leader, newest = h, now.Term
		}
	}
	return leader
}

// Truth is what nodes showed, by position.
func (c *Cluster) Truth() []domain.Envelope { return c.truth }

// Counts are how often things happened so far.
func (c *Cluster) Counts() Counts { return c.counts }

// Broken says which rules were broken.
func (c *Cluster) Broken() []string { return c.broken }

// maxBroken bounds the violations that are kept in words.
const maxBroken = 20

func (c *Cluster) violate(format string, args ...any) {
	if len(c.broken) < maxBroken {
		c.broken = append(c.broken, fmt.Sprintf("after %v: ", c.now.Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

func (c *Cluster) after(d time.Duration, do func()) { c.coming.Put(c.now+d, do) }

// Stir lets Raft's time run for a while: something changed.
func (c *Cluster) Stir() {
	c.limit = c.now + longest
	c.stir(stirred)
	if c.services != nil {
		c.services.stir()
	}
}

// stir lets Raft's time run on, within the limit.
func (c *Cluster) stir(d time.Duration) {
	if until := min(c.now+d, c.limit); until > c.stirs {
		c.stirs = until
		for _, h := range c.hosts {
			h.wind()
		}
	}
}

// Run lets a time pass.
func (c *Cluster) Run(d time.Duration) { c.until(c.now+d, func() bool { return false }) }

// Until lets time pass until something holds, and tells whether it did within a time.
func (c *Cluster) Until(within time.Duration, holds func() bool) bool {
	return c.until(c.now+within, holds)
}

func (c *Cluster) until(end time.Duration, holds func() bool) bool {
	for !holds() && !c.restless() {
		at, comes := c.coming.Next()
		if !comes || at > end {
			c.now = max(c.now, end)
			return holds()
		}
		var do func()
		at, do = c.coming.Take()
		c.now = max(c.now, at)
		do()
	}
	return true
}

// maxMessages bounds what nodes send each other in a seed, which is some ten thousand.
const maxMessages = 500_000

// restless tells that nodes do not stop to send each other messages.
func (c *Cluster) restless() bool {
	if c.counts.Messages < maxMessages {
		return false
	}
	if !c.gaveUp {
		c.gaveUp = true
		c.violate("the nodes sent each other %d messages and come to no rest", c.counts.Messages)
	}
	return true
}

// quiet tells whether Raft's time may stand still: whoever can be led is.
func (c *Cluster) quiet() bool {
	var up []*Host
	voters := 0
	for _, h := range c.hosts {
		if !h.member.Learner {
			voters++
		}
		if h.awake() && !h.member.Learner && !c.net.alone(h) {
			up = append(up, h)
		}
	}
	if len(up) <= voters/2 {
		return true // nothing comes of it before something changes
	}
	leader := c.Leader()
	return leader != nil && leader.awake() && !c.net.alone(leader)
}
