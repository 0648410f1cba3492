package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// The bounds of messages and entries.
const (
	maxMessage    = 4 << 20  // bytes of entries in one message; a larger entry goes alone
	maxApplying   = 16 << 20 // bytes of entries that wait to be applied
	maxInFlight   = 64       // messages with entries to one follower
	maxPending    = 32 << 20 // bytes of entries that were proposed and not applied
	maxPendingNum = 2        // entries that were proposed and not applied; meanwhile requests gather for the next one
	maxKept       = 64 << 20 // bytes of entries that are kept for followers
	maxReads      = 4096     // confirmations that wait
)

// proposal is an entry of this node that is not applied yet.
type proposal struct {
	requests []*request
	bytes    int
}

// replica drives Raft on one node. It starts no goroutine and reads no clock. Its methods
// are called by one goroutine at a time.
type replica struct {
	id       uint64
	node     domain.NodeID
	cluster  string
	proposer uint64
	ticking  Ticking
	kept     int64 // bytes of entries that are kept for followers
	records  *pebblelog.Log
	storage  *storage
	raw      *raft.RawNode
	logger   *slog.Logger
	send     func(to Member, messages []*raftpb.Message)
	hand     func(job) // passes a job to be applied, in order

	number      uint64 // of the last proposal or read
	waiting     map[uint64]*proposal
	pending     int // bytes of waiting
	reads       map[uint64]func(error)
	ticks       uint64
	heard       map[uint64]uint64   // tick of the last message from each node
	met         map[uint64]Greeting // greetings of nodes that called
	strange     map[uint64]bool     // members that came with another folder than before
	changing    uint64              // tick up to which a proposed change of the members may be applied
	protocol    int
	build       string
	snapshotAt  map[uint64]uint64 // tick of the last snapshot that was sent to a node
	installing  *raftpb.Message   // snapshot whose records are being copied; nil: none
	appliedTerm uint64
	applied     uint64
	led         bool
	drainBy     uint64          // tick up to which a transfer of the leadership waits for appends; 0: none is under way
	told        acknowledgement // the last one that was sent
	since       roleSince
}

// roleSince is a role in a term and the tick at which it began.
type roleSince struct {
	role raft.StateType
	term uint64
	tick uint64
}

// acknowledgement tells a leader up to which entry this node has its log.
type acknowledgement struct {
	to, term, index, tick uint64
}

// job is committed entries to apply, or a snapshot whose records have to be copied.
type job struct {
	apply   *raftpb.Message
	install *raftpb.Message
}

// newReplica completes a replica by its stored state.
func newReplica(r *replica) (*replica, error) {
	r.waiting, r.reads = map[uint64]*proposal{}, map[uint64]func(error){}
	r.heard, r.snapshotAt, r.met, r.strange = map[uint64]uint64{}, map[uint64]uint64{}, map[uint64]Greeting{}, map[uint64]bool{}
	r.storage.makeSnapshot = r.snapshot
	r.applied = r.records.Applied()
	if err := r.resume(); err != nil {
		return nil, err
	}
	if first, _ := r.storage.FirstIndex(); r.applied+1 < first {
		return nil, domain.Errorf(domain.Corrupt, "want records that applied entry %d, found them at %d: they are of an older copy; join this node anew with an empty folder", first-1, r.applied)
	}
	if r.applied > r.storage.last {
		return nil, domain.Errorf(domain.Corrupt, "want entries up to the applied entry %d, found them up to %d: join this node anew with an empty folder", r.applied, r.storage.last)
	}
	// The commit index is not stored with each entry; applied entries are committed.
	r.storage.hard = &raftpb.HardState{Term: new(r.storage.hard.GetTerm()), Vote: new(r.storage.hard.GetVote()), Commit: new(max(r.storage.hard.GetCommit(), r.applied))}
	raw, err := raft.NewRawNode(&raft.Config{
		ID: r.id, ElectionTick: r.ticking.Election, HeartbeatTick: r.ticking.Heartbeat,
		Storage: r.storage, Applied: r.applied, AsyncStorageWrites: true,
		MaxSizePerMsg: maxMessage, MaxCommittedSizePerReady: maxApplying, MaxInflightMsgs: maxInFlight, MaxInflightBytes: 4 * maxMessage,
		CheckQuorum: true, PreVote: true, ReadOnlyOption: raft.ReadOnlySafe,
		Logger: raftLogger{r.logger}, DisableProposalForwarding: true, StepDownOnRemoval: true,
	})
	if err != nil {
		return nil, domain.Errorf(domain.Corrupt, "replicated log: %w", err)
	}
	r.raw = raw
	return r, nil
}

func (r *replica) tick() {
	r.ticks++
	r.raw.Tick()
	if len(r.snapshotAt) > 0 {
		r.missedSnapshots()
	}
	r.noteFolders()
	r.repeatTransfer()
}

// receive handles a message of another node. An error says that this node lost entries
// that it acknowledged.
func (r *replica) receive(m *raftpb.Message) error {
	if m.GetTo() != r.id {
		return nil
	}
	r.heard[m.GetFrom()] = r.ticks
	switch {
	case m.GetType() == raftpb.MsgSnap:
		r.install(m)
		return nil
	case m.GetType() == raftpb.MsgHeartbeat && m.GetTerm() >= r.raw.BasicStatus().GetTerm() && m.GetCommit() > r.storage.last:
		what := fmt.Sprintf("want entries up to %d, which this node acknowledged, found them up to %d", m.GetCommit(), r.storage.last)
		return errors.Join(lostFolder(what, r.node), r.storage.lose(what))
	}
	if err := r.raw.Step(m); err != nil && !errors.Is(err, raft.ErrStepPeerNotFound) && !errors.Is(err, raft.ErrProposalDropped) {
		r.logger.Debug("replicated log: a message is not taken", "type", m.GetType(), "from", m.GetFrom(), "error", err)
	}
	return nil
}

// work does everything that Raft asks for: it sends messages, stores entries and votes
// before it sends the messages that depend on them, and hands over committed entries.
func (r *replica) work() error {
	for r.raw.HasReady() {
		ready := r.raw.Ready()
		for _, read := range ready.ReadStates {
			r.confirmed(read)
		}
		var local []*raftpb.Message
		out := ready.Messages[:0:0]
		for _, m := range ready.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				local = append(local, m)
			case raft.LocalApplyThread:
				r.hand(job{apply: m})
			default:
				out = append(out, m)
			}
		}
		r.dispatch(out)
		for _, m := range local {
			if err := r.save(m); err != nil {
				return err
			}
			r.respond(m.GetResponses())
		}
		r.follow()
	}
	r.follow()
	return nil
}

// save stores the contents of a message to the disk.
func (r *replica) save(m *raftpb.Message) error {
	var hard *raftpb.HardState
	if m.GetTerm() != 0 || m.GetVote() != 0 || m.GetCommit() != 0 {
		hard = &raftpb.HardState{Term: new(m.GetTerm()), Vote: new(m.GetVote()), Commit: new(m.GetCommit())}
	}
	if !raft.IsEmptySnap(m.GetSnapshot()) {
		if err := r.storage.restore(hard, m.GetSnapshot()); err != nil {
			return err
		}
		r.applied = max(r.applied, m.GetSnapshot().GetMetadata().GetIndex())
		hard = nil
	}
	if hard == nil && len(m.GetEntries()) == 0 {
		return nil
	}
	return r.storage.save(hard, m.GetEntries())
}

// respond sends the messages that had to wait for the disk or the records.
func (r *replica) respond(messages []*raftpb.Message) {
	out := messages[:0:0]
	for _, m := range messages {
		if m.GetTo() == r.id {
			_ = r.raw.Step(m) // its own messages are never refused
			continue
		}
		if !r.repeats(m) {
			out = append(out, m)
		}
	}
	r.dispatch(out)
}

// repeats reports whether a message repeats the acknowledgement that was sent last, in the
// same tick. Raft sends one for each message that only advances the commit index, which is
// every second one under load. In a later tick it is sent, because the first may be lost.
func (r *replica) repeats(m *raftpb.Message) bool {
	if m.GetType() != raftpb.MsgAppResp {
		return false
	}
	now := acknowledgement{m.GetTo(), m.GetTerm(), m.GetIndex(), r.ticks}
	if m.GetReject() {
		now = acknowledgement{} // the answer that follows a rejection must be sent
	}
	before := r.told
	r.told = now
	return now == before && !m.GetReject()
}

// dispatch sends messages, all messages to one node together.
func (r *replica) dispatch(messages []*raftpb.Message) {
	for len(messages) > 0 {
		to := messages[0].GetTo()
		var some, others []*raftpb.Message
		for _, m := range messages {
			if m.GetTo() != to {
				others = append(others, m)
				continue
			}
			if m.GetType() == raftpb.MsgSnap {
				r.snapshotAt[to] = r.ticks
			}
			some = append(some, m)
		}
		member, known := r.member(to)
		if !known {
			var g Greeting
			g, known = r.met[to]
			member = g.Member
		}
		if known {
			r.send(member, some)
		}
		messages = others
	}
}

func (r *replica) member(id uint64) (Member, bool) {
	if at := slices.Index(r.storage.ids, id); at >= 0 {
		return r.storage.config.Members[at], true
	}
	return Member{}, false
}

// follow records changes of the role. When this node loses the leadership, it answers all
// requests that wait.
func (r *replica) follow() {
	status := r.raw.BasicStatus()
	leads := status.RaftState == raft.StateLeader
	if r.since.role != status.RaftState || r.since.term != status.GetTerm() {
		r.since = roleSince{status.RaftState, status.GetTerm(), r.ticks}
	}
	if r.led && !leads {
		for number, p := range r.waiting {
			for _, q := range p.requests {
				q.answer(nil, domain.Errorf(domain.Unavailable, "this node lost its leadership while the append was under way; it may be stored"))
			}
			delete(r.waiting, number)
		}
		r.pending = 0
		for id, done := range r.reads {
			done(r.notLeader())
			delete(r.reads, id)
		}
		clear(r.snapshotAt)
		r.changing = 0
	}
	r.led = leads
}

// room reports whether another entry may be proposed.
func (r *replica) room() bool { return len(r.waiting) < maxPendingNum && r.pending < maxPending }

// takes reports whether requests may be proposed now. An error says that they are refused,
// false that they have to wait, for example until this node has applied the entries of
// earlier leaders.
func (r *replica) takes() (bool, error) {
	status := r.raw.BasicStatus()
	switch {
	case status.RaftState != raft.StateLeader:
		return false, r.notLeader()
	case status.LeadTransferee != 0:
		return false, &eventlog.NotLeader{Leader: r.leader(), Reason: "it hands its leadership over; nothing is stored"}
	}
	return r.appliedTerm == status.GetTerm() && r.room(), nil
}

// propose proposes requests as one entry.
func (r *replica) propose(requests []*request) {
	term := r.raw.BasicStatus().GetTerm()
	r.number++
	size := 16
	for _, q := range requests {
		size += len(q.section) + 8
	}
	data := appendEntryHead(make([]byte, 0, size), r.proposer, r.number)
	var taken []*request
	for _, q := range requests {
		if q.term != 0 && q.term != term || q.call.term != 0 && q.call.term != term {
			q.answer(nil, domain.Errorf(domain.Unavailable, "the append was decided in term %d, and this is term %d; nothing is stored", max(q.term, q.call.term), term))
			continue
		}
		q.call.term = term
		data = appendSection(data, q.section)
		taken = append(taken, q)
	}
	if len(taken) == 0 {
		return
	}
	if err := r.raw.Propose(data); err != nil {
		for _, q := range taken {
			q.answer(nil, domain.Errorf(domain.Unavailable, "the append is not taken, nothing is stored: %w", err))
		}
		return
	}
	r.waiting[r.number] = &proposal{taken, len(data)}
	r.pending += len(data)
}

// outcome is the result of an entry of this node.
type outcome struct {
	number   uint64
	sections [][]eventlog.Written
	err      error // it is not known whether the entry was applied
}

// done handles the result of a job.
func (r *replica) done(m *raftpb.Message, outcomes []outcome) error {
	for _, e := range m.GetEntries() {
		r.applied, r.appliedTerm = max(r.applied, e.GetIndex()), max(r.appliedTerm, e.GetTerm())
		if e.GetType() == raftpb.EntryConfChangeV2 || e.GetType() == raftpb.EntryConfChange {
			if err := r.configure(e); err != nil {
				return err
			}
		}
	}
	for _, o := range outcomes {
		p, waits := r.waiting[o.number]
		if !waits {
			continue
		}
		delete(r.waiting, o.number)
		r.pending -= p.bytes
		for i, q := range p.requests {
			switch {
			case o.err != nil:
				q.answer(nil, o.err)
			case i < len(o.sections):
				q.answer(o.sections[i], nil)
			default:
				return domain.Errorf(domain.Internal, "entry %d: want %d sections, found %d", o.number, len(p.requests), len(o.sections))
			}
		}
	}
	r.respond(m.GetResponses())
	if r.storage.bytes > r.kept {
		return r.storage.dropHalf(r.records.Persisted())
	}
	return nil
}
