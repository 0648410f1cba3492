package raftlog

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// The keys of the database beside the records.
const (
	entryPrefix  = 'e' // e <index> → entry, protobuf
	hardKey      = "h" // term, vote, commit
	droppedKey   = "g" // index and term of the last entry that was dropped
	configKey    = "c" // configuration
	identityKey  = "i" // identity
	pendingKey   = "p" // snapshot whose records are being copied, protobuf
	folderKey    = "d" // random name of this folder; folders of older builds have none
	lostKey      = "l" // what the node acknowledged and does not have; absent while it has all
	storeFormat  = 1
	cachedBytes  = 8 << 20
	storeBuffers = 8 << 20
)

// identity is the node and cluster of a folder. It never changes.
type identity struct {
	Format  int           `json:"format"`
	Cluster string        `json:"cluster"`
	Node    domain.NodeID `json:"node"`
}

// configuration is the members as of an entry.
type configuration struct {
	Index   uint64   `json:"index"` // of the entry that made it so
	State   []byte   `json:"state"` // ConfState, protobuf
	Members []Member `json:"members"`
	By      string   `json:"by,omitempty"`
	Tokens  []spent  `json:"tokens,omitempty"` // used tokens that have not expired
}

// dropped is the last entry that was dropped.
type dropped struct{ index, term uint64 }

// storage stores entries, votes and the configuration. It implements raft.Storage and is
// used by one goroutine.
type storage struct {
	db           *pebble.DB
	room         *pebblelog.Room
	raise        func() // refuses all later changes of the folder
	failed       *failure
	hard         *raftpb.HardState
	dropped      dropped
	last         uint64
	bytes        int64 // of the entries that were written by this process and not dropped
	config       configuration
	ids          []uint64 // of the members of config; deriving one costs more than handling a message
	state        *raftpb.ConfState
	folder       string          // random name of the folder; empty in a folder of an older build
	cached       []*raftpb.Entry // the newest entries, next to each other
	weight       int             // bytes of cached
	makeSnapshot func() (*raftpb.Snapshot, error)
}

// failure is the first error after which nothing more may be written.
type failure struct {
	mu  sync.Mutex
	err error
}

func (f *failure) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *failure) cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// storeLogger is the logger of pebble. Its Fatalf must not end the process.
type storeLogger struct {
	out    *slog.Logger
	failed *failure
}

func (l storeLogger) Infof(format string, args ...any) {
	if l.out.Enabled(context.Background(), slog.LevelDebug) {
		l.out.Debug("entries", "said", fmt.Sprintf(format, args...))
	}
}

func (l storeLogger) Errorf(format string, args ...any) {
	l.out.Error("entries", "said", fmt.Sprintf(format, args...))
}

func (l storeLogger) Fatalf(format string, args ...any) { l.failed.note(fmt.Errorf(format, args...)) }

// openStorage opens the database in a folder, or makes one with a first configuration.
func openStorage(files vfs.FS, dir string, who identity, head domain.Position, first []Member, logger *slog.Logger) (_ *storage, err error) {
	s := &storage{failed: &failure{}}
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("pebble gave up: %v", broken)
		}
		if err != nil {
			err = domain.Errorf(codeOf(err), "open the entries in %s: %w", dir, err)
			if s.db != nil {
				err = errors.Join(err, s.db.Close())
			}
		}
	}()
	failing := func() bool { return s.room.Failing() || s.failed.cause() != nil }
	fenced, raise := pebblelog.Fence(files, failing, s.failed.note)
	s.raise = raise
	options := &pebble.Options{
		FS: fenced, FormatMajorVersion: pebble.FormatValueSeparation, CacheSize: storeBuffers,
		MemTableSize: storeBuffers / 2, MemTableStopWritesThreshold: 3, L0StopWritesThreshold: 12,
		Logger: storeLogger{logger, s.failed}, DisableTableStats: true,
	}
	s.room = pebblelog.NewRoom(options)
	pebblelog.Thrifty(options, dir)
	s.db, err = pebble.Open(dir, options)
	if err == nil {
		err = s.failed.cause()
	}
	if err != nil {
		return nil, err
	}
	fresh, err := s.identify(who)
	if err != nil {
		return nil, err
	}
	if lost, err := s.get([]byte(lostKey)); err != nil || lost != nil {
		return nil, errors.Join(err, lostFolder(string(lost), who.Node))
	}
	if fresh {
		if voters := countVoters(first); head > 0 && voters > 1 {
			return nil, domain.Errorf(domain.Conflict, "want an empty log to begin a cluster of %d voters with, found one of %d events: begin with this node alone and add the others", voters, head)
		}
		if err := s.begin(who, first); err != nil {
			return nil, err
		}
	}
	return s, s.load()
}

// lose stores that the node does not have what it acknowledged, so that the folder is never
// opened again: a later leader, which does not know what was acknowledged, would take it.
func (s *storage) lose(what string) error {
	batch := s.db.NewBatch()
	_ = batch.Set([]byte(lostKey), []byte(what), nil)
	return s.commit(batch, true)
}

func lostFolder(what string, node domain.NodeID) error {
	return domain.Errorf(domain.Conflict, "%s: %w", what, &OtherFolder{node})
}

func codeOf(err error) domain.Code {
	var coded *domain.Error
	switch {
	case errors.As(err, &coded):
		return coded.Code
	case pebble.IsCorruptionError(err):
		return domain.Corrupt
	}
	return domain.Unavailable
}

// get returns a value, nil if there is none.
func (s *storage) get(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), closer.Close()
}

// identify refuses the folder of another node or cluster.
func (s *storage) identify(who identity) (fresh bool, err error) {
	text, err := s.get([]byte(identityKey))
	if err != nil || text == nil {
		return err == nil, err
	}
	var found identity
	if err := json.Unmarshal(text, &found); err != nil {
		return false, domain.Errorf(domain.Corrupt, "who the folder belongs to: %w", err)
	}
	if found != who {
		return false, domain.Errorf(domain.Conflict, "want the folder of node %s in cluster %s (format %d), found that of %s in %s (format %d)",
			who.Node, who.Cluster, who.Format, found.Node, found.Cluster, found.Format)
	}
	return false, nil
}

// begin stores the first configuration of a new folder.
func (s *storage) begin(who identity, first []Member) error {
	text, err := json.Marshal(who)
	if err != nil {
		return err
	}
	state := &raftpb.ConfState{}
	for _, m := range first {
		if m.Learner {
			state.Learners = append(state.Learners, m.ID())
		} else {
			state.Voters = append(state.Voters, m.ID())
		}
	}
	batch := s.db.NewBatch()
	if err := s.putConfig(batch, configuration{Members: first}, state); err != nil {
		return err
	}
	_ = batch.Set([]byte(identityKey), text, nil)
	_ = batch.Set([]byte(folderKey), []byte(rand.Text()), nil)
	return s.commit(batch, true)
}

func (s *storage) putConfig(batch *pebble.Batch, c configuration, state *raftpb.ConfState) (err error) {
	if c.State, err = proto.Marshal(state); err != nil {
		return err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	s.config, s.state = c, state
	s.number()
	return batch.Set([]byte(configKey), text, nil)
}

// number derives the ids of the members.
func (s *storage) number() {
	s.ids = s.ids[:0]
	for _, m := range s.config.Members {
		s.ids = append(s.ids, m.ID())
	}
}

// load reads the stored state into memory.
func (s *storage) load() error {
	text, err := s.get([]byte(configKey))
	if err != nil {
		return err
	}
	s.state = &raftpb.ConfState{}
	s.config = configuration{} // the members of the caller are not changed
	if err := json.Unmarshal(text, &s.config); err != nil {
		return domain.Errorf(domain.Corrupt, "configuration: %w", err)
	}
	s.number()
	if err := proto.Unmarshal(s.config.State, s.state); err != nil {
		return domain.Errorf(domain.Corrupt, "configuration: %w", err)
	}
	s.state = raftpb.EnsureConfState(s.state)
	if text, err = s.get([]byte(hardKey)); err != nil {
		return err
	}
	s.hard = &raftpb.HardState{}
	if err := proto.Unmarshal(text, s.hard); err != nil {
		return domain.Errorf(domain.Corrupt, "term and vote: %w", err)
	}
	if text, err = s.get([]byte(droppedKey)); err != nil {
		return err
	}
	if len(text) == 16 {
		s.dropped = dropped{binary.BigEndian.Uint64(text), binary.BigEndian.Uint64(text[8:])}
	}
	name, err := s.get([]byte(folderKey))
	if err != nil {
		return err
	}
	s.folder = string(name)
	it, err := s.db.NewIter(entryRange(0, 1<<63))
	if err != nil {
		return err
	}
	s.last = s.dropped.index
	if it.Last() {
		s.last = max(s.last, binary.BigEndian.Uint64(it.Key()[1:]))
	}
	return errors.Join(it.Error(), it.Close())
}

func entryKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{entryPrefix}, index)
}

func entryRange(from, before uint64) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: entryKey(from), UpperBound: entryKey(before)}
}

func countVoters(members []Member) (n int) {
	for _, m := range members {
		if !m.Learner {
			n++
		}
	}
	return n
}

// adopt begins the log of a new cluster after the records that its first member already
// has. They count as applied by a first entry, which is dropped at once, so that nodes
// that join copy them.
func (s *storage) adopt(records *pebblelog.Log) error {
	if s.last > 0 || len(s.config.Members) == 0 {
		return nil
	}
	index := max(records.Applied(), 1) // larger if the records were in a cluster before
	if index > 1 && countVoters(s.config.Members) > 1 {
		return domain.Errorf(domain.Conflict, "want records that were never replicated to begin a cluster of several voters with, found them at entry %d: begin with this node alone and add the others", index)
	}
	if records.Applied() < index {
		if _, err := records.Apply(context.Background(), index, nil); err != nil {
			return err
		}
		if err := records.Persist(context.Background()); err != nil {
			return err
		}
	}
	batch := s.db.NewBatch()
	s.setDropped(batch, dropped{index, 1})
	s.last = index
	hard := &raftpb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(index)}
	text, err := proto.Marshal(hard)
	if err != nil {
		return err
	}
	_ = batch.Set([]byte(hardKey), text, nil)
	s.hard = hard
	return s.commit(batch, true)
}

// commit writes a batch. After the first error of the disk every commit fails.
func (s *storage) commit(batch *pebble.Batch, sync bool) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("pebble gave up: %v", broken)
		}
		if err == nil {
			err = s.failed.cause()
		}
		if err != nil {
			s.failed.note(err)
			s.raise()
			err = domain.Errorf(domain.Unavailable, "entries of the replicated log: %w", err)
		}
	}()
	if err := s.failed.cause(); err != nil {
		return err
	}
	if err := s.room.Wait(s.db, batch.Len()); err != nil {
		return err
	}
	options := pebble.NoSync
	if sync {
		options = pebble.Sync
	}
	return errors.Join(s.db.Apply(batch, options), batch.Close())
}

// InitialState returns the stored votes and configuration.
func (s *storage) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return s.hard, s.state, nil
}

// Snapshot makes a snapshot for a follower that is too far behind.
func (s *storage) Snapshot() (*raftpb.Snapshot, error) { return s.makeSnapshot() }

func (s *storage) close() error {
	if s.failed.cause() == nil {
		return s.db.Close()
	}
	// Closing a failed database may panic or never end, so nobody waits for it, and its
	// writes do not reach the disk. It frees the memory of a process that goes on.
	go func() {
		defer func() { _ = recover() }()
		_ = s.db.Close()
	}()
	return nil
}
