package clustersim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/domain"
	documents "github.com/ringrift/rift/domain/gossip"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// mutation makes nodes, disks or clocks break a rule on purpose, to test that a check
// finds it.
type mutation struct {
	name string // in the cluster directive
	does string
	rule string   // the rule that ends up broken
	seen []string // a violation has to contain one of these

	opens      func(*Host, *node.Config)            // changes a node's configuration
	sends      func(from *Host, m *raftpb.Message)  // changes a message, or sends others
	asks       func(order *node.Order, attempt int) // changes a command before it is sent
	skipsSyncs bool                                 // every other sync of entries is skipped
	forgets    bool                                 // a node that does not lead does not follow the queue

	votes   func(*parts, *elector.VoterConfig)       // changes a voter's configuration in services.votes
	elects  func(*parts, *elector.Config)            // changes a candidate's
	talks   func(from, to *Host, ask *documents.Ask) // changes a request of gossip
	relays  func(*parts, *relay.Config)              // changes a hub's configuration
	watches func(*parts, *membership.Config)         // changes that of a node's membership
	unheard func(from int, to *Host) bool            // selects pings whose answers are lost
}

// The rules that mutations break.
const (
	ruleLeader  = "a term has one leader"
	ruleKept    = "what was acknowledged is there"
	ruleSame    = "a position holds the same on every node"
	ruleOnce    = "an item is done once"
	ruleLeases  = "leases of an item do not overlap"
	ruleFresh   = "a strong reading shows what was acknowledged before"
	ruleModels  = "read models at the same position are the same"
	ruleQueues  = "queues at the same position are the same"
	ruleCommand = "a command that is sent again takes effect once"
)

var mutations = slices.Concat(ofLog, ofServices)

// ofLog are the mutations of the replicated log and of its callers.
var ofLog = []mutation{
	{
		name: "double-vote", does: "a voter that gave its vote in a term gives it to whoever else asks", rule: ruleLeader,
		seen: []string{"has the leaders"},
		sends: func(_ *Host, m *raftpb.Message) {
			if m.GetType() == raftpb.MsgVoteResp {
				m.Reject = new(false)
			}
		},
	},
	{
		name: "lone-commit", does: "a leader takes an entry for stored by everybody to whom it sends it", rule: ruleKept,
		seen: []string{"which this node acknowledged", "was acknowledged at", "is acknowledged at"}, sends: presume,
	},
	{
		name: "late-sync", does: "a voter acknowledges entries before they are synced", rule: ruleKept,
		seen: []string{"which this node acknowledged", "want entries up to the applied entry", "was acknowledged at", "is acknowledged at"}, skipsSyncs: true,
	},
	{
		name: "other-bytes", does: "a node stores another actor than the others", rule: ruleSame,
		seen: []string{"holds"},
		sends: func(from *Host, m *raftpb.Message) {
			if last := from.cluster.hosts[len(from.cluster.hosts)-1]; m.GetTo() == last.member.ID() {
				for _, e := range m.GetEntries() {
					e.Data = bytes.ReplaceAll(e.GetData(), []byte("producer"), []byte("Producer"))
				}
			}
		},
	},
	{
		name: "short-snapshot", does: "a snapshot is taken for one that ends an event earlier", rule: ruleSame,
		seen: []string{"holds"}, sends: shorten,
	},
	{
		name: "stale-queue", does: "a node that leads again goes on with the queue that it had, past the log's own checks", rule: ruleOnce,
		seen: []string{"done twice", "is done already"}, forgets: true,
		opens: func(h *Host, config *node.Config) {
			config.Leadership, config.Log = oneTerm{h.log}, unchecked{h.log}
		},
	},
	{
		name: "other-queue", does: "the queue of a node misses every third event that it reads from the log", rule: ruleQueues,
		seen:  []string{"another queue"},
		opens: func(h *Host, config *node.Config) { config.Log = gappy{h.log} },
	},
	{
		name: "fast-clock", does: "a node's clock runs ten times as fast as the workers'", rule: ruleLeases,
		seen: []string{"both hold"},
		opens: func(h *Host, config *node.Config) {
			config.Clocks = func() (time.Time, time.Duration) {
				wall, awake := h.clocks()
				return Start.Add(10 * wall.Sub(Start)), 10 * awake
			}
		},
	},
	{
		name: "deposed-reads", does: "a leader answers strong readings without asking the others", rule: ruleFresh,
		seen:  []string{"appends and readings explains"},
		opens: func(h *Host, config *node.Config) { config.Leadership = unconfirmed{h.log} },
	},
	{
		name: "other-models", does: "the first node's read models see events a second later", rule: ruleModels,
		seen: []string{"other read models"},
		opens: func(h *Host, config *node.Config) {
			if h.place == 0 {
				config.Log = shifted{h.log}
			}
		},
	},
	{
		name: "forgotten-commands", does: "a command that is sent again has another id", rule: ruleCommand,
		seen: []string{"which nobody was told", "calls explains"},
		asks: func(order *node.Order, attempt int) { order.ID = fmt.Sprintf("%s-%d", order.ID, attempt) },
	},
}

// mutationOf returns the mutation of that name; nil for the empty name.
func mutationOf(name string) (*mutation, error) {
	if name == "" {
		return nil, nil
	}
	var names []string
	for i := range mutations {
		if mutations[i].name == name {
			return &mutations[i], nil
		}
		names = append(names, mutations[i].name)
	}
	return nil, domain.Errorf(domain.NotFound, "want a mutation of %v, found %q", names, name)
}

// presume acknowledges entries to their sender in the name of the receiver, before the
// receiver has them.
func presume(from *Host, m *raftpb.Message) {
	n := len(m.GetEntries())
	if m.GetType() != raftpb.MsgApp || n == 0 || m.GetEntries()[n-1].GetIndex() <= from.presumed[m.GetTo()] {
		return
	}
	last := m.GetEntries()[n-1].GetIndex()
	if from.presumed == nil {
		from.presumed = map[uint64]uint64{}
	}
	from.presumed[m.GetTo()] = last
	answer := &raftpb.Message{Type: raftpb.MsgAppResp.Enum(), From: new(m.GetTo()), To: new(m.GetFrom()), Term: new(m.GetTerm()), Index: &last}
	from.cluster.after(0, func() { from.receive(answer) })
}

// shorten makes a snapshot claim to end one event earlier.
func shorten(_ *Host, m *raftpb.Message) {
	if m.GetType() != raftpb.MsgSnap {
		return
	}
	var state map[string]json.RawMessage
	var head domain.Position
	if json.Unmarshal(m.GetSnapshot().GetData(), &state) != nil || json.Unmarshal(state["head"], &head) != nil {
		return
	}
	state["head"] = fmt.Append(nil, head-1)
	m.Snapshot.Data, _ = json.Marshal(state)
}

// oneTerm reports every term as the first.
type oneTerm struct{ *raftlog.Stepped }

func (o oneTerm) Leader() eventlog.Leader {
	leader := o.Stepped.Leader()
	leader.Term = min(leader.Term, 1)
	return leader
}

// unchecked appends without the checks of the expected revision and the term.
type unchecked struct{ *raftlog.Stepped }

func (u unchecked) Append(ctx context.Context, stream domain.StreamID, _ domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	return u.Stepped.Append(eventlog.InTerm(ctx, 0), stream, domain.AnyRevision, events...)
}

func (u unchecked) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	blind := make([]eventlog.Write, len(writes))
	for i, w := range writes {
		w.Expected = domain.AnyRevision
		blind[i] = w
	}
	return u.Stepped.AppendMany(eventlog.InTerm(ctx, 0), blind)
}

// unconfirmed confirms a leader without asking a majority.
type unconfirmed struct{ *raftlog.Stepped }

func (u unconfirmed) ConfirmLeader(context.Context) error { return nil }

// gappy leaves out every third event of a forward read of the whole log.
type gappy struct{ *raftlog.Stepped }

func (g gappy) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range g.Stepped.ReadAll(ctx, from, direction, filter) {
			if err == nil && direction == eventlog.Forward && e.Position%3 == 0 {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// shifted adds a second to the time of every event that a subscriber gets.
type shifted struct{ *raftlog.Stepped }

func (s shifted) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		for item, err := range s.Stepped.Subscribe(ctx, after, filter) {
			item.Envelope.Time = item.Envelope.Time.Add(time.Second)
			if !yield(item, err) {
				return
			}
		}
	}
}
