package clustersim

import (
	"context"
	"time"

	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain"
	documents "github.com/ringrift/rift/domain/gossip"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// The rules of the services that mutations break.
const (
	ruleLease   = "two never hold the lease of an election"
	ruleBallot  = "a voter keeps what it promised"
	ruleFence   = "the shared log takes nothing that an older term decided"
	ruleHeard   = "everybody hears of everybody"
	ruleNewer   = "what is known of a node only gets newer"
	ruleFollows = "who leads is what the log says"
	ruleTaken   = "a call is delivered once to a node that registered once"
	ruleTold    = "every caller is told something"
	ruleRoom    = "mailboxes are bounded"
	ruleAlive   = "who is there is alive to everybody"
	ruleOnline  = "who is there is online by the log"
)

// ofServices are the mutations of the services.
var ofServices = []mutation{
	{
		name: "hasty-voters", does: "the clocks of half of the voters run three times as fast", rule: ruleLease,
		seen: []string{"two hold the lease"},
		votes: func(p *parts, config *elector.VoterConfig) {
			if p.host.place%2 == 0 {
				config.Since = func() time.Duration { return 3 * p.since() }
			}
		},
	},
	{
		name: "unsynced-ballots", does: "a voter answers before its ballot is synced", rule: ruleBallot,
		seen:  []string{"the ballot of"},
		votes: func(_ *parts, config *elector.VoterConfig) { config.FS = store.Unsynced(config.FS) },
	},
	{
		name: "endless-appends", does: "the time of an append does not end with the lease", rule: ruleFence,
		seen: []string{"the shared log took what", "two hold the lease"},
		elects: func(_ *parts, config *elector.Config) {
			config.Runtime.Within = func(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
				return context.WithCancel(ctx)
			}
		},
	},
	{
		name: "deaf-gossip", does: "the last node is asked, and asks, nothing", rule: ruleHeard,
		seen: []string{"has not heard what"},
		talks: func(from, to *Host, ask *documents.Ask) {
			if last := len(from.cluster.hosts) - 1; from.place == last || to.place == last {
				*ask = documents.Ask{NodeID: ask.NodeID}
			}
		},
	},
	{
		name: "forgetful-gossip", does: "the first node forgets what it heard whenever it is asked", rule: ruleNewer,
		seen: []string{"and then 0/0"},
		talks: func(_, to *Host, _ *documents.Ask) {
			if to.place == 0 && to.parts != nil {
				to.parts.gossip = to.parts.newGossip()
			}
		},
	},
	{
		name: "gossip-leads", does: "a node takes the first node that it heard of for the leader", rule: ruleFollows,
		seen:  []string{"for the leader, who is"},
		opens: func(h *Host, config *node.Config) { config.Leadership = hearsay{h.log, h} },
	},
	{
		name: "twice-delivered", does: "a hub registers a node again by itself", rule: ruleTaken,
		seen: []string{"twice in one registration"},
		relays: func(p *parts, config *relay.Config) {
			waits := config.Wait
			config.Wait = func(ctx context.Context, d time.Duration, either, or <-chan struct{}) {
				waits(ctx, d, either, or)
				for _, a := range p.host.cluster.services.mail.agents {
					// A hub that is closed refuses.
					_, _ = p.hub.Register(ctx, a.caller(), wire.Register{NodeID: a.node, TTL: domain.Seconds(mailboxTTL.Seconds())})
				}
			}
		},
	},
	{
		name: "endless-calls", does: "a hub wakes nobody who waits", rule: ruleTold,
		seen: []string{"has not answered calls"},
		relays: func(_ *parts, config *relay.Config) {
			waits := config.Wait
			config.Wait = func(_ context.Context, _ time.Duration, _, or <-chan struct{}) {
				waits(context.Background(), 24*time.Hour, nil, or)
			}
		},
	},
	{
		name: "roomy-mailboxes", does: "a hub takes ten times as many calls as it may", rule: ruleRoom,
		seen: []string{"holds more than it may"},
		relays: func(_ *parts, config *relay.Config) {
			config.Limits.Calls, config.Limits.NodeCalls = 10*config.Limits.Calls, 10*config.Limits.NodeCalls
		},
	},
	{
		name: "lost-answers", does: "nobody hears the last node answer", rule: ruleAlive,
		seen:    []string{"is alive and reachable"},
		unheard: func(_ int, to *Host) bool { return to.place == len(to.cluster.hosts)-1 },
	},
	{
		name: "unsaid-recovery", does: "a node that is there again is not said to be", rule: ruleOnline,
		seen: []string{"offline by the log"},
		watches: func(p *parts, config *membership.Config) {
			config.Backend = silent{config.Backend, p}
		},
	},
}

// hearsay reports the first node known from gossip as the leader.
type hearsay struct {
	*raftlog.Stepped
	host *Host
}

func (l hearsay) Leader() eventlog.Leader {
	leader := l.Stepped.Leader()
	if p := l.host.parts; p != nil && leader.NodeID != "" && len(p.knows) > 1 {
		for _, h := range l.host.cluster.hosts {
			if p.knows[h.Name()].incarnation > 0 {
				leader.NodeID, leader.Self = h.Name(), h == l.host
				break
			}
		}
	}
	return leader
}

// silent drops reports that a node which has events is online again.
type silent struct {
	transport.Backend
	part *parts
}

func (s silent) Do(ctx context.Context, call transport.Call) (commands.Result, error) {
	report, reports := call.Command.(nodescmd.ReportNode)
	if reports && report.Online != nil {
		for i := range s.part.host.cluster.truth {
			if e := &s.part.host.cluster.truth[i]; e.Stream == report.Stream() {
				return commands.Result{}, nil
			}
		}
	}
	return s.Backend.Do(ctx, call)
}
