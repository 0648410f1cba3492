package raftlog

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// Transport carries messages between the nodes of a cluster.
type Transport interface {
	// Send sends messages to a node. It does not wait and may lose them.
	Send(to Member, messages []*raftpb.Message)
	// Records yields the records of a node after a position and up to another.
	Records(ctx context.Context, from Member, after, upTo domain.Position) iter.Seq2[domain.Envelope, error]
}

// Ticking is the timing of Raft: the length of a tick, and the heartbeat interval and the
// election timeout in ticks. A follower draws its timeout between Election and twice that.
type Ticking struct {
	Tick                time.Duration
	Heartbeat, Election int
}

// DefaultTicking elects a new leader 1 to 2 s after the last message of the old one.
var DefaultTicking = Ticking{Tick: 100 * time.Millisecond, Heartbeat: 3, Election: 10}

// Options of a replicated log.
type Options struct {
	Cluster string        // the id of the cluster; messages of others are refused
	Node    domain.NodeID // the name of this node
	// Members are the first members of a new cluster, the same on each node. They are used
	// only when the folder is made. A node that joins a cluster names none.
	Members   []Member
	Transport Transport
	// Ready asks a voter whether it could decide at once if it led; nil: all could. An error
	// says that it does not answer.
	Ready    func(context.Context, Member) (bool, error)
	Ticking  Ticking           // zero: DefaultTicking
	Folder   func(name string) // called with the name of the folder of votes and entries before anything is sent; may be nil
	Protocol int               // the newest that this node uses; 0: that of the build
	Build    string            // version of rift, shown to people
	Records  pebblelog.Options
	Logger   *slog.Logger
	Kept     int64 // bytes of entries that are kept for followers that are behind; 0: 64 MiB
}

// The folders below that of a replicated log's node.
const (
	RecordsFolder = "log"
	EntriesFolder = "raft"
)

// Log is an eventlog.Log, a Curator and a Leadership.
type Log struct {
	records   *pebblelog.Log
	transport Transport
	ready     func(context.Context, Member) (bool, error)
	replica   *replica // used only by the loop, except fields that never change
	logger    *slog.Logger
	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
	loops     sync.WaitGroup
	wake      chan struct{} // holds one token while the loop has something to do
	jobs      chan struct{} // holds one token while there are jobs
	unsynced  chan struct{} // holds one token from a tick at which the records were not synced

	mu       sync.Mutex
	inbox    []*raftpb.Message
	weight   int // bytes of inbox
	requests []*request
	calls    []func()
	handed   []job
	results  []result
	stopped  error // why the loop ended

	lead    atomic.Pointer[eventlog.Leader]
	changes atomic.Pointer[chan struct{}]
	lost    atomic.Uint64           // messages that found the inbox full
	broken  chan struct{}           // closed when the log has stopped
	wait    func(ready func() bool) // of a Stepped log: called instead of blocking
	met     sync.Map                // last Greeting of each node
	copies  int                     // attempts to copy records; used by the goroutine that applies jobs
	config  atomic.Pointer[Configuration]

	reconfigured atomic.Pointer[chan struct{}]
}

// result is the result of a job.
type result struct {
	job      job
	outcomes []outcome
	err      error // after which nothing more can be applied
}

var (
	_ eventlog.Log        = (*Log)(nil)
	_ eventlog.Curator    = (*Log)(nil)
	_ eventlog.Leadership = (*Log)(nil)
	_ io.Closer           = (*Log)(nil)
)

// Open opens or creates a node's replica of the log in a folder.
func Open(dir string, options Options) (_ *Log, err error) {
	l, err := build(dir, options)
	if err != nil {
		return nil, err
	}
	ticking := l.replica.ticking
	l.loops.Go(func() { l.run(ticking.Tick) })
	l.loops.Go(l.applyAll)
	l.loops.Go(l.persistAll)
	return l, nil
}

// build makes a Log without starting its goroutines.
func build(dir string, options Options) (_ *Log, err error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Kept == 0 {
		options.Kept = maxKept
	}
	if options.Ticking == (Ticking{}) {
		options.Ticking = DefaultTicking
	}
	files := options.Records.FS
	if files == nil {
		files = vfs.Default
	}
	if len(options.Members) > 0 {
		if err := checkMembers(options.Members); err != nil {
			return nil, err
		}
	}
	if options.Records.ReadOnly || options.Cluster == "" || domain.CheckName(string(options.Node)) != nil {
		return nil, domain.Errorf(domain.Invalid, "replicated log: want the id of a cluster, the name of a node, and a log to write to")
	}
	records, err := pebblelog.Open(filepath.Join(dir, RecordsFolder), options.Records)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, records.Close())
		}
	}()
	head, err := records.Head(context.Background())
	if err != nil {
		return nil, err
	}
	who := identity{storeFormat, options.Cluster, options.Node}
	storage, err := openStorage(files, filepath.Join(dir, EntriesFolder), who, head, options.Members, options.Logger)
	if err != nil {
		return nil, err
	}
	if err := storage.adopt(records); err != nil {
		return nil, errors.Join(err, storage.close())
	}
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // never fails
	l := &Log{
		records: records, transport: options.Transport, ready: options.Ready, logger: options.Logger, closing: make(chan struct{}),
		wake: make(chan struct{}, 1), jobs: make(chan struct{}, 1), unsynced: make(chan struct{}, 1), broken: make(chan struct{}),
	}
	changes := make(chan struct{})
	l.changes.Store(&changes)
	l.lead.Store(&eventlog.Leader{})
	l.replica, err = newReplica(&replica{
		id: raftID(options.Node), node: options.Node, cluster: options.Cluster, proposer: binary.LittleEndian.Uint64(nonce[:]), ticking: options.Ticking, kept: options.Kept,
		records: records, storage: storage, logger: options.Logger, send: options.Transport.Send, hand: l.handOver,
		protocol: cmp.Or(options.Protocol, Protocol), build: options.Build,
	})
	if err != nil {
		return nil, errors.Join(err, storage.close())
	}
	l.publishMembers()
	if options.Folder != nil {
		options.Folder(storage.folder)
	}
	return l, nil
}

// signal puts a token into a channel, if it has none.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run drives Raft until Close, or until the disk fails.
func (l *Log) run(tick time.Duration) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	err := guard(l.step)
	for err == nil {
		select {
		case <-l.closing:
			l.stop(errClosed())
			return
		case <-ticker.C:
			if l.records.Applied() > l.records.Persisted() {
				signal(l.unsynced)
			}
			err = guard(func() error { l.replica.tick(); return l.step() })
		case <-l.wake:
			err = guard(l.step)
		}
	}
	l.logger.Error("the replicated log gives up", "error", err)
	l.stop(err)
}

func errClosed() error { return domain.Errorf(domain.Unavailable, "the log is closed") }

// step handles what has arrived for the loop.
func (l *Log) step() error {
	r := l.replica
	l.mu.Lock()
	inbox, calls, results := l.inbox, l.calls, l.results
	l.inbox, l.weight, l.calls, l.results = nil, 0, nil, nil
	l.mu.Unlock()
	for _, done := range results {
		switch {
		case done.err != nil:
			return done.err
		case done.job.install != nil:
			r.installed(done.job.install)
		default:
			if err := r.done(done.job.apply, done.outcomes); err != nil {
				return err
			}
		}
	}
	for _, m := range inbox {
		if err := r.receive(m); err != nil {
			return err
		}
	}
	for _, call := range calls {
		call()
	}
	if err := r.work(); err != nil {
		return err
	}
	for {
		requests := l.next()
		if len(requests) == 0 {
			break
		}
		r.propose(requests)
		if err := r.work(); err != nil {
			return err
		}
	}
	l.publishMembers()
	l.publishLeader(r.leader())
	return nil
}

// publishMembers publishes a new configuration. It forgets the greetings, because a member
// may have been removed and added again.
func (l *Log) publishMembers() {
	config, before := &l.replica.storage.config, l.config.Load()
	if before != nil && before.Index == config.Index {
		return
	}
	l.config.Store(&Configuration{config.Index, config.By, slices.Clone(config.Members)})
	l.met.Clear()
	fresh := make(chan struct{})
	if last := l.reconfigured.Swap(&fresh); last != nil {
		close(*last)
	}
}

// publishLeader publishes the leader.
func (l *Log) publishLeader(now eventlog.Leader) {
	if *l.lead.Load() == now {
		return
	}
	l.lead.Store(&now)
	fresh := make(chan struct{})
	close(*l.changes.Swap(&fresh))
}

// stop stops the log: it refuses all requests that wait and later ones.
func (l *Log) stop(why error) {
	l.mu.Lock()
	l.stopped = why
	requests, calls := l.requests, l.calls
	l.requests, l.calls, l.inbox = nil, nil, nil
	l.mu.Unlock()
	for _, q := range requests {
		q.answer(nil, why)
	}
	for _, p := range l.replica.waiting {
		for _, q := range p.requests {
			q.answer(nil, domain.Errorf(domain.Unavailable, "the append was under way and may be stored: %w", why))
		}
	}
	for _, done := range l.replica.reads {
		done(why)
	}
	for _, call := range calls {
		call() // on and ask check stopped
	}
	now := *l.lead.Load()
	l.publishLeader(eventlog.Leader{Term: now.Term})
	close(l.broken)
}

// Broken returns a channel that is closed when the log has stopped, because its disk failed
// or it was closed. Err returns the reason.
func (l *Log) Broken() <-chan struct{} { return l.broken }

// Err returns why the log has stopped, nil if it has not.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped
}

// Close closes the log.
func (l *Log) Close() error {
	l.closeOnce.Do(func() {
		close(l.closing)
		l.loops.Wait()
		l.closeErr = errors.Join(l.replica.storage.close(), l.records.Close())
	})
	return l.closeErr
}

// The bounds of what waits for the loop.
const (
	inboxMessages = 4096
	inboxBytes    = 64 << 20
)

// Receive queues messages of another node. The caller has checked them with Check and
// verified their sender. Messages that find no room are dropped.
func (l *Log) Receive(messages ...*raftpb.Message) {
	l.mu.Lock()
	for _, m := range messages {
		size := 0
		for _, e := range m.GetEntries() {
			size += len(e.GetData())
		}
		if l.stopped != nil || len(l.inbox) >= inboxMessages || l.weight > 0 && l.weight+size > inboxBytes {
			l.lost.Add(1)
			continue
		}
		l.inbox = append(l.inbox, m)
		l.weight += size
	}
	l.mu.Unlock()
	signal(l.wake)
}
