// Package node composes one rift process: a log, the read models that follow
// it, the bus that decides, the outbox that reactors fill, and the clock that
// turns deadlines into commands. `rift serve` runs its actors with the wall
// clock; scripts and replays step through the same parts by hand with a clock
// of their own. It decides nothing itself.
//
// Read node.go (the parts), then drain.go and clock.go (what moves by itself),
// then backend.go (what the HTTP edge gets to see).
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
	// Leadership tells whether this node decides, where several share a log; nil: it
	// does. A node that does not lead follows the log and takes no command.
	Leadership eventlog.Leadership
	// Members gives who replicates the log, nil while that is not to be written down, and
	// a channel that is closed when it is another; nil: nobody else has the log.
	Members func() (*Membership, <-chan struct{})
	// Sparse says that the log's positions have gaps, as places in a file have: how far
	// apart two of them are says little of how many events are between.
	Sparse bool
	// StoreDir is the folder of the read models, and Store tunes them.
	StoreDir string
	Store    store.Options
	// Clock is the time of a node that is stepped through a time of its own; nil: a
	// Clock of this process.
	Clock func() time.Time
	// Clocks are those of the machine that a Clock of this process is made from: the
	// time of day, and how long the machine has been awake; nil: the system's.
	Clocks func() (wall time.Time, awake time.Duration)
	// Stood, with Clocks, is how long the process has stood still so far, for a node
	// whose clock is read only when something happens; nil: it stood still whenever
	// the clock was not read for a while.
	Stood func() time.Duration
	// Manual says that nobody runs the actors: a command that needs the read
	// models to be up to date brings them there itself.
	Manual bool
	// Paced, for a Manual node, says that it is stepped through long times: it
	// looks around as seldom as a running node does, reads the policy again only
	// after it changed it, and glances at read models as they are.
	Paced bool
	// ReadOnly says that the node shows a log and changes nothing: commands are
	// refused, no reactor looks at its events, and nobody decides deadlines. Its
	// read models are to stand in a folder of their own, for reactors that were
	// away would take what they missed for done.
	ReadOnly bool
	// Rebuilt says that the read models were discarded to be made anew: reactors begin
	// behind what the log says was settled, as they would have gone on.
	Rebuilt bool
	// OnShutdown is told when somebody asks the node to stop.
	OnShutdown func(reason string, grace time.Duration)
	Logger     *slog.Logger
	// Disk tells the free bytes of the data folder, for health; nil when nobody knows.
	Disk func() (free, total uint64, err error)
	// Remembered bounds the bytes of what streams come to that are kept between
	// commands; 0 means 128 MiB.
	Remembered int64
	// QueueBytes bounds the memory that live items take, about: beyond it callers can
	// add no more; 0 is no bound.
	QueueBytes int64
	// Forgetful says that every decision reads its stream from the log. It is for
	// tests and measurements: the answers are the same.
	Forgetful bool
	// Facts and Level are what the node tells others of itself; nil: nothing.
	Facts json.RawMessage
	Level func() nodes.Level
	// Known is put into the facts of every command: what single areas look at besides.
	Known []any
	// Done is told of every command that was run, with what came of it. It is
	// for tests; nil costs nothing.
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
	steady  *Clock        // that clock reads; nil: the time is another's
	off     time.Duration // of the wall clock, as it was told last

	presence   commands.Presence // as the clock's actor knows it
	refusedDue map[string]int    // ticks one after the other that refused a command of the clock, by its id
	logger     *slog.Logger
	started    time.Time

	failures chan store.Failure // to be recorded as HANDLER_FAILED
	lost     atomic.Uint64      // failures that found the channel full
	draining atomic.Bool        // set while stopping: no more claims
	drained  atomic.Uint64      // commands of reactors run so far
	settled  atomic.Uint64      // position up to which the outbox has been run
	decisive atomic.Uint64      // position of the last event, of other areas, that claims have to know
	policy   atomic.Pointer[readPolicy]
	keys     *keys
	tenure   tenure
	relay    *relay.Hub
	gossip   *gossip.Gossip
	parts    []any                    // lent to endpoints besides; see Lend
	expects  map[string][]domain.Code // refusals of commands, by reactor
	opened   domain.Position          // the log's head when the node was opened
	stepping sync.Mutex               // one Sync at a time when Manual

	following context.Context // ends when nobody follows the log any more
	unfollow  context.CancelFunc
}

// Open puts a node together; the log stays the caller's to close.
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
	if !config.Forgetful {
		n.bus.Memory = newMemory(config.Remembered)
	}
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

// failuresAgain has what is parked written down once more: the process may have
// ended between the two, and what is on the log already stays as it is.
func (n *Node) failuresAgain() error {
	letters, err := n.store.DeadLetters()
	for _, letter := range letters {
		if letter.Command != "" {
			continue // it was parked because it is on the log
		}
		select {
		case n.failures <- store.Failure{
			Handler: letter.Handler, Position: letter.EventPosition, EventID: letter.EventID, EventType: letter.EventType,
			Err: errors.New(letter.Error), Attempts: letter.Attempts,
		}:
		default:
			return err // the rest was parked long ago
		}
	}
	return err
}

// Close decides what waits and closes the read models. Follow must have ended.
func (n *Node) Close() error {
	n.relay.Close()
	n.unfollow()
	n.work.close()
	return n.store.Close()
}

// EndWaits has everybody go who waits at this node for another one, so that a
// server can stop.
func (n *Node) EndWaits() { n.relay.Stop() }

// Gossip is what the node knows of others by what they say of themselves.
func (n *Node) Gossip() *gossip.Gossip { return n.gossip }

// Heard notes that a node is alive by what others found out, which is no word of its
// own: LastHeard does not tell of it.
func (n *Node) Heard(node domain.NodeID) { n.levels.alive(node, n.clock()) }

// LastHeard is when a node last gave a sign of life itself, by the time of this
// process; zero: not yet.
func (n *Node) LastHeard(node domain.NodeID) time.Time {
	word := n.levels.lastWord(node)
	if word.IsZero() {
		return word
	}
	return time.Now().Add(word.Sub(n.clock()))
}

// Lend gives the endpoints a part of the process that they find by its type. It is
// called before they serve.
func (n *Node) Lend(part any) { n.parts = append(n.parts, part) }

// Now is the node's time.
func (n *Node) Now() time.Time { return n.clock() }

// Moment is the time that a question is about: now or, where a log is only shown,
// when its last event was.
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

// ReadOnly tells a node that only shows its log.
func (n *Node) ReadOnly() bool { return n.config.ReadOnly }

// Store is the node's read models.
func (n *Node) Store() *store.Store { return n.store }

// Bus is what runs the node's commands.
func (n *Node) Bus() *commands.Bus { return n.bus }

// Follow keeps the read models up with the log until ctx ends, once in a node's life.
func (n *Node) Follow(ctx context.Context) error {
	defer n.unfollow()
	return n.store.Run(ctx, n.log, store.Until{})
}

// Sync brings the read models up to the log's head. Only for a Manual node.
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

// upTo waits until the read models have applied a position.
func (n *Node) upTo(ctx context.Context, p domain.Position) error {
	if n.store.Position() >= p {
		return nil
	}
	if n.config.Manual {
		return n.Sync(ctx)
	}
	return n.store.WaitFor(ctx, p)
}

// errReadOnly is the answer of a node that changes nothing.
var errReadOnly = domain.Errorf(domain.Forbidden, "this node shows a log and takes no commands: it was started with --read-only; try one with ?dry_run=1")

func reactorsOf(config Config) []projections.Reactor {
	if config.ReadOnly {
		return nil
	}
	return wiring.Reactors()
}

// SeedOf draws the seed of a decision from its command's id, so that the same
// command decides the same wherever it runs.
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
	// ElsewhereFile says where the log is whose read models a data folder without one
	// of its own has.
	ElsewhereFile = "LOG"
)

// OpenLog opens the log of a data folder, for tools beside a node.
func OpenLog(data string, readOnly bool) (*pebblelog.Log, error) {
	return OpenLogWith(data, pebblelog.Options{ReadOnly: readOnly})
}

// OpenLogWith opens the log of a data folder. It makes none where read models show
// that there was one, or where it is said to be elsewhere.
func OpenLogWith(data string, options pebblelog.Options) (*pebblelog.Log, error) {
	if text, err := os.ReadFile(filepath.Join(data, ElsewhereFile)); err == nil {
		return nil, domain.Errorf(domain.Unavailable, "data folder %s: its log is at %s", data, strings.TrimSpace(string(text)))
	}
	folder := filepath.Join(data, LogFolder)
	if entries, err := os.ReadDir(filepath.Join(data, raftlog.EntriesFolder)); err == nil && len(entries) > 0 && !options.ReadOnly {
		return nil, domain.Errorf(domain.Conflict, "data folder %s: its log is replicated; serve it with --cluster-key, for what is written here alone no other node would have", data)
	}
	if entries, err := os.ReadDir(folder); errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		if made, err := os.ReadDir(filepath.Join(data, ModelsFolder)); err == nil && len(made) > 0 {
			return nil, domain.Errorf(domain.Corrupt, "data folder %s: want the log that its read models were made from, found none in %s; put it back, or remove %s to begin with an empty log",
				data, folder, filepath.Join(data, ModelsFolder))
		}
	}
	return pebblelog.Open(folder, options)
}
