package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
)

// The bounds of a report on leaders. What exceeds them is counted in Cluster.Beyond.
const (
	maxReigns    = 10_000
	maxObservers = 256
	maxHeard     = 4096
)

// logItself is the observer's name for the log's own elections.
const logItself = ""

// reignKey identifies an open reign.
type reignKey struct {
	observer string
	leader   domain.NodeID
}

// clusterFold is the state of a report on leaders.
type clusterFold struct {
	reigns   []Reign
	open     map[reignKey]int // index in reigns
	windows  []Disagreement
	disputed bool // the last of the windows is open
	losses   []QuorumLoss
	below    bool // the last of the losses is open
	voters   map[domain.NodeID]*voterFold
	heardOf  map[domain.NodeID]time.Time // time of the last event that each node decided
	changes  []Failover
	leader   domain.NodeID // by the log's elections
	term     uint64
	adopted  int
	minority bool // a quorum below a majority was used
	beyond   int
}

type voterFold struct {
	online  bool
	since   time.Time
	changes int
	offline micros
}

func newClusterFold() *clusterFold {
	return &clusterFold{open: map[reignKey]int{}, voters: map[domain.NodeID]*voterFold{}, heardOf: map[domain.NodeID]time.Time{}}
}

// clusterHandlers are the handlers of a report on leaders, by event type.
var clusterHandlers = func() map[string]func(*Fold, domain.Envelope) {
	table := map[string]func(*Fold, domain.Envelope){}
	on(table, (*Fold).leaderChanged)
	on(table, (*Fold).leadersObserved)
	on(table, (*Fold).healed)
	on(table, func(f *Fold, _ domain.Envelope, _ election.TermAdopted) {
		if f.counted {
			f.cluster.adopted++
		}
	})
	on(table, func(f *Fold, e domain.Envelope, v election.VoterOnline) {
		f.voterTurned(e, v.Voter, true, v.Alive, v.Voters, v.Quorum)
	})
	on(table, func(f *Fold, e domain.Envelope, v election.VoterOffline) {
		f.voterTurned(e, v.Voter, false, v.Alive, v.Voters, v.Quorum)
	})
	return table
}()

// heard records the time of an event for the node that decided it.
func (c *clusterFold) heard(e domain.Envelope) {
	if e.Meta.Node == "" || e.Type == (election.LeaderChanged{}).EventType() {
		return
	}
	node := domain.NodeID(e.Meta.Node)
	if last, known := c.heardOf[node]; known && e.Time.After(last) || !known && len(c.heardOf) < maxHeard {
		c.heardOf[node] = e.Time
	}
}

func (f *Fold) leaderChanged(e domain.Envelope, event election.LeaderChanged) {
	c := f.cluster
	var leaders []domain.NodeID
	if event.Leader != "" {
		leaders = []domain.NodeID{event.Leader}
	}
	if f.counted && event.Leader != "" && c.leader != "" && event.Leader != c.leader && len(c.changes) < maxReigns {
		change := Failover{At: e.Time.UTC(), Position: e.Position, From: c.leader, To: event.Leader, Term: event.Term}
		if last, known := c.heardOf[c.leader]; known && !last.After(e.Time) {
			gap := seconds(e.Time.Sub(last))
			change.Gap = &gap
		}
		c.changes = append(c.changes, change)
	}
	if event.Leader != "" {
		c.leader = event.Leader
	}
	c.term = max(c.term, event.Term)
	f.believes(e, logItself, leaders, event.Term)
}

func (f *Fold) leadersObserved(e domain.Envelope, event election.LeadersObserved) {
	leaders := slices.Clone(event.Leaders)
	slices.Sort(leaders)
	var term uint64
	if event.Term != nil {
		term = *event.Term
	}
	f.believes(e, string(event.Observer), slices.Compact(leaders), term)
}

// healed ends the reigns of its observer, if there are several.
func (f *Fold) healed(e domain.Envelope, event election.SplitBrainHealed) {
	var open []domain.NodeID
	for key := range f.cluster.open {
		if key.observer == string(event.Observer) {
			open = append(open, key.leader)
		}
	}
	if len(open) > 1 {
		f.believes(e, string(event.Observer), nil, 0)
	}
}

// believes ends and begins reigns so that an observer's open ones are the given leaders.
func (f *Fold) believes(e domain.Envelope, observer string, leaders []domain.NodeID, term uint64) {
	c := f.cluster
	for key, at := range c.open {
		if key.observer == observer && !slices.Contains(leaders, key.leader) {
			c.reigns[at].end(e)
			delete(c.open, key)
		}
	}
	for _, leader := range leaders {
		key := reignKey{observer, leader}
		if at, known := c.open[key]; known {
			c.reigns[at].Seen++
			c.reigns[at].Term = max(c.reigns[at].Term, term)
			continue
		}
		if len(c.reigns) >= maxReigns || len(c.open) >= maxObservers {
			c.beyond++
			continue
		}
		c.open[key] = len(c.reigns)
		c.reigns = append(c.reigns, Reign{Leader: leader, Term: term, By: observer, Elected: observer == logItself, Since: e.Time.UTC(), Position: e.Position, Seen: 1})
	}
	f.dispute(e)
}

// dispute begins, extends or ends a disagreement, by the open reigns.
func (f *Fold) dispute(e domain.Envelope) {
	c := f.cluster
	believed := map[domain.NodeID][]string{}
	for key := range c.open {
		by := key.observer
		if by == logItself {
			by = "the log"
		}
		believed[key.leader] = append(believed[key.leader], by)
	}
	if len(believed) < 2 {
		if c.disputed {
			c.windows[len(c.windows)-1].end(e)
		}
		c.disputed = false
		return
	}
	if !c.disputed {
		if len(c.windows) >= maxReigns {
			c.beyond++
			return
		}
		c.windows = append(c.windows, Disagreement{Since: e.Time.UTC(), Position: e.Position})
		c.disputed = true
	}
	window := &c.windows[len(c.windows)-1]
	for _, leader := range slices.Sorted(maps.Keys(believed)) {
		at := slices.IndexFunc(window.Leaders, func(b Believed) bool { return b.Leader == leader })
		if at < 0 {
			at = len(window.Leaders)
			window.Leaders = append(window.Leaders, Believed{Leader: leader})
		}
		window.Leaders[at].By = merged(window.Leaders[at].By, believed[leader])
	}
	slices.SortFunc(window.Leaders, func(a, b Believed) int { return cmp.Compare(a.Leader, b.Leader) })
}

// merged returns the sorted union of two lists of names.
func merged(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (f *Fold) voterTurned(e domain.Envelope, voter domain.NodeID, online bool, alive, voters, quorum int) {
	c := f.cluster
	v := c.voters[voter]
	switch {
	case v == nil && len(c.voters) >= election.MaxVoters:
		c.beyond++
		return
	case v == nil:
		v = &voterFold{online: !online, since: e.Time}
		c.voters[voter] = v
	}
	if v.online != online {
		if online {
			v.offline += f.inWindow(v.since, e.Time)
		}
		v.online, v.since = online, e.Time
		if f.counted {
			v.changes++
		}
	}
	majority := voters/2 + 1
	c.minority = c.minority || quorum < majority
	switch below := alive < majority; {
	case below && !c.below && len(c.losses) < maxReigns:
		c.losses = append(c.losses, QuorumLoss{Since: e.Time.UTC(), Position: e.Position, Voters: voters, Majority: majority, Reckoned: quorum, Least: alive})
		c.below = true
	case !below && c.below:
		c.losses[len(c.losses)-1].end(e)
		c.below = false
	}
	if c.below {
		loss := &c.losses[len(c.losses)-1]
		loss.Least = min(loss.Least, alive)
		loss.Missing = merged(loss.Missing, c.offline())
	}
}

// offline returns the voters that are offline, sorted.
func (c *clusterFold) offline() []string {
	var names []string
	for id, v := range c.voters {
		if !v.online {
			names = append(names, string(id))
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
