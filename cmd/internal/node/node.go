// Package node composes one rift process: a log, the read models that follow it, the bus
// that decides commands, the outbox of the reactors, and the clock that issues commands
// for deadlines. `rift serve` runs its actors by the time of the machine; scripts and
// replays step through the same parts with a clock of their own. The package decides
// nothing itself.
//
// Read node.go (the parts), then drain.go and clock.go (the actors), then backend.go (what
// the HTTP endpoints use).
package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringrift/rift/cmd/internal/gossip"
	"github.com/ringrift/rift/cmd/internal/matching"
	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// Config says what a node is made of.
type Config struct {
	Node    string // its name
	Cluster string // empty: the default cluster
	Version string // of the build, for health
	Log     eventlog.Log
	// Leadership says which of the nodes that share a log decides; nil: this one. A node
	// that does not lead follows the log and takes no command.
	Leadership eventlog.Leadership
	// Members returns the members that replicate the log, nil while they cannot be
	// recorded, and a channel that is closed when they change; nil: the log is not
	// replicated.
	Members func() (*Membership, <-chan struct{})
	// Sparse says that the positions of the log have gaps, as offsets in a file have, so
	// that the difference of two is not the number of events between them.
	Sparse bool
	// StoreDir is the folder of the read models, and Store tunes them.
	StoreDir string
	Store    store.Options
	// Clock returns the time of a node that is stepped through a time of its own; nil: the
	// node has a Clock.
	Clock func() time.Time
	// Clocks returns the time of day and how long the machine has been awake, for the
	// Clock of the node; nil: those of the system.
	Clocks func() (wall time.Time, awake time.Duration)
	// Stood, with Clocks, returns how long the process was stopped so far. It is for a
	// node whose clock is read only when something happens; nil: the process was stopped
	// whenever the clock was not read for a while.
	Stood func() time.Duration
	// Manual says that the actors do not run: a command that needs current read models
	// brings them up to date itself.
	Manual bool
	// Paced, for a Manual node, says that it is stepped through long times: it searches
	// for silent and idle nodes as seldom as a running node does, reads the policy again
	// only after it changed it, and does not wait for read models.
	Paced bool
	// ReadOnly says that the node only shows a log: it refuses commands, runs no reactors
	// and decides no deadlines. Its read models must be in a folder of their own, because
	// reactors do not get the events that were folded without them.
	ReadOnly bool
	// Recording says that the node exists only to fold a log that others wrote. It is no
	// member of their cluster, so its health is that of the log alone.
	Recording bool
	// Rebuilt says that the read models were discarded and are built again: reactors begin
	// after the last event that the log says is settled.
	Rebuilt bool
	// OnShutdown is called when a command asks the node to stop.
	OnShutdown func(reason string, grace time.Duration)
	Logger     *slog.Logger
	// Disk returns the free and the total bytes of the disk of the data folder, for
	// health; nil: they are not known.
	Disk func() (free, total uint64, err error)
	// AggregateBytes bounds the cache of aggregates; 0 means 128 MiB.
	AggregateBytes int64
	// QueueBytes is about the memory that live items may take. When they take more,
	// callers cannot add items; 0 means no bound.
	QueueBytes int64
	// Facts and Level return what the node sends to other nodes about itself; nil:
	// nothing.
	Facts json.RawMessage
	Level func() nodes.Level
	// Known is added to the facts of every command, for the areas that use it.
	Known []any
	// Done is called for every command that was run, with its result. It is for tests.
	Done func(domain.Command, commands.Result)

	clocks *clocks // nil: those of the system
}

// Node is one process's parts.
type Node struct {
	config  Config
	catalog *domain.Catalog
	log     eventlog.Log
	store   *store.Store
	bus     *commands.Bus
	work    *dispatcher
	levels  *levels
	polls   *polls
	gates   gateMeter
	match   *matching.Expressions
	clock   func() time.Time
	steady  *Clock        // behind clock; nil: clock is Config.Clock
	off     time.Duration // difference of the wall clock when it was last reported

	presence   commands.Presence // as of the last tick
	refusedDue map[string]int    // successive ticks in which a command of the clock was refused, by its id
	logger     *slog.Logger
	started    time.Time

	failures chan store.Failure // to be recorded as HANDLER_FAILED
	lost     atomic.Uint64      // failures that found the channel full
	draining atomic.Bool        // set while stopping: no more claims
	drained  atomic.Uint64      // commands of reactors run so far
	settled  atomic.Uint64      // position up to which the outbox has been run
	decisive atomic.Uint64      // position of the last decisive event
	answered atomic.Uint64      // position that the last answer to a caller's command named
	policy   atomic.Pointer[readPolicy]
	keys     *keys
	tenure   tenure
	followed domain.Position // up to which FollowOnce has read
	prepared atomic.Bool     // FollowOnce has loaded what the first command of a term needs
	relay    *relay.Hub
	gossip   *gossip.Gossip
	parts    []any                    // for endpoints; see Lend
	expects  map[string][]domain.Code // refusals that reactors expect, by reactor
	opened   domain.Position          // the log's head when the node was opened
	stepping sync.Mutex               // one Sync at a time when Manual

	following context.Context // ends when the read models stop to follow the log
	unfollow  context.CancelFunc
}

// Open makes a node. The caller closes the log.
func Open(config Config) (*Node, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	var steady *Clock
	if config.Clock == nil {
		if steady, err = clockFrom(config); err != nil {
			return nil, err
		}
		config.Clock = steady.Now
	}
	if config.Cluster == "" {
		config.Cluster = admin.DefaultCluster
	}
	n := &Node{
		config: config, catalog: catalog, log: config.Log, clock: config.Clock, steady: steady, logger: config.Logger,
		failures: make(chan store.Failure, 1024), started: config.Clock(),
	}
	n.following, n.unfollow = context.WithCancel(context.Background())
	if n.opened, err = n.log.Head(context.Background()); err != nil {
		return nil, err
	}
	options, err := n.storeOptions(config)
	if err != nil {
		return nil, err
	}
	if n.store, err = store.Open(config.StoreDir, wiring.Projections(), reactorsOf(config), catalog, options); err != nil {
		return nil, err
	}
	if err := n.failuresAgain(); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	n.levels = newLevels()
	n.polls = newPolls()
	n.gates = newGateMeter()
	n.keys = newKeys()
	n.expects = map[string][]domain.Code{}
	for _, reactor := range wiring.Reactors() {
		n.expects[reactor.Name] = reactor.Expects
	}
	n.match = matching.New()
	if n.bus, err = commands.NewBus(n.log, catalog, modelsView{n}, wiring.Specs()...); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	n.bus.Aggregates = newAggregateCache(config.AggregateBytes)
	n.decisive.Store(uint64(n.opened))
	n.work = newDispatcher(n)
	n.bus.Queue = n.work
	n.relay = relay.NewHub(relay.Config{Backend: n.Backend(), Node: domain.NodeID(config.Node), Now: config.Clock, Inline: config.Manual})
	n.Lend(n.relay)
	n.gossip = gossip.New(gossip.Config{
		Backend: n.Backend(), Node: domain.NodeID(config.Node), Now: config.Clock, Facts: config.Facts, Level: config.Level, Inline: config.Manual, Logger: config.Logger,
	})
	n.Lend(n.gossip)
	return n, nil
}

// failuresAgain reports the failures of all dead letters again, because the process may
// have ended before their events were appended. Appending one twice does nothing.
func (n *Node) failuresAgain() error {
	letters, err := n.store.DeadLetters()
	for _, letter := range letters {
		if letter.Command != "" {
			continue // its failure is an event of the log already
		}
		select {
		case n.failures <- store.Failure{
			Handler: letter.Handler, Position: letter.EventPosition, EventID: letter.EventID, EventType: letter.EventType,
			Err: errors.New(letter.Error), Attempts: letter.Attempts,
		}:
		default:
			return err // the channel is full; the failures that are left are old
		}
	}
	return err
}

// Close decides the commands that wait and closes the read models. Follow must have ended.
func (n *Node) Close() error {
	n.relay.Close()
	n.unfollow()
	n.work.close()
	return n.store.Close()
}

// EndWaits ends the requests that wait for the answer of another node, so that the server
// can stop.
func (n *Node) EndWaits() { n.relay.Stop() }

// Gossip returns what other nodes tell about themselves.
func (n *Node) Gossip() *gossip.Gossip { return n.gossip }

// Heard notes that other nodes found a node to be alive. It does not change LastHeard.
func (n *Node) Heard(node domain.NodeID) { n.levels.alive(node, n.clock()) }

// LastHeard returns when a node itself last called, by the wall clock; zero: not yet.
func (n *Node) LastHeard(node domain.NodeID) time.Time {
	word := n.levels.lastWord(node)
	if word.IsZero() {
		return word
	}
	return time.Now().Add(word.Sub(n.clock()))
}

// Lend makes a part of the process available to endpoints, which find it by its type. It
// must be called before they serve.
func (n *Node) Lend(part any) { n.parts = append(n.parts, part) }

// Now returns the time of the node.
func (n *Node) Now() time.Time { return n.clock() }

// Moment returns the time that questions about the present are answered for: now or, on a
// read-only node, the time of the last event.
func (n *Node) Moment() time.Time {
	if n.config.ReadOnly {
		for e, err := range n.log.ReadAll(context.Background(), eventlog.End, eventlog.Backward, eventlog.Filter{}) {
			if err == nil {
				return e.Time
			}
			break
		}
	}
	return n.Now()
}

// ReadOnly reports whether the node only shows its log.
func (n *Node) ReadOnly() bool { return n.config.ReadOnly }

// Store returns the read models of the node.
func (n *Node) Store() *store.Store { return n.store }

// Bus returns the bus that runs the commands of the node.
func (n *Node) Bus() *commands.Bus { return n.bus }

// Follow makes the read models follow the log until ctx ends. It is called once.
func (n *Node) Follow(ctx context.Context) error {
	defer n.unfollow()
	if err := n.awaitApplied(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	return n.store.Run(ctx, n.log, store.Until{})
}

// Sync brings the read models up to the head of the log. It is for a Manual node.
func (n *Node) Sync(ctx context.Context) error {
	n.stepping.Lock()
	defer n.stepping.Unlock()
	head, err := n.log.Head(ctx)
	if err != nil {
		return err
	}
	if n.store.Position() >= head {
		return nil
	}
	return n.store.Run(ctx, n.log, store.Until{Position: head})
}

// errReadOnly refuses commands on a read-only node.
var errReadOnly = domain.Errorf(domain.Forbidden, "this node shows a log and takes no commands: it was started with --read-only; try one with ?dry_run=1")

func reactorsOf(config Config) []projections.Reactor {
	if config.ReadOnly {
		return nil
	}
	return wiring.Reactors()
}

// SeedOf derives the seed of a decision from the id of its command, so that the command is
// decided in the same way wherever it runs.
func SeedOf(command string) uint64 {
	var short [128]byte
	sum := sha256.Sum256(append(append(short[:0], "seed\x00"...), command...))
	return binary.BigEndian.Uint64(sum[:8])
}

// The folders of a data folder.
const (
	LogFolder    = "log"
	ModelsFolder = "models"
	// ReadOnlyFolder holds the read models of a node that only shows the log.
	ReadOnlyFolder = "models-read-only"
	// ElsewhereFile is in a data folder that has only read models. It names their log.
	ElsewhereFile = "LOG"
)

// OpenLog opens the log of a data folder, for tools.
func OpenLog(data string, readOnly bool) (*pebblelog.Log, error) {
	return OpenLogWith(data, pebblelog.Options{ReadOnly: readOnly})
}

// OpenLogWith opens the log of a data folder, or makes one. It makes none in a folder that
// has read models or names a log elsewhere.
func OpenLogWith(data string, options pebblelog.Options) (*pebblelog.Log, error) {
	if text, err := os.ReadFile(filepath.Join(data, ElsewhereFile)); err == nil {
		return nil, domain.Errorf(domain.Unavailable, "data folder %s: its log is at %s", data, strings.TrimSpace(string(text)))
	}
	folder := filepath.Join(data, LogFolder)
	if IsMember(data) && !options.ReadOnly {
		return nil, domain.Errorf(domain.Conflict, "data folder %s: its log is replicated; serve it with --cluster-key, for what is written here alone no other node would have, or leave the cluster for good by removing %s", data, filepath.Join(data, raftlog.EntriesFolder))
	}
	if err := CheckComplete(data); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(folder); errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		if made, err := os.ReadDir(filepath.Join(data, ModelsFolder)); err == nil && len(made) > 0 {
			return nil, domain.Errorf(domain.Corrupt, "data folder %s: want the log that its read models were made from, found none in %s; put it back, or remove %s to begin with an empty log",
				data, folder, filepath.Join(data, ModelsFolder))
		}
	}
	return pebblelog.Open(folder, options)
}

// IsMember reports whether a data folder is that of a member of a cluster.
func IsMember(data string) bool {
	entries, err := os.ReadDir(filepath.Join(data, raftlog.EntriesFolder))
	return err == nil && len(entries) > 0
}

// CheckComplete refuses a data folder to which a log was being restored or salvaged when
// that was interrupted: a log that began there anew would be taken for the one restored.
func CheckComplete(data string) error {
	folder := filepath.Join(data, LogFolder)
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	partial := folder + pebblelog.PartialSuffix
	if _, err := os.Stat(partial); err != nil {
		return nil
	}
	return domain.Errorf(domain.Conflict, "data folder %s: want a log, found one that was interrupted while it was restored or salvaged; repeat that, or remove %s to begin with an empty log", data, partial)
}
