package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary the programs that README.md calls: rift, and as much of curl
// as the README uses. The name by which it is called decides.
func TestMain(m *testing.M) {
	// A worker runs its own program as its guard, and must not run the tests instead.
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(process(os.Args[1:]))
	}
	switch filepath.Base(os.Args[0]) {
	case "rift":
		os.Exit(process(os.Args[1:]))
	case "curl":
		os.Exit(curl(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// curl asks for a URL: -s, -X METHOD, -d and --json BODY.
func curl(args []string) int {
	method, body, url := http.MethodGet, "", ""
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-s":
		case "-X":
			i++
			method = args[i]
		case "-d", "--json":
			i++
			method, body = http.MethodPost, args[i]
		default:
			url = args[i]
		}
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return 2
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return 7
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return 18
	}
	return 0
}

// The commands of README.md, in their order, do what the text around them says.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, name := range []string{"rift", "curl"} {
		if err := os.Symlink(self, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	address := startServe(t, filepath.Join(folder, "rift"), folder)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var transcript strings.Builder
	for _, block := range readmeBlocks(t, filepath.Join(root, "README.md")) {
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "make ") || line == "" {
				continue // serve runs already, and this is the test
			}
			command := strings.ReplaceAll(line, "http://127.0.0.1:8770", "http://"+address)
			command = strings.ReplaceAll(command, "/tmp/incident", filepath.Join(folder, "incident"))
			command = strings.ReplaceAll(command, "/tmp/demo", filepath.Join(folder, "demo"))
			c := exec.CommandContext(t.Context(), shell, "-e", "-c", command)
			c.Dir = root
			c.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "RIFT_ADDR=http://"+address, "RIFT_DATA="+filepath.Join(folder, "data"))
			var out bytes.Buffer
			c.Stdout, c.Stderr = &out, &out
			if err := c.Run(); err != nil {
				t.Fatalf("%s\n%v\n%s", line, err, out.String())
			}
			fmt.Fprintf(&transcript, "$ %s\n%s\n", line, out.String())
		}
	}
	said := transcript.String()
	for _, want := range []string{
		`"task_id":"game-1","lease":1`, `"cancel":false`, `"code":"stale_lease"`, `"position":2,"item"`,
		"a ghost is refused, exit code 3", "more_than_one_leader", "box-1 and box-3 led at the same time", "exit code 2 means findings", "true from 8 on", "Incident: more than one leader, ", "# Incident at 2026-02-03T14:04:20Z", "exit code 2 means never", "exit code 2 means different", "Then B ends, and A goes on with 5 events.",
		"$ rift handlers --ran --addr ", "$ rift report queue --addr ", "$ rift training status --addr ", "MODEL_PROMOTED at ", `"added": 200`, `"pending":0,"held":0,"done":200,`, "because of DATA_SYNC_COMPLETED at ",
		"40.70 ± 30.43", `"llr": 2.2503`, "   1  v3    1778.0   105.1",
		"stopped by  ftarget", "a candidate 50 Elo better is promoted in ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the README's commands never say %q", want)
		}
	}
	if t.Failed() {
		t.Log(said)
	}
}

// readmeBlocks returns the fenced blocks of shell commands.
func readmeBlocks(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(text), "```") {
		if body, shell := strings.CutPrefix(part, "sh\n"); shell && i%2 == 1 {
			blocks = append(blocks, body)
		}
	}
	if len(blocks) < 5 {
		t.Fatalf("want the README's shell blocks, found %d", len(blocks))
	}
	return blocks
}

// startServe runs a node in a process of its own until the test ends, and returns its address
// once it is ready.
func startServe(t *testing.T, rift, folder string) string {
	t.Helper()
	file := filepath.Join(folder, "address")
	c := exec.Command(rift, "serve", "--data", filepath.Join(folder, "data"), "--listen", "127.0.0.1:0", "--addr-file", file)
	var log bytes.Buffer
	c.Stderr = &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		if err := c.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("serve ended with %v\n%s", err, log.String())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if text, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(text))
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("serve ended with %v\n%s", err, log.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("serve is not ready after 30 s")
	return ""
}
