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

// Start is the time of a script's clock at first.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Options are the options of a script. They must not change its output.
type Options struct {
	BatchMax  int
	CacheRows int

	done func(domain.Command, commands.Result)
	read func(reactor, table string)
	wrap func(eventlog.Log) eventlog.Log

	recording bool // other nodes wrote the log
}

// Env is the state of a script.
type Env struct {
	options  Options
	fs       *crashdisk.Disk // the disk of a script that can crash; nil for another log
	dir      string          // folder of the read models
	log      eventlog.Log
	closeLog func() error
	node     *node.Node
	handler  http.Handler // of node, nil until the first request
	catalog  *domain.Catalog
	now      time.Time
	commands int
	shown    domain.Position // events up to here have been printed

	cluster *clustersim.Cluster // nil in a script of one node
	world   *clustersim.World   // the cluster with simulated workers; nil: there are none
	host    *clustersim.Host    // the host of node, in a cluster
}

// New returns a node on an empty log, on a disk in memory that can crash.
func New(options Options) (*Env, error) {
	env := &Env{options: options, fs: crashdisk.New(), dir: "models", now: Start}
	return env, env.open()
}

// over returns a node on an existing log, with its read models in a folder.
func over(log eventlog.Log, dir string, options Options, models store.Options) (*Env, error) {
	env := &Env{options: options, dir: dir, log: log, closeLog: func() error { return nil }, now: Start}
	return env, env.openNode(models)
}

// open opens the log and the node from the disk.
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

// serve answers a request by the routes of the node. It makes the routes at the first
// request, because a replay without queries takes half as long without them.
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

// voterDisk returns the disk of the node's ballot.
func (env *Env) voterDisk() vfs.FS {
	if env.fs == nil {
		return vfs.NewMem()
	}
	return env.fs
}

// Close closes the node and the log.
func (env *Env) Close() error {
	if env.cluster != nil {
		return env.cluster.Close()
	}
	return errors.Join(env.node.Close(), env.closeLog())
}

// crash ends the process, loses a share of what was not synced, and opens the node again.
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

// settle runs the clock and the reactors until nothing more happens.
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

// maxRounds bounds the rounds of settle.
const maxRounds = 10000

// news shows the events that were not shown before.
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
			fmt.Fprintf(&b, "%d events more\n", len(fresh)) // the workers append too many to review
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

// Digest brings the read models up to date and returns their digest.
func (env *Env) Digest(ctx context.Context) (store.Digest, error) {
	if err := env.to(nil); err != nil {
		return store.Digest{}, err
	}
	if err := env.node.Sync(ctx); err != nil {
		return store.Digest{}, err
	}
	return env.node.Store().Digest(ctx)
}

// View calls f with read models that are up to date.
func (env *Env) View(ctx context.Context, f func(projections.View) error) error {
	if err := env.node.Sync(ctx); err != nil {
		return err
	}
	return env.node.Store().View(f)
}

// Log returns the log of the script.
func (env *Env) Log() eventlog.Log { return env.log }

// Node returns the node of the script.
func (env *Env) Node() *node.Node { return env.node }

// To brings the read models up to a position, and not beyond it.
func (env *Env) To(ctx context.Context, position domain.Position) error {
	return env.node.Store().Run(ctx, env.log, store.Until{Position: position})
}

// Ask answers a GET by the routes of the node, on the read models as they are:
// "/work/status", "/work/items?state=queued".
func (env *Env) Ask(ctx context.Context, path string) (status int, body []byte) {
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	request.Header.Set("X-Request-Id", "script")
	recorder := httptest.NewRecorder()
	env.serve(recorder, request)
	return recorder.Code, recorder.Body.Bytes()
}

// Pending returns the commands of reactors that wait in the outbox.
func (env *Env) Pending(ctx context.Context) ([]store.OutboxEntry, error) {
	return env.node.Store().Outbox(ctx, store.Cursor{}, maxPending)
}

// maxPending bounds the commands that Pending returns.
const maxPending = 10000
