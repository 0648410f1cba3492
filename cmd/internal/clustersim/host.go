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

// Host is one machine with a node on it. Its disks lose unsynced data in a crash.
type Host struct {
	cluster      *Cluster
	place        int
	member       raftlog.Member
	disk         *disk
	models       *crashdisk.Disk
	ballots      *disk            // disk of the voter in services.votes
	parts        *parts           // its services; nil: none, or the node is not running
	log          *raftlog.Stepped // nil: the node is not running
	node         *node.Node
	leads        eventlog.Leadership // what the node asks for the leader
	booted       time.Duration       // when the process started, since Start
	stoppedUntil time.Duration       // the process is stopped until then, since Start
	stoppedFor   time.Duration       // total time that the process is stopped, up to stoppedUntil
	step         time.Duration       // of the wall clock, ahead of the true time
	tickPlanned  bool                // the next tick is planned
	gone         bool                // the machine is lost and its replacement has not started
	joined       bool                // it replaced a lost machine, so it is told the members when it joins
	life         int                 // how often the machine was replaced; its links drop older messages
	inbox        []*raftpb.Message
	seen         domain.Position
	applied      uint64
	rival        uint64 // the term for which a second leader was reported
	copies       int
	restartsSoon bool // the next restart comes after restartSoon
	quits        int  // how often it stopped by itself with a healthy disk
	// presumed is used by a mutation: the last entry it acknowledged for each other node.
	presumed map[uint64]uint64

	jobs []func()
	job  *job
}

// job is a coroutine of a node that may wait for other nodes.
type job struct {
	resume func() (func() bool, bool)
	yield  func(func() bool) bool
	ready  func() bool // reports whether it can go on; nil: it has not started
}

func newHost(c *Cluster, place int) *Host {
	h := &Host{cluster: c, place: place, member: c.members[place], disk: newDisk(), models: crashdisk.New(), ballots: newDisk()}
	if m := c.config.mutation; m != nil {
		h.disk.skipsSyncs = m.skipsSyncs
	}
	return h
}

// Name returns the node's name.
func (h *Host) Name() domain.NodeID { return h.member.Node }

// Node returns the running node; nil while it is down.
func (h *Host) Node() *node.Node { return h.node }

// Log returns the node's replica of the log; nil while it is down.
func (h *Host) Log() *raftlog.Stepped { return h.log }

func (h *Host) up() bool { return h.log != nil }

// awake reports whether the process runs and is not stopped.
func (h *Host) awake() bool { return h.up() && h.cluster.now >= h.stoppedUntil }

// clocks returns the wall clock and the time since the process started.
func (h *Host) clocks() (wall time.Time, awake time.Duration) {
	return Start.Add(h.cluster.now + h.step), h.cluster.now - h.booted
}

// stopped returns for how long the process has been stopped so far.
func (h *Host) stopped() time.Duration { return h.stoppedFor - max(h.stoppedUntil-h.cluster.now, 0) }

// Send sends Raft messages over the network.
func (h *Host) Send(to raftlog.Member, messages []*raftpb.Message) {
	h.cluster.net.send(h, to.Node, messages)
}

// Records reads records of another node's log.
func (h *Host) Records(ctx context.Context, from raftlog.Member, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
	return h.cluster.net.records(ctx, h, from.Node, after, upTo)
}

// open starts the node on its disks.
func (h *Host) open() (err error) {
	c := h.cluster
	h.booted, h.stoppedFor = c.now, 0
	members := c.members
	if h.joined {
		members = nil
	}
	h.log, err = raftlog.OpenStepped("node", raftlog.Options{
		Cluster: "simulated", Node: h.member.Node, Members: members, Transport: h,
		Ticking: raftlog.Ticking{Tick: tick, Heartbeat: heartbeatTicks, Election: electionTicks}, Kept: c.config.Kept,
		Records: pebblelog.Options{FS: h.disk, Small: true, Clock: func() time.Time { wall, _ := h.clocks(); return wall }},
	}, h.wait)
	if err != nil {
		h.log = nil
		return err
	}
	h.seen, h.applied, h.copies = 0, 0, 0
	config := node.Config{
		Node: string(h.member.Node), Log: h.log, Leadership: h.log, StoreDir: "models", Manual: true, Paced: true, Clocks: h.clocks, Stood: h.stopped,
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
	h.planTick()
	if c.services != nil {
		if err := c.services.boot(h); err != nil {
			return errors.Join(err, h.close())
		}
	}
	return nil
}

// close ends the node's process as a crash would.
func (h *Host) close() error {
	if !h.up() {
		return nil
	}
	if h.cluster.services != nil {
		h.cluster.services.kill(h)
	}
	h.disk.dead.Store(true) // writes do not count any more
	err := h.log.Kill()
	h.jobs = nil
	for h.job != nil { // its coroutine has to end
		h.resumeJob()
	}
	broken := h.disk.failed()
	closed := h.node.Close()
	h.log, h.node, h.inbox = nil, nil, nil
	if broken {
		return nil
	}
	_ = err // Kill may fail because the disk is dead
	return closed
}

// Crash ends the process and loses unsynced data, of which keepPercent survive, chosen by
// seed. The node stays down until Boot.
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
	h.disk, h.models, h.ballots, h.stoppedUntil = kept, models, ballots, 0
	h.cluster.KeepTicking()
	return nil
}

// Boot starts a node that is down. With a full disk it tries again after restartAfter.
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
	h.cluster.KeepTicking()
	h.settle()
}

// Step moves the wall clock of the machine by d.
func (h *Host) Step(d time.Duration) { h.step += d }

// receive delivers a Raft message to the node.
func (h *Host) receive(m *raftpb.Message) {
	if !h.up() {
		return
	}
	if h.joined { // it has to answer before it knows the members
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

// Do queues a job, which may wait for other nodes. A crash loses queued jobs.
func (h *Host) Do(what func()) {
	if !h.up() {
		return
	}
	h.jobs = append(h.jobs, what)
	h.settle()
}

// wait suspends the current job until ready returns true, or the node is closed.
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

// settle runs the node until it can do nothing more without another message or tick.
func (h *Host) settle() {
	for h.awake() {
		inbox := h.inbox
		h.inbox = nil
		h.log.Receive(inbox...)
		err := h.log.Step()
		if h.endIfFailed(err) {
			return
		}
		h.watch()
		switch {
		case h.job == nil && len(h.jobs) == 0:
			return
		case h.job == nil:
			h.startJob()
		case !h.job.ready():
			return
		}
		h.resumeJob()
	}
}

// startJob makes the next queued job the current one.
func (h *Host) startJob() {
	what := h.jobs[0]
	h.jobs = h.jobs[1:]
	one := &job{}
	one.resume, _ = iter.Pull(func(yield func(func() bool) bool) {
		one.yield = yield
		what()
	})
	h.job = one
}

// resumeJob runs the current job until it waits again or ends.
func (h *Host) resumeJob() {
	one := h.job
	ready, waits := one.resume()
	if !waits {
		h.job = nil
		return
	}
	one.ready = ready
}

// endIfFailed ends the process and plans its restart if it returned an error, its disk
// failed, or it lost power. It reports whether it did.
func (h *Host) endIfFailed(err error) bool {
	switch {
	case err == nil && !h.disk.failed():
		return false
	case err != nil && !h.disk.failed():
		h.quits++
		h.cluster.violate("%s gives up: %v", h.member.Node, err)
	}
	h.restart()
	return true
}

// restart ends the process, keeps what it synced, and plans the next Boot.
func (h *Host) restart() {
	if err := h.Crash(0, 0); err != nil {
		h.cluster.violate("%s: %v", h.member.Node, err)
	}
	again := restartAfter
	if h.restartsSoon {
		again, h.restartsSoon = restartSoon, false
	}
	h.cluster.after(again, h.Boot)
}

// maxQuits bounds how often a node that stopped by itself is started again.
const maxQuits = 3

// The time from the end of a process to its restart.
const restartAfter, restartSoon = 10 * time.Second, 100 * time.Millisecond

// planTick plans the node's next tick of Raft.
func (h *Host) planTick() {
	c := h.cluster
	if h.tickPlanned || !h.up() {
		return
	}
	h.tickPlanned = true
	next := tick*4/5 + time.Duration(c.random.Int64N(int64(tick*2/5)))
	if h.log.Standing().Knows.NodeID == "" { // without a leader: candidates must not stay in step
		next += time.Duration(c.random.Int64N(int64(2 * tick)))
	}
	if c.now < c.aligned {
		next = tick - c.now%tick
	}
	c.after(next, func() {
		h.tickPlanned = false
		if !h.awake() {
			return
		}
		if h.endIfFailed(h.log.Tick()) {
			return
		}
		h.settle()
		if c.now < c.ticksUntil || c.now < c.ticksLimit && !c.quiet() {
			h.planTick()
		}
	})
}

// maxRounds bounds how often the clock and the reactors may cause work for each other in
// one Housekeep.
const maxRounds = 1000

// Follow has a node that does not lead apply what the leader decided to its own queue.
func (h *Host) Follow() {
	if m := h.cluster.config.mutation; m != nil && m.forgets {
		return
	}
	h.Do(func() {
		if ctx := h.cluster.context(); h.node.Sync(ctx) == nil {
			_ = h.node.FollowOnce(ctx) // it is called again
		}
	})
}

// Housekeep runs the leader's clock and reactors until there is nothing to do, as a real
// node does all the time.
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
