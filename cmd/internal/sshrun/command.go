package sshrun

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ringrift/rift/domain"
	sshtournament "github.com/ringrift/rift/domain/sshtournament"
)

// Limits of a command's output.
const (
	maxLine   = 256 << 10 // bytes of one line
	maxLines  = 20_000
	maxOutput = 16 << 20 // bytes of all lines
	maxStderr = 2 << 10  // bytes that are kept, the last ones
)

// commandError is a failure of the command, independent of the host.
type commandError struct{ err error }

func (e *commandError) Error() string { return e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

func failed(format string, args ...any) error {
	return &commandError{domain.Errorf(domain.Invalid, format, args...)}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p[max(len(p)-maxStderr, 0):]...)
	if over := len(t.kept) - maxStderr; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// String returns the kept text on one line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.ToValidUTF8(string(t.kept), "?")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text))
}

// errEnough means that a command has printed all results.
var errEnough = errors.New("nothing more is wanted")

// process is a command running on a host.
type process struct {
	config  Config
	client  *ssh.Client
	session *ssh.Session
	pid     atomic.Int64  // on the host, once it was printed
	exited  chan struct{} // closed once err is set
	err     error         // of Wait
}

// play runs a command on a host, writes input to it, and passes every line that it
// prints to each, which may return errEnough. It ends when the command has ended,
// or soon after ctx does: the command then gets SIGTERM, then SIGKILL, and its
// connection is closed.
func (c Config) play(ctx context.Context, keys *hostKeys, host sshtournament.Host, argv []string, input []byte, each func(line []byte) error) error {
	line, err := sshtournament.Quote(sshtournament.Announced(argv))
	if err != nil {
		return failed("%w", err)
	}
	client, err := c.connect(ctx, keys, host)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // its output was read
	dead := c.watch(client)
	session, err := client.NewSession()
	if err != nil {
		return &hostError{err: domain.Errorf(domain.Unavailable, "session: %w", err)}
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return &hostError{err: domain.Errorf(domain.Unavailable, "session: %w", err)}
	}
	var stderr tail
	session.Stderr, session.Stdin = &stderr, bytes.NewReader(input)
	if err := session.Start(line); err != nil {
		return &hostError{err: domain.Errorf(domain.Unavailable, "start the command: %w", err)}
	}
	p := &process{config: c, client: client, session: session, exited: make(chan struct{})}
	go func() {
		p.err = session.Wait()
		close(p.exited)
	}()
	read := make(chan error, 1)
	go func() {
		read <- readLines(out, p.announced(each))
		_, _ = io.Copy(io.Discard, out) // the exit status comes after all output
	}()
	select {
	case err = <-read:
	case <-ctx.Done():
		p.stop()
		return ctx.Err()
	}
	switch {
	case errors.Is(err, errEnough):
		if !within(c.Grace, p.exited) {
			p.stop()
		}
		return nil
	case err == nil: // its output has ended, but it may still be running
		select {
		case <-p.exited:
			err = p.ending(&stderr)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	p.stop()
	select {
	case <-dead:
		return &hostError{err: domain.Errorf(domain.Timeout, "the host does not answer any more")}
	default:
		return err
	}
}

// announced parses the first line as the process id.
func (p *process) announced(each func(line []byte) error) func(line []byte) error {
	return func(line []byte) error {
		if p.pid.Load() != 0 {
			return each(line)
		}
		pid, err := strconv.ParseInt(string(line), 10, 32)
		if err != nil || pid < 2 {
			return failed("want the number of the process first, found %q", domain.Clip(string(line), 80))
		}
		p.pid.Store(pid)
		return nil
	}
}

// ending returns how a command ended after all its output was read.
func (p *process) ending(stderr *tail) error {
	var exit *ssh.ExitError
	switch {
	case p.err == nil:
		return nil
	case errors.As(p.err, &exit) && exit.Signal() != "":
		return failed("the command was killed by %s: %s", domain.Clip(exit.Signal(), 20), stderr)
	case errors.As(p.err, &exit):
		return failed("exit code %d: %s", exit.ExitStatus(), stderr)
	}
	return &hostError{err: domain.Errorf(domain.Unavailable, "the connection ended before the command: %w", p.err)}
}

// within waits up to bound for a channel to be closed.
func within(bound time.Duration, closed <-chan struct{}) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-closed:
		return true
	case <-timer.C:
		return false
	}
}

// signal sends a signal to a command in both possible ways, because servers do not
// pass signals on to commands of root.
func (p *process) signal(signal ssh.Signal) {
	_ = p.session.Signal(signal)
	pid := p.pid.Load()
	if pid == 0 {
		return
	}
	line, err := sshtournament.Quote(sshtournament.Killing(string(signal), int(pid)))
	if err != nil {
		return
	}
	if session, err := p.client.NewSession(); err == nil {
		_ = session.Run(line) // the end of the command shows whether it worked
		_ = session.Close()
	}
}

// stop ends a command that is still running: with SIGTERM, then SIGKILL, then by
// closing its connection. On a host that accepts no signals, because it forces
// commands, it ends at its next write.
func (p *process) stop() {
	for _, signal := range []ssh.Signal{ssh.SIGTERM, ssh.SIGKILL} {
		select {
		case <-p.exited:
			_ = p.client.Close()
			return
		default:
		}
		go p.signal(signal) // in the background, since a host that does not read would block it
		if within(p.config.Grace, p.exited) {
			break
		}
	}
	_ = p.client.Close()
}

// readLines passes on lines that are not empty, within the limits.
func readLines(out io.Reader, each func(line []byte) error) error {
	lines := bufio.NewScanner(io.LimitReader(out, maxOutput+1))
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	read := 0
	for count := 1; lines.Scan(); count++ {
		read += len(lines.Bytes()) + 1
		if count > maxLines || read > maxOutput {
			return failed("want at most %d lines and %d MiB of output, found more", maxLines, maxOutput>>20)
		}
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := each(line); err != nil {
			if errors.Is(err, errEnough) {
				return err
			}
			return fmt.Errorf("line %d: %w", count, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return failed("want lines of at most %d KiB, found a longer one", maxLine>>10)
	case err != nil:
		return &hostError{err: domain.Errorf(domain.Unavailable, "read: %w", err)}
	}
	return nil
}
