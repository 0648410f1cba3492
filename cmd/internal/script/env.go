// Package script is the interpreter behind golden scripts and behind `rift
// replay`: a node on a log, with a clock that moves only when told to, stepped
// one directive at a time. The same recording gives the same text, every time.
//
// It starts no actors and reads no wall clock. Read env.go (what a script has),
// then directives.go (what a script may say; each directive has an example).
package script

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/clustersim"
	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/projections/store/crashdisk"
	"github.com/ringrift/rift/transport"
)

// Start is the moment at which the clock of a script stands at first.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Options tune how a script is run. None of them may change what it prints.
type Options struct {
	BatchMax  int
	CacheRows int

	done func(domain.Command, commands.Result)
	read func(reactor, table string)
	wrap func(eventlog.Log) eventlog.Log

	recording bool // the log was written by others
}

// Env is what a script acts on.
type Env struct {
	options  Options
	fs       *crashdisk.Disk // of a script that can crash; nil on a log from elsewhere
	dir      string          // of the read models
	log      eventlog.Log
	closeLog func() error
	node     *node.Node
	handler  http.Handler // of node, nil until the first request
	catalog  *domain.Catalog
	now      time.Time
	commands int
	shown    domain.Position // events up to here have been printed

	cluster *clustersim.Cluster // nil: a script of one node
	world   *clustersim.World   // with those who work on it; nil: nobody does
	host    *clustersim.Host    // of node, in a cluster
}

// New makes a node on an empty log in a memory that can crash.
func New(options Options) (*Env, error) {
	env := &Env{options: options, fs: crashdisk.New(), dir: "models", now: Start}
	return env, env.open()
}

// over makes a node on a log from elsewhere, its read models in a folder.
func over(log eventlog.Log, dir string, options Options, models store.Options) (*Env, error) {
	env := &Env{options: options, dir: dir, log: log, closeLog: func() error { return nil }, now: Start}
	return env, env.openNode(models)
}

// open puts the log and the node together from what is on disk.
func (env *Env) open() error {
	log, err := pebblelog.Open("log", pebblelog.Options{FS: env.fs, Small: true, Clock: func() time.Time { return env.now }})
	if err != nil {
		return err
	}
	env.log, env.closeLog = log, log.Close
	if env.options.wrap != nil {
		env.log = env.options.wrap(log)
	}
	return env.openNode(store.Options{FS: env.fs, Small: true})
}

func (env *Env) openNode(options store.Options) (err error) {
	if env.catalog, err = wiring.Catalog(); err != nil {
		return err
	}
	options.BatchMax, options.CacheRows = env.options.BatchMax, env.options.CacheRows
	options.OnRead = env.options.read
	options.Snapshots = store.SnapshotPolicy{Every: -1}
	options.OutboxMax = -1
	env.node, err = node.Open(node.Config{
		Node: "n1", Log: env.log, StoreDir: env.dir, Manual: true, Store: options, Recording: env.options.recording,
		Clock: func() time.Time { return env.now }, Done: env.options.done,
		Known: []any{sshtournament.Runner{On: true}},
	})
	if err != nil {
		return err
	}
	voter, err := elector.OpenVoter(elector.VoterConfig{
		Node: "n1", FS: env.voterDisk(), Known: env.node.Elected,
		Since: func() time.Duration { return env.now.Sub(Start) }, Now: func() time.Time { return env.now },
	})
	if err != nil {
		return err
	}
	env.node.Lend(voter)
	env.handler = nil
	return nil
}

// serve answers a request by the routes of the node, which are made for the first: a
// replay that asks for nothing costs half as much without them.
func (env *Env) serve(w http.ResponseWriter, r *http.Request) {
	if env.handler == nil {
		handler, err := transport.NewHandler(env.node.Backend(), transport.Config{Now: func() time.Time { return env.now }}, wiring.Areas()...)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		env.handler = handler
	}
	env.handler.ServeHTTP(w, r)
}

// voterDisk is where the ballot of a script's node is.
func (env *Env) voterDisk() vfs.FS {
	if env.fs == nil {
		return vfs.NewMem()
	}
	return env.fs
}

// Close lets go of everything.
func (env *Env) Close() error {
	if env.cluster != nil {
		return env.cluster.Close()
	}
	return errors.Join(env.node.Close(), env.closeLog())
}

// crash loses the process and a share of what was not synced, and starts again.
func (env *Env) crash(keepPercent int, seed uint64) error {
	if env.fs == nil {
		return domain.Errorf(domain.Invalid, "crash: want a log in memory")
	}
	clone := env.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keepPercent, RNG: newRand(seed)})
	if err := env.Close(); err != nil {
		return err
	}
	env.fs = clone
	return env.open()
}

// settle lets the clock and the reactors run until nothing more happens.
func (env *Env) settle(ctx context.Context, clock, reactors bool) error {
	for range maxRounds {
		happened := 0
		if err := env.node.Sync(ctx); err != nil {
			return err
		}
		if clock {
			ticked, err := env.node.TickOnce(ctx)
			if err != nil {
				return err
			}
			happened += ticked
		}
		if reactors {
			if err := env.node.Sync(ctx); err != nil {
				return err
			}
			drained, err := env.node.DrainOnce(ctx)
			if err != nil {
				return err
			}
			happened += drained
		}
		if happened == 0 {
			return env.node.RecordFailures(ctx)
		}
	}
	return domain.Errorf(domain.Internal, "clock and reactors do not come to rest within %d rounds", maxRounds)
}

// maxRounds bounds how often clock and reactors may answer each other.
const maxRounds = 10000

// news prints the events that nobody has seen yet.
func (env *Env) news(ctx context.Context) (string, error) {
	var b strings.Builder
	if env.cluster != nil {
		fresh := env.cluster.Truth()[env.shown:]
		for _, e := range fresh {
			if env.world == nil || e.Type == (election.LeaderChanged{}).EventType() {
				fmt.Fprintln(&b, e)
			}
			env.shown = e.Position
		}
		if env.world != nil && len(fresh) > 0 {
			fmt.Fprintf(&b, "%d events more\n", len(fresh)) // of those who work: too many to read
		}
		return b.String(), nil
	}
	for e, err := range env.log.ReadAll(ctx, env.shown+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return b.String(), err
		}
		fmt.Fprintln(&b, e)
		env.shown = e.Position
	}
	return b.String(), nil
}

// Digest brings the read models up to date and tells what they hash to.
func (env *Env) Digest(ctx context.Context) (store.Digest, error) {
	if err := env.to(nil); err != nil {
		return store.Digest{}, err
	}
	if err := env.node.Sync(ctx); err != nil {
		return store.Digest{}, err
	}
	return env.node.Store().Digest(ctx)
}

// View shows the read models, up to date.
func (env *Env) View(ctx context.Context, f func(projections.View) error) error {
	if err := env.node.Sync(ctx); err != nil {
		return err
	}
	return env.node.Store().View(f)
}

// Log is the log of the script.
func (env *Env) Log() eventlog.Log { return env.log }

// Node is the node of the script.
func (env *Env) Node() *node.Node { return env.node }

// To brings the read models to a position and no further.
func (env *Env) To(ctx context.Context, position domain.Position) error {
	return env.node.Store().Run(ctx, env.log, store.Until{Position: position})
}

// Ask answers a query of the node's own routes as of what the read models have
// applied: "/work/status", "/work/items?state=queued".
func (env *Env) Ask(ctx context.Context, path string) (status int, body []byte) {
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	request.Header.Set("X-Request-Id", "script")
	recorder := httptest.NewRecorder()
	env.serve(recorder, request)
	return recorder.Code, recorder.Body.Bytes()
}

// Pending lists what reactors want done and nobody has done yet.
func (env *Env) Pending(ctx context.Context) ([]store.OutboxEntry, error) {
	return env.node.Store().Outbox(ctx, store.Cursor{}, maxPending)
}

// maxPending bounds what one look at the outbox shows.
const maxPending = 10000
