//go:build unix

package endtoend

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a `rift serve` that runs.
type process struct {
	t       testing.TB
	command *exec.Cmd
	address string // host:port
	stdout  *said
	stderr  *said
	exited  chan struct{} // closed when the process is gone and code is set
	code    int           // exit code; -1 after a signal that killed it
}

// said collects what a process says while others may read it.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// launch starts a node without waiting for it. The test kills it at the end if
// nobody else did.
func launch(t testing.TB, variables []string, data string, more ...string) (*process, string) {
	t.Helper()
	addressFile := filepath.Join(t.TempDir(), "address")
	args := append([]string{
		"serve", "--data", data, "--listen", "127.0.0.1:0", "--addr-file", addressFile,
		"--node-id", "n1", "--log-level", "warn", "--log-format", "text",
	}, more...)
	p := &process{t: t, command: exec.Command(binary, args...), stdout: &said{}, stderr: &said{}, exited: make(chan struct{})}
	p.command.Env = append(environment(), variables...)
	p.command.Dir = t.TempDir()
	p.command.Stdout, p.command.Stderr = p.stdout, p.stderr
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.command.Wait() // the state says how it ended
		p.code = p.command.ProcessState.ExitCode()
		close(p.exited)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			p.signal(syscall.SIGQUIT) // it prints where its goroutines are
			<-p.exited
			t.Logf("%v said:\n%s", p.command, p.stderr)
		}
		p.signal(syscall.SIGKILL)
		<-p.exited
		for _, trouble := range []string{"panic: ", "fatal error: ", "DATA RACE"} {
			if said := p.stderr.String(); strings.Contains(said, trouble) {
				t.Errorf("%v said %q:\n%s", p.command, trouble, said)
			}
		}
	})
	return p, addressFile
}

// serve starts a node and waits until it listens.
func serve(t testing.TB, data string, more ...string) *process {
	t.Helper()
	p, addressFile := launch(t, nil, data, more...)
	p.listens(addressFile)
	return p
}

// listens waits until a node has written its address.
func (p *process) listens(addressFile string) {
	p.t.Helper()
	eventually(p.t, "the node writes its address", func() bool {
		text, err := os.ReadFile(addressFile)
		p.address = strings.TrimSpace(string(text))
		if err == nil && p.address != "" {
			return true
		}
		if p.gone() {
			p.t.Fatalf("the node ended with exit code %d", p.code)
		}
		return false
	})
}

// gone tells whether the process has ended.
func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// signal sends a signal; one to a process that is gone is none.
func (p *process) signal(s os.Signal) {
	if err := p.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("send %v: %v", s, err)
	}
}

// wait waits for the end of the process and gives its exit code.
func (p *process) wait() int {
	p.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		p.t.Fatalf("the node did not end within %v", patience)
	}
	return p.code
}

// kill ends the process like a machine that loses its kernel.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

// stop asks the process to end and wants it to end well.
func (p *process) stop(s os.Signal) {
	p.t.Helper()
	p.signal(s)
	if code := p.wait(); code != 0 {
		p.t.Errorf("after %v: found exit code %d, want 0", s, code)
	}
}

// deaf waits until the node takes no more connections: by then it hands out no
// more work either.
func (p *process) deaf() {
	p.t.Helper()
	eventually(p.t, "the node takes no more connections", func() bool {
		connection, err := net.Dial("tcp", p.address)
		if err != nil {
			return true
		}
		_ = connection.Close()
		return false
	})
}
