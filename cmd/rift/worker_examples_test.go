//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/ringrift/rift/cmd/internal/wiring"
)

// Nodes serve the paths that the examples call.
func TestExamplesCallWhatNodesServe(t *testing.T) {
	served := map[string]bool{}
	for _, route := range wiring.Routes() {
		if route.Method == http.MethodPost {
			served[route.Path] = true
		}
	}
	for name, path := range map[string]string{"worker.py": `"(/work/\w+|/nodes/\w+)"`, "worker.sh": `call ((?:work|nodes)\.\w+)`} {
		text, err := os.ReadFile(filepath.Join("examples", name))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(path).FindAllStringSubmatch(string(text), -1)
		if len(found) < 3 {
			t.Errorf("%s: found %d calls", name, len(found))
		}
		for _, match := range found {
			if path := "/" + strings.TrimPrefix(strings.ReplaceAll(match[1], ".", "/"), "/"); !served[path] {
				t.Errorf("%s: calls %s, which no node serves", name, path)
			}
		}
	}
}

// example is one of the workers that need nothing but HTTP.
type example struct {
	name string
	run  func(address, node string, once bool, argv ...string) *exec.Cmd
}

// examples lists those that this machine can run.
func examples(t *testing.T) []example {
	t.Helper()
	var found []example
	if python, err := exec.LookPath("python3"); err == nil {
		found = append(found, example{"worker.py", func(address, node string, once bool, argv ...string) *exec.Cmd {
			args := []string{filepath.Join("examples", "worker.py"), "--addr", "127.0.0.1:1," + address, "--node", node, "--type", "x"}
			if once {
				args = append(args, "--once")
			}
			return exec.Command(python, append(append(args, "--"), argv...)...)
		}})
	}
	shell, err := exec.LookPath("sh")
	if _, curl := exec.LookPath("curl"); err == nil && curl == nil {
		found = append(found, example{"worker.sh", func(address, node string, once bool, argv ...string) *exec.Cmd {
			c := exec.Command(shell, append([]string{filepath.Join("examples", "worker.sh")}, argv...)...)
			c.Env = append(os.Environ(), "RIFT_ADDR="+address, "RIFT_NODE="+node, "RIFT_TYPE=x", "RIFT_BEAT=1")
			if once {
				c.Env = append(c.Env, "RIFT_ONCE=1")
			}
			return c
		}})
	}
	return found
}

func TestExamplesRun(t *testing.T) {
	program := riftProgram(t)
	for _, e := range examples(t) {
		t.Run(e.name, func(t *testing.T) {
			server := realNode(t, t.TempDir())
			env := map[string]string{"RIFT_ADDR": server.URL}
			ask := func(args ...string) ran { return riftWith(t, "", env, args...) }
			work := func(argv ...string) {
				t.Helper()
				if said, err := e.run(server.URL, e.name, true, argv...).CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, said)
				}
			}
			state := func(id string) (state, message string, result map[string]any) {
				t.Helper()
				var answer struct {
					Item struct {
						State, Error string
						Result       map[string]any
					}
				}
				if err := json.Unmarshal([]byte(ask("work", "show", id).stdout), &answer); err != nil {
					t.Fatal(err)
				}
				return answer.Item.State, answer.Item.Error, answer.Item.Result
			}
			work(program, "version")
			// Text of a payload that looks like an answer is not taken for one.
			payload := `{"items":[{"task_id":"evil","lease":9}],"text":"\"items\":[{\"task_id\":\"evil\" ]}"}`
			ask("work", "add", "x", "--task-id", "a:1", "--payload", payload).want(t, exitDone, "", "")
			ask("work", "add", "y", "--task-id", "other").want(t, exitDone, "", "")
			work("/bin/cat")
			got, _, result := state("a:1")
			text, err := json.Marshal(result["payload"])
			if err != nil || got != "done" || !sameJSON(t, string(text), payload) || result["task_id"] != "a:1" {
				t.Errorf("found %s with %v", got, result)
			}
			ask("work", "add", "x", "--task-id", "bad", "--max-attempts", "1").want(t, exitDone, "", "")
			work("/bin/sh", "-c", `printf 'say "no"\\ \t\303\251\001\n' >&2; exit 3`)
			if got, message, _ := state("bad"); got != "failed" && got != "dead" || !strings.Contains(message, `say "no"\`) || !strings.Contains(message, "exit code 3") {
				t.Errorf("found %s: %q", got, message)
			}
			if got, _, _ := state("other"); got != "queued" {
				t.Errorf("found another type %s", got)
			}
		})
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	one, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	two, err := json.Marshal(y)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(one, two)
}

// The examples end the command of a cancelled item and report nothing on it. When they are
// told to stop, they release the items that they hold.
func TestExamplesStop(t *testing.T) {
	t.Parallel()
	for _, e := range examples(t) {
		t.Run(e.name, func(t *testing.T) {
			server := realNode(t, t.TempDir())
			env := map[string]string{"RIFT_ADDR": server.URL}
			ask := func(args ...string) ran { return riftWith(t, "", env, args...) }
			answer, err := http.Post(server.URL+"/policies/default", "application/json", strings.NewReader(`{"policy":{"work":{"lease_seconds":1}}}`))
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("policy: %v, %v", answer, err)
			}
			if err := answer.Body.Close(); err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			pipe := filepath.Join(folder, "pipe")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			ask("work", "add", "x", "--task-id", "t-1").want(t, exitDone, "", "")
			ask("work", "add", "x", "--task-id", "t-2").want(t, exitDone, "", "")
			var said bytes.Buffer
			c := e.run(server.URL, e.name, false, "/bin/sh", "-c", fmt.Sprintf("exec sh -c 'read line <%s'", pipe))
			c.Stderr = &said
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Process.Kill() })
			runs := func(id string) func() bool {
				return func() bool { return strings.Contains(ask("work", "show", id).stdout, `"state": "running"`) }
			}
			soon(t, "t-1 runs", runs("t-1"))
			ask("work", "cancel", "t-1").want(t, exitDone, "", "")
			soon(t, "t-2 runs", runs("t-2"))
			ask("work", "show", "t-1").want(t, exitDone, `"state": "cancelled"`, "")
			if err := c.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := awaitEnd(t, c); err != nil {
				t.Errorf("%v\n%s", err, said.String())
			}
			ask("work", "show", "t-2").want(t, exitDone, `"state": "queued"`, "")
			if shown := ask("work", "show", "t-1").stdout; strings.Contains(shown, "refused_reports") {
				t.Errorf("found %s, want nothing reported of a cancelled item", shown)
			}
		})
	}
}
