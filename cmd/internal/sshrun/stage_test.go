//go:build unix

package sshrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ringrift/rift/cmd/internal/node"
	sshcmd "github.com/ringrift/rift/commands/sshtournament"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// stage is a node, the key that it shows, and a folder of the commands' notes.
type stage struct {
	t       *testing.T
	folder  string
	config  Config
	client  ssh.PublicKey
	backend transport.Backend
	calls   int
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, folder: t.TempDir()}
	s.configure()
	s.opens()
	return s
}

// configure makes the key and the files that hosts are known by.
func (s *stage) configure() {
	s.t.Helper()
	s.config = stageConfig(s.folder)
	s.config.Key, s.client = keyPair(s.t, s.folder, "id")
	s.config.Logger = slog.New(slog.NewTextHandler(s.t.Output(), nil))
	s.knows()
}

// stageConfig is how runs are coordinated in a folder.
func stageConfig(folder string) Config {
	return Config{
		KnownHosts: filepath.Join(folder, "known_hosts"),
		Backoff:    time.Millisecond, Grace: 10 * time.Second, Look: 20 * time.Millisecond,
	}
}

// opens opens the node of the stage's folder, until the test ends or closed is called.
func (s *stage) opens() (closed func()) {
	s.t.Helper()
	n, done, err := openNode(s.folder)
	if err != nil {
		s.t.Fatal(err)
	}
	s.backend = n.Backend()
	closed = sync.OnceFunc(func() {
		if err := done(); err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(closed)
	return closed
}

// openNode opens the node of a folder.
func openNode(folder string) (n *node.Node, done func() error, err error) {
	log, err := pebblelog.Open(filepath.Join(folder, "log"), pebblelog.Options{Small: true})
	if err != nil {
		return nil, nil, err
	}
	n, err = node.Open(node.Config{
		Node: "n1", Log: log, StoreDir: filepath.Join(folder, "models"), Manual: true, Store: store.Options{Small: true},
		Known: []any{sshtournament.Runner{On: true}},
	})
	if err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	return n, func() error { return errors.Join(n.Close(), log.Close()) }, nil
}

// knows writes the file of known hosts.
func (s *stage) knows(lines ...string) {
	s.t.Helper()
	if err := os.WriteFile(s.config.KnownHosts, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) do(command domain.Command) {
	s.t.Helper()
	s.calls++
	if _, err := s.backend.Do(s.t.Context(), transport.Call{Command: command, ID: fmt.Sprintf("test-%d", s.calls)}); err != nil {
		s.t.Fatal(err)
	}
}

// starts starts a run of two participants whose command behaves in a given manner.
func (s *stage) starts(manner string, games int, hosts ...string) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	retries := 3
	s.do(sshcmd.RunTournament{
		RunID: "r", Hosts: hosts, Participants: []string{"a", "b"}, GamesPerMatchup: games, GamesPerShard: 2, Retries: &retries, MaxParallelPerHost: 2,
		Command: []string{self, "remote", manner, s.folder},
	})
}

// runs lets a runner coordinate until the returned function is called.
func (s *stage) runs() (stop func()) {
	s.t.Helper()
	runner, err := New(s.config, s.backend)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = runner.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	s.t.Cleanup(stop)
	return stop
}

// until folds the run until it is as wanted.
func (s *stage) until(wanted func(sshtournament.Run) bool) (run sshtournament.Run, events []domain.Event) {
	s.t.Helper()
	for {
		var err error
		if run, events, err = foldRun(s.t.Context(), s.backend); err != nil {
			s.t.Fatal(err)
		}
		if wanted(run) {
			return run, events
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.t.Context().Done():
			s.t.Fatalf("want it otherwise, found it %s with %d games", run.State(), run.Games)
		}
	}
}

// foldRun folds the run that the log of a node has.
func foldRun(ctx context.Context, backend transport.Backend) (run sshtournament.Run, events []domain.Event, err error) {
	for e, err := range backend.Log().Read(ctx, sshtournament.ID("r").Stream(), 0, eventlog.Forward) {
		if err == nil {
			err = backend.Catalog().Fill(&e)
		}
		if err != nil {
			return run, nil, err
		}
		run, events = run.Evolve(e), append(events, e.Event)
	}
	return run, events, nil
}

func over(run sshtournament.Run) bool { return run.Over() }

// asked lists the games that commands were given, with repetitions.
func (s *stage) asked() map[string]int {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, "asked"))
	if err != nil {
		s.t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range strings.FieldsSeq(string(text)) {
		counts[line]++
	}
	return counts
}

// every checks that each game of the run is recorded once.
func every(t *testing.T, run sshtournament.Run, events []domain.Event, games int) {
	t.Helper()
	if run.State() != "done" || run.Games != games {
		t.Fatalf("want %d games and the end, found %d and %s: %+v", games, run.Games, run.State(), run.Finished)
	}
	told := map[int]int{}
	for _, e := range events {
		if game, ok := e.(sshtournament.GameRecorded); ok {
			told[game.Game.Number]++
		}
	}
	for game := 1; game <= games; game++ {
		if told[game] != 1 {
			t.Errorf("game %d: want it recorded once, found %d times", game, told[game])
		}
	}
}

func ends(events []domain.Event, how string) (list []sshtournament.ShardEnded) {
	for _, e := range events {
		if end, ok := e.(sshtournament.ShardEnded); ok && end.How == how {
			list = append(list, end)
		}
	}
	return list
}
