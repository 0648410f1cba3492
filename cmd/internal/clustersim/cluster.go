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

// Start is the true time at which every cluster begins.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Raft's ticks. The library randomizes its election timeout by the system's random
// source, which settled turns off; the length of each tick is drawn from the seed instead.
const (
	tick           = 100 * time.Millisecond
	heartbeatTicks = 2
	electionTicks  = 10
	// Nodes tick for tickingFor after something changed, and on for tickingMax at most
	// while messages are lost or nobody leads.
	tickingFor = 6 * time.Second
	tickingMax = 30 * time.Second
)

// Config says what nodes a cluster has and how they run.
type Config struct {
	Seed     uint64
	Voters   []domain.NodeID
	Learners []domain.NodeID
	Kept     int64 // bytes of entries that nodes keep for followers; 0: 64 MiB
	// Node changes the configuration that a node is opened with; nil: no change.
	Node func(*node.Config)

	// Services starts the services (services.go) on the nodes. With Steady their time
	// never stops.
	Services, Steady bool

	mutation *mutation // nil: none
}

// Cluster runs nodes in virtual time.
type Cluster struct {
	config     Config
	catalog    *domain.Catalog
	random     *random.Rand
	now        time.Duration // true time since Start
	coming     agenda.Agenda[func()]
	members    []raftlog.Member
	hosts      []*Host
	net        network
	ticksUntil time.Duration // nodes tick until then
	aligned    time.Duration // nodes tick at the same moments until then
	ticksLimit time.Duration // ticksUntil is not moved past it

	truth            []domain.Envelope        // the log, as the first node to apply each position has it
	leaders          map[uint64]domain.NodeID // by term
	broken           []string
	counts           Counts
	open             int // calls without an answer
	acknowledgements []acknowledgement
	probes           []*probe
	steps            int // how often a wall clock was stepped
	gaveUp           bool
	change           *replacement  // nil: no node is being replaced
	demoted          time.Duration // time of the last request to demote a voter
	// demotions are the demoted voters that are not known to be voters again.
	demotions map[*Host]bool

	services *services // nil: none

	// observe is called with each event that is added to truth; nil: not at all.
	observe func(*domain.Envelope)
}

// Counts counts what happened in a run.
type Counts struct {
	Messages     int           `json:"messages"`
	Lost         int           `json:"lost"`
	Repeated     int           `json:"repeated"`
	Crashes      int           `json:"crashes"`
	Acknowledged int           `json:"acknowledged"` // events
	Elections    int           `json:"elections"`    // terms that had a leader
	Replaced     int           `json:"replaced"`     // nodes that lost their disks and joined again
	Copies       int           `json:"copies"`       // of records, by nodes too far behind for entries
	Services     ServiceCounts `json:"services"`
}

var once sync.Once

// settled makes Raft's library use the same election timeout on every node. It draws the
// timeout from single bytes of crypto/rand, which nothing else reads one by one.
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

// New opens the nodes of a cluster. There is no leader yet.
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
	c.KeepTicking()
	return c, nil
}

// Close closes every node as if it had crashed.
func (c *Cluster) Close() (err error) {
	if c.services != nil {
		c.services.close()
	}
	for _, h := range c.hosts {
		err = errors.Join(err, h.close())
	}
	return err
}

// Now returns the true time.
func (c *Cluster) Now() time.Time { return Start.Add(c.now) }

// Hosts returns the hosts, voters first.
func (c *Cluster) Hosts() []*Host { return c.hosts }

// Host returns the host of that name, or of the current leader for "leader"; nil: none.
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

// Leader returns the node that is up and leads in the newest term; nil: none.
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

// Counts returns the counts so far.
func (c *Cluster) Counts() Counts { return c.counts }

// Broken returns the violations so far, maxBroken at most.
func (c *Cluster) Broken() []string { return c.broken }

// maxBroken bounds the violations that are kept.
const maxBroken = 20

func (c *Cluster) violate(format string, args ...any) {
	if len(c.broken) < maxBroken {
		c.broken = append(c.broken, fmt.Sprintf("after %v: ", c.now.Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

func (c *Cluster) after(d time.Duration, do func()) { c.coming.Put(c.now+d, do) }

// KeepTicking lets nodes and services tick for a while, because something changed.
func (c *Cluster) KeepTicking() {
	c.ticksLimit = c.now + tickingMax
	c.tickFor(tickingFor)
	if c.services != nil {
		c.services.keepRunning()
	}
}

// tickFor lets nodes tick for another d, up to the limit.
func (c *Cluster) tickFor(d time.Duration) {
	if until := min(c.now+d, c.ticksLimit); until > c.ticksUntil {
		c.ticksUntil = until
		for _, h := range c.hosts {
			h.planTick()
		}
	}
}

// Run advances virtual time by d.
func (c *Cluster) Run(d time.Duration) { c.until(c.now+d, func() bool { return false }) }

// Until advances virtual time until holds returns true, by within at most, and reports
// whether it did.
func (c *Cluster) Until(within time.Duration, holds func() bool) bool {
	return c.until(c.now+within, holds)
}

func (c *Cluster) until(end time.Duration, holds func() bool) bool {
	for !holds() && !c.tooManyMessages() {
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

// maxMessages bounds the messages of a run, of which there usually are some ten thousand.
const maxMessages = 500_000

// tooManyMessages reports whether the bound is reached, which is a violation.
func (c *Cluster) tooManyMessages() bool {
	if c.counts.Messages < maxMessages {
		return false
	}
	if !c.gaveUp {
		c.gaveUp = true
		c.violate("the nodes sent each other %d messages and come to no rest", c.counts.Messages)
	}
	return true
}

// quiet reports whether ticks may stop: a leader is up and reaches a majority, or no
// majority is up, so that ticks change nothing.
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
		return true
	}
	leader := c.Leader()
	return leader != nil && leader.awake() && !c.net.alone(leader)
}
