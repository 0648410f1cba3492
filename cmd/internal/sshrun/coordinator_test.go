//go:build unix

package sshrun

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringrift/rift/domain/sshtournament"
)

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
