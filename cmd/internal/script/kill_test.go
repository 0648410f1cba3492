//go:build unix

package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
)

// The variables that tell a child process, which is a copy of this test, when to die.
const (
	killFolder = "RIFT_KILL_FOLDER" // of its log and read models
	killScript = "RIFT_KILL_SCRIPT" // that it runs
	killAt     = "RIFT_KILL_AT"     // the moment at which it kills itself
)

// moment is when a process dies: before its n-th write to a file, or at its n-th step
// between writes.
type moment struct {
	Write bool  `json:"write,omitempty"`
	N     int64 `json:"n"`
	Flush int   `json:"flush"` // the read models reach the disk: 0 never, 1 before every step, 2 before some
}

func (m moment) String() string {
	text, _ := json.Marshal(m)
	return string(text)
}

// steps counts the writes and the other steps of a process.
type steps struct {
	writes, others atomic.Int64
	at             moment
	dies           func(step string)
}

func (s *steps) take(write bool, step string) {
	count := &s.others
	if write {
		count = &s.writes
	}
	if n := count.Add(1); s.dies != nil && write == s.at.Write && n == s.at.N {
		s.dies(step)
	}
}

// killStories are the scripts that are run by default: the whole training loop, and the
// queue with retries and dependants.
var killStories = []string{"training/the_loop.txt", "work/retry_until_dead.txt"}

// The commands of reactors are executed exactly once across kill -9 at any step. A process
// kills itself before a write to the files of the log or the read models, or around an
// append, the end of a command or its settlement; another process may kill itself while it
// recovers. Then the log is the same as without kills. RIFT_KILL_ROUNDS bounds the number
// of processes that are killed; 0 tries every step of every script.
func TestReactorsCommandsAreDoneOnceAcrossKills(t *testing.T) {
	if folder := os.Getenv(killFolder); folder != "" {
		carryOnUntilKilled(t, folder)
		return
	}
	rounds, stories := 8, killStories
	if text := os.Getenv("RIFT_KILL_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			t.Fatalf("RIFT_KILL_ROUNDS: want a whole number, found %q", text)
		}
		rounds, stories = n, allKillStories(t)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	killed := 0
	for i, story := range stories {
		path := filepath.Join(scripts, story)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, taken := undisturbed(t, string(text))
		if strings.Contains(want, " node-") {
			continue // when a node was last heard of dies with a process
		}
		share := (rounds - killed) / (len(stories) - i)
		for _, at := range moments(taken, share, rounds == 0, random) {
			killed += killedOnce(t, path, string(text), want, at, random)
			if t.Failed() {
				t.Fatalf("%s, killed at %s", story, at)
			}
		}
	}
	if killed < min(max(rounds, 1), 4) {
		t.Errorf("want processes killed, found %d", killed)
	}
	t.Logf("%d processes killed", killed)
}

// allKillStories lists the scripts whose reactors have something to do.
func allKillStories(t *testing.T) []string {
	t.Helper()
	var stories []string
	for _, path := range scriptFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\ndrain\n") && !strings.Contains(string(text), "\ncrash ") {
			stories = append(stories, strings.TrimPrefix(path, scripts+"/"))
		}
	}
	return stories
}

// undisturbed runs a script on a disk without kills. It returns the text of the log and the
// steps that were taken.
func undisturbed(t *testing.T, text string) (log string, taken *steps) {
	t.Helper()
	taken = &steps{at: moment{Flush: 1}}
	env := onDisk(t, t.TempDir(), taken)
	defer func() { _ = env.Close() }()
	carryOn(t, env, t.TempDir(), text)
	return readLog(t, env), taken
}

// moments returns when to kill: at all steps, or at a share of them, spread evenly over the
// script, of which every fourth is before a write.
func moments(taken *steps, share int, all bool, random *rand.Rand) []moment {
	var at []moment
	for _, write := range []bool{false, true} {
		total, some := taken.others.Load(), int64(share-share/4)
		if write {
			total, some = taken.writes.Load(), int64(share/4)
		}
		if all {
			some = total
		}
		for i := range some {
			from, to := 1+i*total/some, 1+(i+1)*total/some
			at = append(at, moment{Write: write, N: from + random.Int64N(max(to-from, 1)), Flush: int(i+1) % 3})
		}
	}
	return at
}

// killedOnce runs a script in a process that is killed, and in one case of two another that
// is killed while it recovers, finishes the script in this process and compares the logs.
// It returns the number of processes that died.
func killedOnce(t *testing.T, path, text, want string, at moment, random *rand.Rand) int {
	t.Helper()
	folder := t.TempDir()
	killed, said := start(t, folder, path, at)
	if killed == 1 && random.IntN(2) == 0 {
		again, more := start(t, folder, path, moment{N: 1 + random.Int64N(8), Flush: random.IntN(3)})
		killed, said = killed+again, said+more
	}
	env := onDisk(t, folder, &steps{})
	defer func() { _ = env.Close() }()
	carryOn(t, env, folder, text)
	if got := readLog(t, env); got != want {
		t.Errorf("%s\nthe log differs:\n%s", said, firstDifference(want, got))
	}
	return killed
}

// start runs a copy of this test that kills itself, and waits for its end.
func start(t *testing.T, folder, path string, at moment) (killed int, said string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run", "^"+t.Name()+"$")
	c.Env = append(os.Environ(), killFolder+"="+folder, killScript+"="+path, killAt+"="+at.String())
	told, err := c.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, "" // it was done before
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return 1, string(told)
	}
	t.Fatalf("%v\n%s", err, told)
	return 0, ""
}

// carryOnUntilKilled is what the child process runs.
func carryOnUntilKilled(t *testing.T, folder string) {
	t.Helper()
	var at moment
	if err := json.Unmarshal([]byte(os.Getenv(killAt)), &at); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(os.Getenv(killScript))
	if err != nil {
		t.Fatal(err)
	}
	env := onDisk(t, folder, &steps{at: at, dies: func(step string) {
		fmt.Fprintf(os.Stderr, "killed at %s, before %s\n", at, step)
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {} // until it arrives
	}})
	defer func() { _ = env.Close() }()
	carryOn(t, env, folder, string(text))
}

// onDisk opens a node on a folder and counts its steps: writes to files, appends, and the
// ends and settlements of commands. At each step its read models are written to disk or not,
// so that a kill leaves old ones as well as new ones.
func onDisk(t *testing.T, folder string, taken *steps) *Env {
	t.Helper()
	disk := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			taken.take(true, "a write to "+filepath.Base(filepath.Dir(op.Path))+"/"+filepath.Base(op.Path))
		}
		return nil
	}))
	now := Start
	var env *Env
	random := rand.New(rand.NewPCG(uint64(taken.at.N), 0))
	between := func(step string) {
		if taken.at.Flush == 1 || taken.at.Flush == 2 && random.IntN(2) == 0 {
			if err := env.node.Store().Flush(); err != nil {
				t.Error(err)
			}
		}
		taken.take(false, step)
	}
	log, err := pebblelog.Open(filepath.Join(folder, "log"), pebblelog.Options{FS: disk, Small: true, Clock: func() time.Time {
		if env != nil {
			now = env.now
		}
		return now
	}})
	if err != nil {
		t.Fatal(err)
	}
	options := Options{done: func(c domain.Command, _ commands.Result) { between("what follows " + c.CommandType()) }}
	env, err = over(watchedLog{log, between}, filepath.Join(folder, "models"), options, store.Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(errors.Join(err, log.Close()))
	}
	env.closeLog = log.Close
	return env
}

// progress is what the caller of a script knows to be done.
type progress struct {
	Directives int       `json:"directives"`
	Commands   int       `json:"commands"`
	Now        time.Time `json:"now"`
}

// carryOn runs the directives of a script that are not known to be done, and then the
// commands of the reactors.
func carryOn(t *testing.T, env *Env, folder, text string) {
	t.Helper()
	name := filepath.Join(folder, "progress")
	known := progress{Now: Start}
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		t.Fatal(err)
	default:
		if err := json.Unmarshal(data, &known); err != nil {
			t.Fatal(err)
		}
	}
	env.now, env.commands = known.Now, known.Commands
	directive := 0
	datadriven.RunTestFromString(t, text, func(t *testing.T, d *datadriven.TestData) string {
		if directive++; directive <= known.Directives {
			return d.Expected
		}
		env.Run(t.Context(), d)
		data, err := json.Marshal(progress{directive, env.commands, env.now})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(name+".new", data, 0o600), os.Rename(name+".new", name)); err != nil {
			t.Fatal(err)
		}
		return d.Expected
	})
	if err := env.settle(t.Context(), false, true); err != nil {
		t.Fatal(err)
	}
}
