//go:build unix

package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// A hostile item hurts only itself: beside each of them an honest one is run
// to its end by the same worker, and nothing of the hostile one is left.
func TestHostileItems(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(`{"secret":"of the worker"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		guest   []string
		payload string
		change  func(*Config)
		state   work.State
		says    string // expected in the error or the result
	}{
		{name: "huge output", guest: []string{"flood", "30000000"}, state: work.StateDone, says: "the end of the flood"},
		{name: "endless output", guest: []string{"flood", "2000000000"}, change: func(c *Config) { c.MaxOutput = 1 << 20 }, state: work.StateDead, says: "more output than is allowed"},
		{name: "output that is not text", guest: []string{"binary"}, state: work.StateDead, says: "exit code 9\n--- the last of stderr ---\ncaf\uFFFD caf\u00e9\n--- the last of stdout ---\n\uFFFD\uFFFD\uFFFD[31mred"},
		{name: "standard input is not read", guest: []string{"exit", "0", ""}, payload: `"` + strings.Repeat("x", 200_000) + `"`, state: work.StateDone},
		{name: "output is closed", guest: []string{"tear"}, change: func(c *Config) { c.StalledAfter, c.FailStalled = 3*time.Second, true }, state: work.StateDead, says: "stalled"},
		{name: "the result is a pipe", guest: []string{"fifo"}, state: work.StateDead, says: "want a plain file"},
		{name: "the result is a link", guest: []string{"link", secret}, state: work.StateDead, says: "result file"},
		{name: "the result is too large", guest: []string{"large", "5000"}, state: work.StateDead, says: "want at most 4096 bytes, found at least 5002"},
		{name: "the result is huge", guest: []string{"large", "50000000"}, state: work.StateDead, says: "want at most 4096 bytes"},
		{name: "a folder that cannot be entered", guest: []string{"mess"}, state: work.StateDone},
		{name: "a file that is too large", guest: []string{"bigfile"}, change: func(c *Config) { c.Limits.FileSize = 1 << 16 }, state: work.StateDone, says: `"too_large":true`},
		{name: "a folder that fills the disk", guest: []string{"hoard", "40", "65536"}, change: func(c *Config) { c.ScratchMax = 2 << 20 }, state: work.StateDead, says: "more scratch disk than is allowed"},
		{name: "a file full of holes", guest: []string{"sparse"}, change: func(c *Config) { c.ScratchMax = 2 << 20 }, state: work.StateDone, says: `"sparse":true`},
		{name: "a flood of progress", guest: []string{"chatter", "300000"}, state: work.StateDone, says: "300000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.add("hostile", func(a *workcmd.AddTask) {
				a.TaskType, a.MaxAttempts = "hostile", 1
				if c.payload != "" {
					a.Payload = json.RawMessage(c.payload)
				}
			})
			s.add("honest")
			folder := ""
			h := s.hire(func(w *Config) {
				self := w.Commands[""][0]
				w.Commands = map[string][]string{"": {self, "guest", "play"}, "hostile": append([]string{self, "guest"}, c.guest...)}
				w.Slots, w.MaxItems, folder = 2, 2, w.Folder
				if c.change != nil {
					c.change(w)
				}
			})
			sum := h.end()
			row := s.await("hostile", c.state)
			if said := row.Error + string(row.Result); !strings.Contains(said, c.says) || len(said) > 20_000 {
				t.Errorf("found %.500q of %d bytes, want %q in it", said, len(said), c.says)
			}
			if s.await("honest", work.StateDone); sum.Completed < 1 || sum.Claimed != 2 {
				t.Errorf("found %+v, want the honest one done", sum)
			}
			empty(t, folder)
		})
	}
}

// Files count wherever they are put, links do not, and neither do holes.
func TestDiskUse(t *testing.T) {
	folder := t.TempDir()
	hidden := filepath.Join(folder, "a", "hidden")
	if err := os.MkdirAll(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := os.WriteFile(filepath.Join(hidden, strconv.Itoa(i)), make([]byte, 8<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	holes, err := os.Create(filepath.Join(folder, "holes"))
	if err == nil {
		err = holes.Truncate(1 << 30)
	}
	if err := errors.Join(err, holes.Close(), os.Symlink(outside, filepath.Join(folder, "link")), os.Symlink("/", filepath.Join(folder, "all")), os.Chmod(hidden, 0)); err != nil {
		t.Fatal(err)
	}
	if bytes, files := diskUse(t.Context(), folder, 1<<20, 1000); bytes < 80<<10 || bytes > 200<<10 || files < 13 || files > 17 {
		t.Errorf("found %d bytes in %d files", bytes, files)
	}
	if bytes, _ := diskUse(t.Context(), folder, 20<<10, 1000); bytes < 20<<10 || bytes > 60<<10 {
		t.Errorf("found %d bytes, want the count ended soon after 20 KiB", bytes)
	}
	if _, files := diskUse(t.Context(), folder, 1<<20, 5); files != 6 {
		t.Errorf("found %d files, want the count ended after 5", files)
	}
	if err := os.Chmod(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
}

// Row 44: shell commands were put together from what stood in items. What stands
// in one is data: no shell reads it, and it makes no variable.
func TestRow44ItemsAreData(t *testing.T) {
	s := newSite(t)
	nasty := "$(touch pwned); `touch pwned` && touch pwned | tee pwned > pwned\n\nLD_PRELOAD=/evil.so\nPATH=/evil\t' \" \\ \u0000 \u001b[2J"
	payload, err := json.Marshal(map[string]string{"LD_PRELOAD": nasty, "RIFT_NODE_ID": "another"})
	if err != nil {
		t.Fatal(err)
	}
	s.add("a", func(a *workcmd.AddTask) { a.Payload, a.ConfigKey = payload, "LD_PRELOAD:evil.so" })
	folder := ""
	s.hire(func(c *Config) {
		once(c)
		folder = c.Folder
	}, "env").end()
	var told struct {
		Env []string `json:"env"`
	}
	row := s.await("a", work.StateDone)
	if err := json.Unmarshal(row.Result, &told); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, variable := range told.Env {
		name, value, _ := strings.Cut(variable, "=")
		seen[name]++
		switch {
		case name == "LD_PRELOAD" || name == "PATH" && strings.Contains(value, "evil"):
			t.Errorf("found %s", variable)
		case name == "RIFT_PAYLOAD" && value != string(payload):
			t.Errorf("found %s, want %s", value, payload)
		case name == "RIFT_NODE_ID" && value == "another":
			t.Errorf("found %s", variable)
		}
	}
	for name, times := range seen {
		if times != 1 {
			t.Errorf("found %s %d times", name, times)
		}
	}
	if seen["RIFT_PAYLOAD"] != 1 || seen["RIFT_CONFIG_KEY"] != 1 {
		t.Errorf("found %v", told.Env)
	}
	empty(t, folder)
}

// What a command leaves behind is ended with it, in its group and outside.
func TestGrandchildrenEnd(t *testing.T) {
	s := newSite(t)
	s.add("a")
	folder := t.TempDir()
	inGroup, inSession := filepath.Join(folder, "group"), filepath.Join(folder, "session")
	if sum := s.hire(once, "family", inGroup, inSession).end(); sum.Completed != 1 {
		t.Errorf("found %+v", sum)
	}
	if !gone(pidIn(t, inGroup)) {
		t.Error("one in the group still runs")
	}
	if runtime.GOOS == "linux" && !gone(pidIn(t, inSession)) {
		t.Error("one in a session of its own still runs")
	}
}

// Processes that multiply are ended as one, though each ignores SIGTERM.
func TestForkBomb(t *testing.T) {
	s := newSite(t)
	s.lease(3)
	s.add("a")
	folder := t.TempDir()
	h := s.hire(once, "bomb", "4", folder)
	members := func() []string {
		names, err := filepath.Glob(filepath.Join(folder, "[0-9]*"))
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, name := range names {
			if !strings.HasSuffix(name, ".new") {
				told = append(told, filepath.Base(name))
			}
		}
		return told
	}
	eventually(t, "31 processes", func() bool { return len(members()) == 31 })
	s.do(workcmd.CancelTask{TaskID: "a"})
	if sum := h.end(); sum.Cancelled != 1 {
		t.Errorf("found %+v", sum)
	}
	for _, name := range members() {
		pid, err := strconv.Atoi(name)
		if err != nil {
			t.Fatal(err)
		}
		if !gone(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
}

func TestLimitsAreSet(t *testing.T) {
	s := newSite(t)
	s.add("a")
	s.hire(func(c *Config) {
		once(c)
		c.Limits = Limits{Processes: 500, Memory: math.MaxInt64, FileSize: 1 << 20, Files: 64, CPU: 60}
	}, "limits").end()
	if row := s.await("a", work.StateDone); !strings.Contains(string(row.Result), `"500 1048576 64 60 0"`) {
		t.Errorf("found %s", row.Result)
	}
}

// A user's processes are bounded where the system bounds them: under another
// user than the superuser.
func TestProcessesAreBounded(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	limits := Limits{Processes: 1}
	runAs := (*User)(nil)
	if os.Geteuid() == 0 {
		runAs = &User{UID: 54321, GID: 54321} // nobody else's
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The limiter must be a program that the other user may run.
	folder := t.TempDir()
	for parent := folder; parent != os.TempDir() && len(parent) > 1; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(folder, "limiter")
	if err := os.WriteFile(copied, program, 0o755); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.add("a")
	h := s.hire(func(c *Config) {
		once(c)
		c.Limits, c.RunAs, c.Folder, c.Limiter = limits, runAs, filepath.Join(folder, "scratch"), []string{copied, "limiter"}
		// The limit stops a second process of the user; the first is the shell itself.
		c.Commands = map[string][]string{"": {shell, "-c", `(exec true) 2>/dev/null && echo 'result: "forked"' || echo 'result: "bounded"'; id -u >who 2>/dev/null; exit 0`}}
	})
	h.end()
	row := s.item("a")
	said := string(row.Result) + row.Error
	if row.State == work.StateDone && !strings.Contains(said, `"bounded"`) || row.State != work.StateDone && !strings.Contains(strings.ToLower(said), "fork") {
		t.Errorf("found %s: %s; want no second process", row.State, said)
	}
}

// A worker that was killed leaves a folder and processes behind; the next one
// in that folder clears them away, and no two share it.
func TestTheNextWorkerClearsUp(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "scratch")
	left := filepath.Join(folder, "old-1")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	ghost := exec.Command(self, "guest", "stubborn", file)
	ghost.Env = []string{"RIFT_SCRATCH=" + left}
	if err := ghost.Start(); err != nil {
		t.Fatal(err)
	}
	bystander := exec.Command(self, "guest", "stubborn")
	bystander.Env = []string{"RIFT_SCRATCH=" + folder + "-of-another/x-1"}
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	})
	pidIn(t, file)
	lock, killed, err := openFolder(folder, false)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && killed < 1 {
		t.Errorf("found %d processes, want the ghost", killed)
	}
	if runtime.GOOS != "linux" {
		_ = ghost.Process.Kill()
	}
	if err := ghost.Wait(); err == nil {
		t.Error("want the ghost killed")
	}
	if gone(bystander.Process.Pid) {
		t.Error("a process of another worker was killed")
	}
	empty(t, folder)
	// A worker that names itself in the lock is told of at once; a guard is waited for.
	if _, err := fmt.Fprintf(lock, "worker %d %s\n", os.Getpid(), bornAt(os.Getpid())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openFolder(folder, false); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("found %v, want a second worker refused", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, _, err := openFolder(folder, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openFolder(link, false); domain.CodeOf(err) != domain.Forbidden {
		t.Errorf("found %v, want a link refused", err)
	}
}

// A command that a dead worker started dies with it.
func TestCommandsDieWithTheWorker(t *testing.T) {
	if attributes := OwnGroup(); !attributes.Setpgid || runtime.GOOS == "linux" && attributes.Pdeathsig != unix.SIGKILL {
		t.Errorf("found %+v", attributes)
	}
	s := newStarter(nil)
	folder := t.TempDir()
	input, file := filepath.Join(folder, itemFile), filepath.Join(folder, "pid")
	if err := os.WriteFile(input, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said := newCommandOutput(time.Now, 100, 100, 0, false)
	guest, err := s.start(job{argv: []string{self, "guest", "stubborn", file}, folder: folder, stdin: input, output: said})
	if err != nil {
		t.Fatal(err)
	}
	pidIn(t, file)
	s.stop() // the thread that started it ends, as it does when the worker is killed
	if runtime.GOOS != "linux" {
		guest.signal(unix.SIGKILL)
	}
	<-guest.exited()
	if e := guest.end(); e.signal != "SIGKILL" {
		t.Errorf("found %+v", e)
	}
}
