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
	// Send hands messages over to a node. It does not wait, and may lose them.
	Send(to Member, messages []*raftpb.Message)
	// Records reads what the log of a node has after a position and up to another.
	Records(ctx context.Context, from Member, after, upTo domain.Position) iter.Seq2[domain.Envelope, error]
}

// Ticking is the time of Raft: how long a tick is, and after how many a leader says
// that it is there and a follower without a leader asks for votes. The latter waits
// for up to twice as long, by chance.
type Ticking struct {
	Tick                time.Duration
	Heartbeat, Election int
}

// DefaultTicking elects a new leader 1 to 2 s after the last one fell silent.
var DefaultTicking = Ticking{Tick: 100 * time.Millisecond, Heartbeat: 2, Election: 10}

// Options of a replicated log.
type Options struct {
	Cluster string        // the id of the cluster; its nodes refuse others
	Node    domain.NodeID // the name of this node
	// Members are the first ones of a new cluster, the same on each of its nodes; later
	// they are what the log says. A node that joins a cluster names none.
	Members   []Member
	Transport Transport
	Ticking   Ticking           // zero: DefaultTicking
	Folder    func(name string) // told, before anything is sent, what folder the votes and entries are in; nil: nobody wants to know
	Protocol  int               // the newest that this node knows; 0: that of the build
	Build     string            // its version, for people
	Records   pebblelog.Options
	Logger    *slog.Logger
	Kept      int64 // bytes of entries that are kept for followers who are behind; 0: 64 MiB
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
	replica   *replica // the loop's, but for what never changes
	logger    *slog.Logger
	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
	loops     sync.WaitGroup
	wake      chan struct{} // holds one token while the loop has something to do
	jobs      chan struct{} // the same for who applies

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
	broken  chan struct{}           // closed when the log gave up
	wait    func(ready func() bool) // in place of blocking, where somebody steps the log; nil elsewhere
	met     sync.Map                // Greeting by node, of Greet
	copies  int                     // of one that is stepped: attempts to copy records
	config  atomic.Pointer[Configuration]

	reconfigured atomic.Pointer[chan struct{}]
}

// result is what came of a job.
type result struct {
	job      job
	outcomes []outcome
}

var (
	_ eventlog.Log        = (*Log)(nil)
	_ eventlog.Curator    = (*Log)(nil)
	_ eventlog.Leadership = (*Log)(nil)
	_ io.Closer           = (*Log)(nil)
)

// Open opens a node's part of a replicated log in a folder, or makes it there.
func Open(dir string, options Options) (_ *Log, err error) {
	l, err := build(dir, options)
	if err != nil {
		return nil, err
	}
	ticking := l.replica.ticking
	l.loops.Go(func() { l.run(ticking.Tick) })
	l.loops.Go(l.applyAll)
	return l, nil
}

// build puts the parts together and starts nothing.
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
		records: records, transport: options.Transport, logger: options.Logger, closing: make(chan struct{}),
		wake: make(chan struct{}, 1), jobs: make(chan struct{}, 1), broken: make(chan struct{}),
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
	l.tellMembers()
	if options.Folder != nil {
		options.Folder(storage.folder)
	}
	return l, nil
}

// signal puts a token where there is none.
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
			err = guard(func() error { l.replica.tick(); return l.step() })
		case <-l.wake:
			err = guard(l.step)
		}
	}
	l.logger.Error("the replicated log gives up", "error", err)
	l.stop(err)
}

func errClosed() error { return domain.Errorf(domain.Unavailable, "the log is closed") }

// step takes what came in and moves Raft on.
func (l *Log) step() error {
	r := l.replica
	l.mu.Lock()
	inbox, calls, results := l.inbox, l.calls, l.results
	l.inbox, l.weight, l.calls, l.results = nil, 0, nil, nil
	l.mu.Unlock()
	for _, done := range results {
		if done.job.install != nil {
			r.installed(done.job.install)
			continue
		}
		if err := r.done(done.job.apply, done.outcomes); err != nil {
			return err
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
	l.tellMembers()
	l.tell(r.leader())
	return nil
}

// tellMembers makes known who the members are. Who greeted before does so again: it may
// have been removed and added meanwhile.
func (l *Log) tellMembers() {
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

// tell makes known who leads.
func (l *Log) tell(now eventlog.Leader) {
	if *l.lead.Load() == now {
		return
	}
	l.lead.Store(&now)
	fresh := make(chan struct{})
	close(*l.changes.Swap(&fresh))
}

// stop refuses whoever waits, and whoever comes.
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
		call() // each looks at stopped
	}
	now := *l.lead.Load()
	l.tell(eventlog.Leader{Term: now.Term})
	close(l.broken)
}

// Broken is closed when the log has given up, because its disk failed or because it
// was closed; Err says why.
func (l *Log) Broken() <-chan struct{} { return l.broken }

// Err is why the log gave up, nil while it did not.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped
}

// Close ends the node's part. What was acknowledged stays.
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

// Receive takes messages of another node, which Check let pass and whose sender is
// known to be who they say. It does not wait; what finds no room is lost, as on the way.
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
