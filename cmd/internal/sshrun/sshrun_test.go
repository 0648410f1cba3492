//go:build unix

package sshrun

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"

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

// Two hosts play a run, each game once.
func TestHostsPlayARun(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one, other := startSSHD(t, s.folder, s.client), startSSHD(t, s.folder, s.client)
	s.knows(one.known, other.known)
	s.starts("well", 12, one.address, other.address)
	s.runs()
	run, events := s.until(over)
	every(t, run, events, 12)
	for game, times := range s.asked() {
		if times != 1 {
			t.Errorf("%s: want it asked for once, found %d times", game, times)
		}
	}
	if first := run.Finished.Standings[0]; first.Points != 6 || first.Games != 12 {
		t.Errorf("want 6 of 12 points each, for the first seat wins, found %+v", first)
	}
}

// A command that crashes, prints garbage or too much, or is not a match command
// fails its shard there; its earlier results count, and another host plays the
// rest.
func TestACommandThatFailsIsTriedElsewhere(t *testing.T) {
	t.Parallel()
	for manner, reason := range map[string]string{
		"die":     "exit code 3: out of [31m memory",
		"rubbish": "want a JSON object",
		"draw":    "want result.ranks of a game, or games, found neither",
		"flood":   "found a longer one",
	} {
		t.Run(manner, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			one, other := startSSHD(t, s.folder, s.client), startSSHD(t, s.folder, s.client)
			s.knows(one.known, other.known)
			s.starts(manner, 2, one.address, other.address)
			s.runs()
			run, events := s.until(over)
			every(t, run, events, 2)
			failed, done := ends(events, sshtournament.EndFailed), ends(events, sshtournament.EndDone)
			if len(failed) != 1 || !strings.Contains(failed[0].Reason, reason) {
				t.Fatalf("want one failure because of %q, found %+v", reason, failed)
			}
			if len(done) != 1 || done[0].Host == failed[0].Host {
				t.Errorf("want it done on another host than %s, found %+v", failed[0].Host, done)
			}
			if asked := s.asked(); asked["r:1.1"] != 1 || asked["r:1.2"] < 1 {
				t.Errorf("want the game that was told asked for once, found %v", asked)
			}
		})
	}
}

// A command that hangs is ended when its time is over, and tried again.
func TestACommandThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	retries := 20
	s.do(sshcmd.RunTournament{
		RunID: "r", Hosts: []string{one.address}, Participants: []string{"a", "b"}, GamesPerMatchup: 2, Retries: &retries, ShardSeconds: 2,
		Command: []string{self, "remote", "hang", s.folder},
	})
	s.runs()
	run, events := s.until(over)
	every(t, run, events, 2)
	failed := ends(events, sshtournament.EndFailed)
	if len(failed) == 0 || failed[0].Reason != "it ran over its time of 2s" {
		t.Errorf("want it failed for its time, found %+v", failed)
	}
	s.gone()
}

// A server's shell passes every word to the command unchanged.
func TestAServerReadsWordsAsTheyAre(t *testing.T) {
	s := newStage(t)
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	keys, err := newHostKeys(s.config.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	host, err := sshtournament.ParseHost(one.address)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"it's", "$(touch " + filepath.Join(s.folder, "made") + ")", "`id`", "; exit 7", "a  b", "\\", "*", "~", "-n", "!!", "é"}
	var read []string
	err = s.config.filled().play(t.Context(), keys, host, append([]string{"printf", "<%s>\\n"}, words...), nil, func(line []byte) error {
		read = append(read, strings.TrimSuffix(strings.TrimPrefix(string(line), "<"), ">"))
		return nil
	})
	if err != nil || !slices.Equal(read, words) {
		t.Errorf("want %q, found %q, %v", words, read, err)
	}
	if _, err := os.Stat(filepath.Join(s.folder, "made")); err == nil {
		t.Error("want no word run as a command")
	}
}

// FuzzLines checks for lines within their limits, or an error.
func FuzzLines(f *testing.F) {
	f.Add([]byte("12\n{\"games\":[]}\n\n"))
	f.Add([]byte("\r\n\x00\xff"))
	f.Fuzz(func(t *testing.T, output []byte) {
		_ = readLines(bytes.NewReader(output), func(line []byte) error {
			if len(line) == 0 || len(line) > maxLine || bytes.ContainsRune(line, '\n') {
				t.Fatalf("found a line of %d bytes", len(line))
			}
			return nil
		})
	})
}

// gone waits until the commands that hung have ended.
func (s *stage) gone() {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, "pids"))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			s.t.Fatal(err)
		}
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-s.t.Context().Done():
				s.t.Fatalf("want process %d ended", pid)
			}
		}
	}
}

// zombie reports whether a process has exited and was not reaped yet.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ")
	return err == nil && strings.HasPrefix(after, "Z")
}

// A run that is cancelled ends its commands on the hosts.
func TestCancellingEndsCommands(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	s.starts("hang", 4, one.address)
	s.runs()
	s.until(func(run sshtournament.Run) bool { return run.Games == 2 }) // the first of both shards
	s.do(sshcmd.Cancel{RunID: "r", Reason: "enough seen"})
	s.gone()
	if run, _ := s.until(over); run.State() != "cancelled" || run.Games != 2 {
		t.Errorf("want it cancelled with 2 games, found %s with %d", run.State(), run.Games)
	}
}

// A node that is not the leader starts nothing on the hosts; one that loses the
// leadership stops its commands, and leaves the run to the next leader.
func TestOnlyTheLeaderCoordinates(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var leads atomic.Bool
	var asked atomic.Int64
	s.config.Leads = func() bool {
		asked.Add(1)
		return leads.Load()
	}
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	s.starts("hang", 4, one.address)
	s.runs()
	looks := func(count int64) {
		t.Helper()
		for want := asked.Load() + count; asked.Load() < want; <-time.After(time.Millisecond) {
			if t.Context().Err() != nil {
				t.Fatal("want it to ask whether it leads")
			}
		}
	}
	looks(25) // a run would be found within a few looks
	if _, err := os.Stat(filepath.Join(s.folder, "asked")); !os.IsNotExist(err) {
		t.Fatalf("want nothing asked of a host, found a note of it, %v", err)
	}
	leads.Store(true)
	s.until(func(run sshtournament.Run) bool { return run.Games == 2 }) // the first of both shards
	leads.Store(false)
	s.gone()
	looks(3)
	if run, _ := s.until(func(sshtournament.Run) bool { return true }); run.Over() || run.Games != 2 {
		t.Errorf("want the run left as it is with 2 games, found %s with %d", run.State(), run.Games)
	}
}

// A restarted coordinator continues with what is missing: no recorded game is
// requested again, and no retry is used up.
func TestACoordinatorThatStartsAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	s.starts("hang", 8, one.address)
	stop := s.runs()
	s.until(func(run sshtournament.Run) bool { return run.Games == 2 })
	stop()
	s.gone()
	s.runs()
	run, events := s.until(func(run sshtournament.Run) bool {
		shard, _ := run.Shard(4)
		return run.Over() || shard.State() == "running" && len(shard.Played) == 1 // the others hang once as well
	})
	if len(ends(events, sshtournament.EndInterrupted)) < 2 || len(ends(events, sshtournament.EndFailed)) > 0 {
		t.Errorf("want both shards interrupted and none failed, found %+v", events)
	}
	for _, game := range []string{"r:1.1", "r:1.3"} {
		if times := s.asked()[game]; times != 1 {
			t.Errorf("%s: want it asked for once, found %d times", game, times)
		}
	}
	if done, _ := run.Shard(1); done.State() != "done" {
		t.Errorf("want the first shard done, found it %s", done.State())
	}
}

// A coordinator that is killed leaves nothing running on the hosts, and the process that
// opens its folder next goes on with what is missing.
func TestACoordinatorThatIsKilled(t *testing.T) {
	t.Parallel()
	s := &stage{t: t, folder: t.TempDir()}
	s.configure()
	closed := s.opens()
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	s.starts("hang", 4, one.address)
	closed()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(self, "coordinate", s.folder)
	process.Stderr = os.Stderr
	said, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatalf("want a word of the first games, found %v", err)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // it was killed
	s.gone()
	s.opens()
	before, _ := s.until(func(sshtournament.Run) bool { return true })
	if before.Games != 2 || before.Over() {
		t.Fatalf("want the 2 games of %q on the log, found %d", line, before.Games)
	}
	s.runs()
	run, events := s.until(over)
	every(t, run, events, 4)
	for _, game := range []string{"r:1.1", "r:1.3"} {
		if times := s.asked()[game]; times != 1 {
			t.Errorf("%s: want it asked for once, found %d times", game, times)
		}
	}
	if failed := ends(events, sshtournament.EndFailed); len(failed) > 0 {
		t.Errorf("want no retry spent, found %+v", failed)
	}
}

// coordinate is a process that coordinates the run of a folder until it is killed.
// It prints when the first two games are in the log.
func coordinate(folder string) error {
	n, _, err := openNode(folder)
	if err != nil {
		return err
	}
	config := stageConfig(folder)
	config.Key = filepath.Join(folder, "id")
	runner, err := New(config, n.Backend())
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(context.Background()) }()
	for {
		run, _, err := foldRun(context.Background(), n.Backend())
		if err != nil {
			return err
		}
		if run.Games == 2 {
			if _, err := os.Stdout.WriteString("2 games\n"); err != nil {
				return err
			}
			return <-ended
		}
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A key in an agent works like one in a file; a missing agent is an error that says
// so.
func TestAnAgentHoldsTheKey(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	secret, err := readRawKey(s.config.Key)
	if err != nil {
		t.Fatal(err)
	}
	held := agent.NewKeyring()
	if err := held.Add(agent.AddedKey{PrivateKey: secret}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(s.folder, "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				_ = agent.ServeAgent(held, conn) // until the client closes
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		served.Wait()
	})
	s.config.Key, s.config.Agent = "", socket
	one := startSSHD(t, s.folder, s.client)
	s.knows(one.known)
	s.starts("well", 4, one.address)
	stop := s.runs()
	run, events := s.until(over)
	every(t, run, events, 4)
	stop()
	absent := s.config
	absent.Agent = filepath.Join(s.folder, "nobody")
	if _, release, err := absent.filled().auth(); domain.CodeOf(err) != domain.Unavailable {
		release()
		t.Errorf("want an agent that is not there unavailable, found %v", err)
	}
}

func readRawKey(path string) (any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ssh.ParseRawPrivateKey(text)
}

// Hosts whose key is not known, is another, or that do not know the node's, are used
// no more; so are those that do not answer.
func TestHostsThatAreNoHosts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, stranger := keyPair(t, s.folder, "stranger")
	good, unknown, changed, closed := startSSHD(t, s.folder, s.client), startSSHD(t, s.folder, s.client), startSSHD(t, s.folder, s.client), startSSHD(t, t.TempDir(), stranger)
	forced := startSSHD(t, s.folder, s.client, "ForceCommand echo hello")
	refusing := listening(t, func(conn net.Conn) { _ = conn.Close() })
	rubbish := listening(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		_ = conn.Close()
	})
	line := func(h host, like string) string { // another's key under its name
		_, key, _ := strings.Cut(like, " ")
		name, _, _ := strings.Cut(h.known, " ")
		return name + " " + key
	}
	s.knows(good.known, line(changed, good.known), closed.known, forced.known, line(refusing, good.known), line(rubbish, good.known))
	bad := []host{unknown, changed, closed, refusing, rubbish, forced}
	hosts := []string{}
	for _, h := range bad {
		hosts = append(hosts, h.address)
	}
	s.starts("well", 14, append(hosts, good.address)...)
	s.runs()
	run, _ := s.until(over)
	if run.State() != "done" || run.Games != 14 {
		t.Fatalf("want every game played by the one good host, found %s with %d: %+v", run.State(), run.Games, run.Finished)
	}
	for i, want := range []string{"is not known: add it", "is not the known one", "does not take the node's key", "", "", ""} {
		if life := run.Host(hosts[i]); want != "" && !strings.Contains(life.Dropped, want) {
			t.Errorf("%s: want it dropped because %q, found %+v", hosts[i], want, life)
		}
	}
	for shard := range run.Shards() {
		if slices.Contains(shard.Tried, good.address) {
			t.Errorf("shard %d: want the good host never to fail, found %+v", shard.Number, shard)
		}
	}
}

// A run whose hosts are all silent ends.
func TestSilentHostsEndARun(t *testing.T) {
	s := newStage(t)
	_, key := keyPair(t, s.folder, "any")
	silent := listening(t, func(net.Conn) {})
	s.knows(strings.Replace(silent.known, "KEY", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), 1))
	s.config.Dial = 50 * time.Millisecond
	s.starts("well", 2, silent.address)
	s.runs()
	run, events := s.until(over)
	if run.State() != "failed" || run.Finished.Reason != "no host is left" || run.Finished.Missing != 2 {
		t.Errorf("want it failed for want of hosts, found %s: %+v", run.State(), run.Finished)
	}
	if failures := ends(events, sshtournament.EndHost); len(failures) != 3 || !strings.Contains(failures[0].Reason, "want a greeting within") {
		t.Errorf("want three failures of the host, found %+v", failures)
	}
}

// listening is a port where something answers that is no SSH server.
func listening(t *testing.T, answer func(net.Conn)) host {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open []net.Conn // until the test ends, for one that is collected is closed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open = append(open, conn)
			answer(conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	port := listener.Addr().(*net.TCPAddr).Port
	return host{port, fmt.Sprintf("[127.0.0.1]:%d KEY", port), fmt.Sprintf("nobody@127.0.0.1:%d", port)}
}
