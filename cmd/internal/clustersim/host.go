package clustersim

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// Host is one machine with a node on it. Its log and its read models are on disks that
// lose what was not synced.
type Host struct {
	cluster *Cluster
	place   int
	member  raftlog.Member
	disk    *disk
	models  *crashdisk.Disk
	ballots *disk            // of an election beside the log
	parts   *parts           // nil: none, or the node is not running
	log     *raftlog.Stepped // nil: the node is not running
	node    *node.Node
	leads   eventlog.Leadership // what the node asks whether it leads
	booted  time.Duration
	away    time.Duration // until when nothing runs, as after SIGSTOP
	stops   time.Duration // for how long nothing ran, with what is still to come of it
	step    time.Duration // by how much the wall clock is ahead
	wound   bool          // a tick is coming
	gone    bool          // the machine is lost, and another is not there yet
	joined  bool          // it is not one of those that the cluster began with
	life    int           // how often the machine was lost
	inbox   []*raftpb.Message
	seen    domain.Position
	applied uint64
	rival   uint64 // the term in which it was seen to lead beside another
	copies  int
	hasty   bool // it is started again at once, the next time
	quits   int  // how often it gave up, though its disk was well
	// presumed is, of a mutation, the last entry that each other node was taken to have.
	presumed map[uint64]uint64

	jobs []func()
	job  *job
}

// job is something that a node does and that may wait for other nodes.
type job struct {
	resume func() (func() bool, bool)
	yield  func(func() bool) bool
	ready  func() bool // nil: it has not begun
}

func newHost(c *Cluster, place int) *Host {
	h := &Host{cluster: c, place: place, member: c.members[place], disk: newDisk(), models: crashdisk.New(), ballots: newDisk()}
	if m := c.config.mutation; m != nil {
		h.disk.late = m.late
	}
	return h
}

// Name is the node's.
func (h *Host) Name() domain.NodeID { return h.member.Node }

// Node is what runs on the host; nil while it does not.
func (h *Host) Node() *node.Node { return h.node }

// Log is the node's part of the replicated log; nil while it does not run.
func (h *Host) Log() *raftlog.Stepped { return h.log }

func (h *Host) up() bool { return h.log != nil }

// awake tells that the node runs and is not stopped.
func (h *Host) awake() bool { return h.up() && h.cluster.now >= h.away }

// clocks are those of the machine.
func (h *Host) clocks() (wall time.Time, awake time.Duration) {
	return Start.Add(h.cluster.now + h.step), h.cluster.now - h.booted
}

// stood is for how long the process has been stopped so far.
func (h *Host) stood() time.Duration { return h.stops - max(h.away-h.cluster.now, 0) }

// Send hands messages to the network.
func (h *Host) Send(to raftlog.Member, messages []*raftpb.Message) {
	h.cluster.net.send(h, to.Node, messages)
}

// Records reads another node's log.
func (h *Host) Records(ctx context.Context, from raftlog.Member, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
	return h.cluster.net.records(ctx, h, from.Node, after, upTo)
}

// open starts the node with what is on its disks.
func (h *Host) open() (err error) {
	c := h.cluster
	h.booted, h.stops = c.now, 0
	members := c.members
	if h.joined {
		members = nil
	}
	h.log, err = raftlog.OpenStepped("node", raftlog.Options{
		Cluster: "simulated", Node: h.member.Node, Members: members, Transport: h,
		Ticking: raftlog.Ticking{Tick: tick, Heartbeat: beats, Election: timeout}, Kept: c.config.Kept,
		Records: pebblelog.Options{FS: h.disk, Small: true, Clock: func() time.Time { wall, _ := h.clocks(); return wall }},
	}, h.wait)
	if err != nil {
		h.log = nil
		return err
	}
	h.seen, h.applied, h.copies = 0, 0, 0
	config := node.Config{
		Node: string(h.member.Node), Log: h.log, Leadership: h.log, StoreDir: "models", Manual: true, Paced: true, Clocks: h.clocks, Stood: h.stood,
		Store: store.Options{FS: h.models, Small: true, Snapshots: store.SnapshotPolicy{Every: -1}, OutboxMax: -1},
	}
	if c.config.Node != nil {
		c.config.Node(&config)
	}
	if m := c.config.mutation; m != nil && m.opens != nil {
		m.opens(h, &config)
	}
	h.leads = config.Leadership
	if h.node, err = node.Open(config); err != nil {
		err = errors.Join(err, h.log.Kill())
		h.log = nil
		return err
	}
	h.watch()
	h.wind()
	if c.services != nil {
		if err := c.services.boot(h); err != nil {
			return errors.Join(err, h.close())
		}
	}
	return nil
}

// close lets go of the node as if it had crashed.
func (h *Host) close() error {
	if !h.up() {
		return nil
	}
	if h.cluster.services != nil {
		h.cluster.services.kill(h)
	}
	h.disk.dead.Store(true) // nothing of what is left to do reaches the disk
	err := h.log.Kill()
	h.jobs = nil
	for h.job != nil { // whoever waits is answered, so that nothing waits for ever
		h.on()
	}
	broken := h.disk.failed()
	closed := h.node.Close()
	h.log, h.node, h.inbox = nil, nil, nil
	if broken {
		return nil
	}
	_ = err // what a dead disk says
	return closed
}

// Crash takes the power away: what was not synced is lost, but for a share of it. The
// node stays down until Boot.
func (h *Host) Crash(keepPercent int, seed uint64) error {
	if !h.up() {
		return nil
	}
	h.cluster.counts.Crashes++
	config := vfs.CrashCloneCfg{UnsyncedDataPercent: keepPercent, RNG: rand.New(rand.NewPCG(seed, seed))}
	kept, models, ballots := h.disk.crashed(config), h.models.CrashClone(config), h.ballots.crashed(config)
	h.ballots.dead.Store(true)
	if err := h.close(); err != nil {
		return err
	}
	h.disk, h.models, h.ballots, h.away = kept, models, ballots, 0
	h.cluster.Stir()
	return nil
}

// Boot starts a node that is down; what keeps it from starting is tried again.
func (h *Host) Boot() {
	if h.up() || h.gone || h.quits >= maxQuits {
		return
	}
	if h.disk.full.Load() || h.ballots.full.Load() {
		h.cluster.after(restartAfter, h.Boot)
		return
	}
	if err := h.open(); err != nil {
		h.cluster.violate("%s does not start: %v", h.member.Node, err)
		return
	}
	h.cluster.Stir()
	h.settle()
}

// Step moves the wall clock of the machine.
func (h *Host) Step(d time.Duration) { h.step += d }

// receive takes a message from the network.
func (h *Host) receive(m *raftpb.Message) {
	if !h.up() {
		return
	}
	if h.joined { // it answers before it knows the members
		for _, other := range h.cluster.hosts {
			if other.member.ID() == m.GetFrom() {
				h.log.Meet(other.member)
			}
		}
	}
	if h.inbox = append(h.inbox, m); h.awake() {
		h.settle()
	}
}

// Do has the node do something that may wait for others, after what it does already.
// It is lost when the node crashes before.
func (h *Host) Do(what func()) {
	if !h.up() {
		return
	}
	h.jobs = append(h.jobs, what)
	h.settle()
}

// wait is where a job waits for other nodes.
func (h *Host) wait(ready func() bool) {
	if h.job == nil {
		panic("clustersim: a node waits outside of a job")
	}
	for !ready() {
		if !h.job.yield(ready) {
			return
		}
	}
}

// settle lets the node do what it can without hearing anything.
func (h *Host) settle() {
	for h.awake() {
		inbox := h.inbox
		h.inbox = nil
		h.log.Receive(inbox...)
		err := h.log.Step()
		if h.ends(err) {
			return
		}
		h.watch()
		switch {
		case h.job == nil && len(h.jobs) == 0:
			return
		case h.job == nil:
			h.begin()
		case !h.job.ready():
			return
		}
		h.on()
	}
}

// begin takes the next job.
func (h *Host) begin() {
	what := h.jobs[0]
	h.jobs = h.jobs[1:]
	one := &job{}
	one.resume, _ = iter.Pull(func(yield func(func() bool) bool) {
		one.yield = yield
		what()
	})
	h.job = one
}

// on lets the job go on until it waits again.
func (h *Host) on() {
	one := h.job
	ready, waits := one.resume()
	if !waits {
		h.job = nil
		return
	}
	one.ready = ready
}

// ends tells whether the process is over: its power went, or its disk takes nothing
// more. Then somebody starts it again.
func (h *Host) ends(err error) bool {
	switch {
	case err == nil && !h.disk.failed():
		return false
	case err != nil && !h.disk.failed():
		h.quits++
		h.cluster.violate("%s gives up: %v", h.member.Node, err)
	}
	h.down()
	return true
}

// down ends the process; what it had synced stays.
func (h *Host) down() {
	if err := h.Crash(0, 0); err != nil {
		h.cluster.violate("%s: %v", h.member.Node, err)
	}
	again := restartAfter
	if h.hasty {
		again, h.hasty = restartSoon, false
	}
	h.cluster.after(again, h.Boot)
}

// maxQuits is how often a node may give up by itself until nobody starts it any more.
const maxQuits = 3

// restartAfter is how long it takes until a process that ended is started again.
const restartAfter, restartSoon = 10 * time.Second, 100 * time.Millisecond

// wind plans the next tick of Raft's time, while that runs.
func (h *Host) wind() {
	c := h.cluster
	if h.wound || !h.up() {
		return
	}
	h.wound = true
	next := tick*4/5 + time.Duration(c.random.Int64N(int64(tick*2/5)))
	if h.log.Standing().Knows.NodeID == "" { // else two that ask at once would ask at once for ever
		next += time.Duration(c.random.Int64N(int64(2 * tick)))
	}
	if c.now < c.aligned {
		next = tick - c.now%tick
	}
	c.after(next, func() {
		h.wound = false
		if !h.awake() {
			return
		}
		if h.ends(h.log.Tick()) {
			return
		}
		h.settle()
		if c.now < c.stirs || c.now < c.limit && !c.quiet() {
			h.wind()
		}
	})
}

// maxRounds bounds how often clock and reactors may answer each other in one go.
const maxRounds = 1000

// Follow has a node that does not lead apply what the leader decided to its own queue.
func (h *Host) Follow() {
	h.Do(func() {
		if ctx := h.cluster.context(); h.node.Sync(ctx) == nil {
			_ = h.node.FollowOnce(ctx) // it is called again
		}
	})
}

// Housekeep lets the node do what is due and what its reactors want done, as a running
// one does all the time.
func (h *Host) Housekeep() {
	h.Do(func() {
		ctx := h.cluster.context()
		for range maxRounds {
			if !h.node.Leads() || h.node.Sync(ctx) != nil {
				return
			}
			ticked, err := h.node.TickOnce(ctx)
			if err != nil || h.node.Sync(ctx) != nil {
				return
			}
			drained, err := h.node.DrainOnce(ctx)
			if err != nil {
				return
			}
			if ticked+drained == 0 {
				if err := h.node.RecordFailures(ctx); err != nil {
					return
				}
				return
			}
		}
		h.cluster.violate("%s: clock and reactors do not come to rest within %d rounds", h.member.Node, maxRounds)
	})
}
