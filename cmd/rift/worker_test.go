//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// riftProgram returns the path of this test binary under the name rift, by which it is rift.
func riftProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "rift")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	return program
}

// Items are claimed, run and reported from the command line.
func TestWorker(t *testing.T) {
	server := realNode(t, t.TempDir())
	program, scratch := riftProgram(t), filepath.Join(t.TempDir(), "scratch")
	env := map[string]string{"RIFT_ADDR": "127.0.0.1:1," + server.URL, "RIFT_NODE_ID": "gpu-7", "PATH": os.Getenv("PATH")}
	worker := func(args ...string) ran {
		return riftWith(t, "", env, append([]string{"worker", "--scratch", scratch}, args...)...)
	}
	ask := func(args ...string) ran {
		return riftWith(t, "", map[string]string{"RIFT_ADDR": server.URL}, args...)
	}
	worker("--once", "--", program, "version").want(t, exitDone, `"claimed": 0`, "registered")
	ask("nodes", "show", "gpu-7").want(t, exitDone, `"slots": 1`, "")
	ask("work", "add", "selfplay", "--task-id", "t-1", "--config-key", "hex8_2p").want(t, exitDone, "", "")
	worker("--dry-run", "-o", "table", "--", program, "a b").want(t, exitDone, program+` "a b"`, "")
	ask("work", "show", "t-1").want(t, exitDone, `"state": "queued"`, "")
	worker("--once", "-o", "table", "--types", "selfplay", "--capabilities", "gpu", "--", program, "version", "-o", "json").want(t, exitDone, "items         1: 1 completed\n", "")
	ask("work", "show", "t-1").want(t, exitDone, `"stdout_tail"`, "")
	ask("work", "add", "training", "--task-id", "t-2").want(t, exitDone, "", "")
	ask("work", "add", "other", "--task-id", "t-3").want(t, exitDone, "", "")
	worker("--once", "--exec", "training="+program+` work "no such"`).want(t, exitFindings, `"failed": 1`, "rift: 1 failed item")
	var both growing
	run(t.Context(), []string{"worker", "--scratch", scratch, "--once", "--types", "nothing", "--", program}, strings.NewReader(""), &both, &both, func(name string) string { return env[name] })
	if logged, told := strings.Index(both.String(), "registered"), strings.Index(both.String(), `"claimed"`); logged < 0 || told < logged {
		t.Errorf("want what the worker logs before what came of it, found:\n%s", both.String())
	}
	ask("work", "show", "t-2", "-o", "table").want(t, exitDone, "no command `rift work no such`", "")
	ask("work", "show", "t-3").want(t, exitDone, `"state": "queued"`, "")
	worker("--once", "--dry-run", "-o", "table", "--types", "nothing", "--", program).want(t, exitDone, "a claim would take nothing now", "")
}

func TestWorkerMistakes(t *testing.T) {
	scratch := t.TempDir()
	worker := func(args ...string) ran {
		return riftWith(t, "", map[string]string{"PATH": os.Getenv("PATH")}, append([]string{"worker", "--once", "--scratch", scratch, "--node-id", "w"}, args...)...)
	}
	worker().want(t, exitError, "", "command: want a command after --, or --exec TYPE=COMMAND")
	worker("--slots", "0", "--fail-stalled", "--", "true").want(t, exitError, "", "slots: want 1 to 1024, found 0")
	worker("--exec", "true").want(t, exitError, "", `--exec: want TYPE=COMMAND, found "true"`)
	worker("--exec", "a='b").want(t, exitError, "", "want the quote ' closed")
	worker("--exec", "a=b", "--", "no-such-program", "--help").want(t, exitError, "", "rift: command no-such-program")
	worker("--exec", "a=b", "--", "no-such-program", "--help").want(t, exitError, "", "; command b: ")
	worker("--exec", "a=b", "--exec", "a=c").want(t, exitError, "", "want one command for a, found two")
	worker("--types", "b", "--exec", "a=true").want(t, exitError, "", "types: no command is given for b")
	worker("--env", "RIFT_TOKEN_FILE", "--", "true").want(t, exitError, "", "--env: want NAME or NAME=VALUE, and none that begins with RIFT_")
	worker("--run-as", "nobody", "--", "true").want(t, exitError, "", "--run-as: want UID:GID in numbers")
	worker("--tail", "lots", "--", "true").want(t, exitError, "", "--tail: want a size")
	worker("--facts", "[1]", "--", "true").want(t, exitError, "", "--facts: want a JSON object")
	worker("--addr", "a:1,,b:2", "--", "true").want(t, exitError, "", "want an address between two commas")
	worker("--addr", "a:1,ftp://b", "--", "true").want(t, exitError, "", `or several with commas between, found "ftp://b"`)
	worker("--log-level", "loud", "--", "true").want(t, exitError, "", "log level")
	worker("--", "/no/such/program").want(t, exitError, "", "command /no/such/program: ")
}

// The limiter sets its limits and executes the command in its place.
func TestLimiter(t *testing.T) {
	c := exec.CommandContext(t.Context(), riftProgram(t), "worker", "exec-limited", "--files=64", "--cpu=100", "--", "/bin/sh", "-c", "ulimit -n; ulimit -t; ulimit -c; exit 7")
	out, err := c.CombinedOutput()
	if c.ProcessState == nil || c.ProcessState.ExitCode() != 7 || string(out) != "64\n100\n0\n" {
		t.Errorf("found %q, %v", out, err)
	}
}

// staff is a `rift worker` in a process of its own, with an item whose command ignores
// SIGTERM.
type staff struct {
	command *exec.Cmd
	pid     int // of the item's command
	stderr  bytes.Buffer
	pipe    string // lets the command end
}

// employ starts a worker, through another command if one is given.
func employ(t *testing.T, address string, through ...string) *staff {
	t.Helper()
	folder := t.TempDir()
	pipe, file := filepath.Join(folder, "pipe"), filepath.Join(folder, "pid")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	riftWith(t, "", map[string]string{"RIFT_ADDR": address}, "work", "add", "selfplay", "--task-id", "t-1").want(t, exitDone, "", "")
	script := fmt.Sprintf("trap '' TERM; echo $$ >%[1]s.new; mv %[1]s.new %[1]s; read line <%[2]s", file, pipe)
	words := append(through, riftProgram(t), "worker", "--addr", address, "--node-id", "w", "--scratch", filepath.Join(folder, "scratch"), "--poll", "20ms", "--grace", "1h", "--", "/bin/sh", "-c", script)
	s := &staff{command: exec.Command(words[0], words[1:]...), pipe: pipe}
	s.command.Stderr = &s.stderr
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.command.Process.Kill() })
	soon(t, "the command has begun", func() bool {
		text, err := os.ReadFile(file)
		if err == nil {
			s.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	return s
}

func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(3 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%s: want it within 30 s", what)
		}
	}
}

// awaitEnd waits for a process to end, and kills it if it does not.
func awaitEnd(t *testing.T, c *exec.Cmd) error {
	t.Helper()
	late := time.AfterFunc(30*time.Second, func() {
		t.Errorf("%s does not end within 30 s", c.Path)
		_ = c.Process.Kill() // the wait below says what came of it
	})
	defer late.Stop()
	c.WaitDelay = time.Second
	return c.Wait()
}

func running(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// The first signal drains, the second ends everything.
func TestTheSecondSignalKills(t *testing.T) {
	server := realNode(t, t.TempDir())
	s := employ(t, server.URL)
	for range 2 {
		if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if !running(s.command.Process.Pid) {
			break
		}
		// The system merges two pending signals of one kind, so the second is of another.
		if err := s.command.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	err := awaitEnd(t, s.command)
	if code := s.command.ProcessState.ExitCode(); code != exitError || !strings.Contains(s.stderr.String(), "interrupted") {
		t.Errorf("found %v\n%s", err, s.stderr.String())
	}
	if running(s.pid) {
		t.Error("the command still runs")
	}
}

// let allows the command to end.
func (s *staff) let(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(s.pipe, []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *staff) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := s.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// SIGHUP ends a worker as SIGTERM does, and SIGQUIT ends it at once. A worker that is started
// with nohup ignores SIGHUP.
func TestTheEndOfTheTerminal(t *testing.T) {
	server := realNode(t, t.TempDir())
	asked := map[string]string{"RIFT_ADDR": server.URL}
	drained := employ(t, server.URL)
	drained.signal(t, syscall.SIGHUP)
	drained.let(t)
	if err := awaitEnd(t, drained.command); err != nil || running(drained.pid) {
		t.Errorf("SIGHUP: found %v, want the worker ended in order\n%s", err, drained.stderr.String())
	}
	riftWith(t, "", asked, "work", "show", "t-1").want(t, exitDone, `"state": "done"`, "")

	server = realNode(t, t.TempDir())
	killed := employ(t, server.URL)
	killed.signal(t, syscall.SIGQUIT)
	if err := awaitEnd(t, killed.command); killed.command.ProcessState.ExitCode() != exitError || !strings.Contains(killed.stderr.String(), "interrupted") || running(killed.pid) {
		t.Errorf("SIGQUIT: found %v, want everything ended\n%s", err, killed.stderr.String())
	}

	server = realNode(t, t.TempDir())
	asked["RIFT_ADDR"] = server.URL
	stays := employ(t, server.URL, "/bin/sh", "-c", `trap "" HUP; exec "$0" "$@"`)
	stays.signal(t, syscall.SIGHUP)
	stays.let(t)
	done := func(item string) func() bool {
		return func() bool {
			return strings.Contains(riftWith(t, "", asked, "work", "show", item).stdout, `"state": "done"`)
		}
	}
	soon(t, "the first item is done", done("t-1"))
	riftWith(t, "", asked, "work", "add", "selfplay", "--task-id", "t-2").want(t, exitDone, "", "")
	stays.let(t)
	soon(t, "the second item is done", done("t-2"))
	stays.signal(t, syscall.SIGTERM)
	if err := awaitEnd(t, stays.command); err != nil {
		t.Errorf("ignored SIGHUP: found %v\n%s", err, stays.stderr.String())
	}
}

// The commands of a worker that is killed are killed too.
func TestCommandsDieWithTheirWorker(t *testing.T) {
	server := realNode(t, t.TempDir())
	s := employ(t, server.URL)
	if err := s.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := awaitEnd(t, s.command); err == nil {
		t.Error("want the worker killed")
	}
	soon(t, "the command has ended", func() bool { return !running(s.pid) })
}
