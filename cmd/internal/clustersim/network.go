package clustersim

import (
	"context"
	"iter"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// network carries messages from one node to another.
type network struct {
	cluster *Cluster
	links   map[link]*path
	kept    []Message
}

// link is the direction from one node to another, by their places.
type link struct{ from, to int }

// path is the faults of a link.
type path struct {
	cut  bool
	keep bool          // messages on the cut link are kept for Deliver or Drop
	loss float64       // share of the messages that are lost
	slow time.Duration // the largest added delay
}

// Message is a message that a cut link keeps.
type Message struct {
	From, To domain.NodeID
	Type     string // MsgApp, MsgVote
	Term     uint64
	deliver  func()
}

func (n *network) path(from, to int) *path {
	p := n.links[link{from, to}]
	if p == nil {
		p = &path{}
		n.links[link{from, to}] = p
	}
	return p
}

// reaches reports whether a link is not cut.
func (n *network) reaches(from, to int) bool {
	p := n.links[link{from, to}]
	return from == to || p == nil || !p.cut
}

// alone reports whether a node cannot reach a majority of the voters, itself included.
func (n *network) alone(h *Host) bool {
	voters, met := 0, 0
	for _, other := range n.cluster.hosts {
		if other.member.Learner {
			continue
		}
		voters++
		if other.awake() && n.reaches(h.place, other.place) && n.reaches(other.place, h.place) {
			met++
		}
	}
	return met <= voters/2
}

// delay draws the delay of a message: a few milliseconds, and one time in fifty up to a
// second, so that messages are reordered.
func (n *network) delay() time.Duration {
	r := n.cluster.random
	if r.IntN(50) == 0 {
		return time.Duration(r.Int64N(int64(time.Second)))
	}
	return 200*time.Microsecond + time.Duration(r.Int64N(int64(5*time.Millisecond)))
}

// carry calls do after the delay of a link. It returns false if the message is lost.
func (n *network) carry(from, to int, do func()) bool {
	p := n.path(from, to)
	if from != to && (p.cut || p.loss > 0 && n.cluster.random.Float64() < p.loss) {
		n.cluster.counts.Lost++
		return false
	}
	d := n.delay()
	if p.slow > 0 {
		d += time.Duration(n.cluster.random.Int64N(int64(p.slow)))
	}
	n.cluster.after(d, do)
	return true
}

func (n *network) send(from *Host, to domain.NodeID, messages []*raftpb.Message) {
	c := n.cluster
	for _, other := range c.hosts {
		if other.member.Node != to {
			continue
		}
		for _, m := range messages {
			c.counts.Messages++
			if err := raftlog.Check(m); err != nil {
				c.violate("%s sends what no node takes: %v", from.member.Node, err)
			}
			if p := n.path(from.place, other.place); p.cut && p.keep {
				clone := proto.Clone(m).(*raftpb.Message)
				n.kept = append(n.kept, Message{from.member.Node, to, m.GetType().String(), m.GetTerm(), deliver(from, other, clone)})
				continue
			}
			if len(m.GetEntries()) > 0 || m.GetSnapshot() != nil {
				m = proto.Clone(m).(*raftpb.Message)
			}
			if c.config.mutation != nil && c.config.mutation.sends != nil {
				c.config.mutation.sends(from, m)
			}
			if c.random.IntN(100) == 0 {
				c.counts.Repeated++
				again := proto.Clone(m).(*raftpb.Message)
				n.carry(from.place, other.place, deliver(from, other, again))
			}
			if !n.carry(from.place, other.place, deliver(from, other, m)) {
				c.tickFor(3 * time.Second) // until it is sent again
			}
		}
	}
}

// deliver returns a function that delivers a message, unless one of the machines was
// replaced meanwhile: a real node refuses messages of a replaced member's old data folder.
func deliver(from, to *Host, m *raftpb.Message) func() {
	sent, there := from.life, to.life
	return func() {
		if from.life == sent && to.life == there {
			to.receive(m)
		}
	}
}

// records reads another node's log; if that cannot be reached, the error is Unavailable.
func (n *network) records(ctx context.Context, asks *Host, of domain.NodeID, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
	for _, other := range n.cluster.hosts {
		if other.member.Node == of && other.awake() && n.reaches(asks.place, other.place) && n.reaches(other.place, asks.place) {
			return other.log.ReadAll(ctx, after+1, eventlog.Forward, eventlog.Filter{To: upTo})
		}
	}
	return func(yield func(domain.Envelope, error) bool) {
		yield(domain.Envelope{}, domain.Errorf(domain.Unavailable, "node %s does not answer", of))
	}
}

// Deliver delivers the chosen messages that cut links keep, in the order they were sent.
func (c *Cluster) Deliver(chosen func(Message) bool) (delivered []Message) {
	delivered = c.net.take(chosen)
	for _, m := range delivered {
		m.deliver()
	}
	return delivered
}

// Drop discards the chosen messages that cut links keep.
func (c *Cluster) Drop(chosen func(Message) bool) []Message { return c.net.take(chosen) }

func (n *network) take(chosen func(Message) bool) (taken []Message) {
	var left []Message
	for _, m := range n.kept {
		if chosen(m) {
			taken = append(taken, m)
		} else {
			left = append(left, m)
		}
	}
	n.kept = left
	return taken
}
