//go:build unix

package worker

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringrift/rift/domain"
)

// job is a command to run for an item.
type job struct {
	argv   []string
	env    []string
	folder string // where it runs
	stdin  string // file it reads
	runAs  *User
	output *commandOutput
}

// child is a running command, with all processes it has started.
type child interface {
	pid() int
	// signal sends a signal to the whole group. It must not be called after end.
	signal(unix.Signal)
	// exited is closed when the command itself has ended.
	exited() <-chan struct{}
	// end kills what the command left behind and returns how the command ended. It
	// is called once, after exited is closed.
	end() exit
}

// starter starts every command on one OS thread that lives as long as the worker,
// because a command that dies with its parent dies with the thread that started it.
type starter struct {
	jobs   chan func()
	done   chan struct{}
	groups *groups // nil: groups are not tracked
}

func newStarter(groups *groups) *starter {
	s := &starter{jobs: make(chan func()), done: make(chan struct{}), groups: groups}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		for start := range s.jobs {
			start()
		}
	}()
	return s
}

// stop ends the thread; no command may be running any more.
func (s *starter) stop() {
	close(s.jobs)
	<-s.done
}

// start runs a command.
func (s *starter) start(j job) (child, error) {
	stdin, err := os.Open(j.stdin)
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "standard input: %w", err)
	}
	defer func() { _ = stdin.Close() }() // the child has its own descriptor
	p := &process{exit: make(chan struct{}), groups: s.groups, folder: j.folder, command: exec.Command(j.argv[0], j.argv[1:]...)}
	p.command.Env, p.command.Dir, p.command.Stdin = j.env, j.folder, stdin
	p.command.SysProcAttr = OwnGroup()
	if j.runAs != nil {
		p.command.SysProcAttr.Credential = &syscall.Credential{Uid: j.runAs.UID, Gid: j.runAs.GID}
	}
	var ours []*os.File
	for _, to := range []struct {
		stream *io.Writer
		sink   io.Writer
	}{{&p.command.Stdout, stdout{j.output}}, {&p.command.Stderr, stderr{j.output}}} {
		read, write, err := os.Pipe()
		if err != nil {
			closeAll(append(ours, p.pipes...))
			return nil, domain.Errorf(domain.Unavailable, "pipe: %w", err)
		}
		*to.stream = write
		ours, p.pipes, p.sinks = append(ours, write), append(p.pipes, read), append(p.sinks, to.sink)
	}
	started := make(chan error)
	s.jobs <- func() { started <- p.command.Start() }
	err = <-started
	closeAll(ours)
	if err != nil {
		closeAll(p.pipes)
		return nil, domain.Errorf(domain.Unavailable, "start: %w", err)
	}
	s.groups.began(p.pid())
	for i, pipe := range p.pipes {
		p.readers.Go(func() {
			// A read fails when the pipe is closed, which ends this goroutine too.
			_, _ = io.CopyBuffer(struct{ io.Writer }{p.sinks[i]}, struct{ io.Reader }{pipe}, make([]byte, 32<<10))
		})
	}
	go func() {
		awaitExit(p.command)
		close(p.exit)
	}()
	return p, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close() // a pipe: nothing is lost
	}
}

// process is a child process.
type process struct {
	command *exec.Cmd
	groups  *groups
	folder  string
	exit    chan struct{}
	pipes   []*os.File
	sinks   []io.Writer
	readers sync.WaitGroup
}

func (p *process) pid() int { return p.command.Process.Pid }

func (p *process) signal(signal unix.Signal) {
	// An error means that the group is gone, which is fine.
	_ = unix.Kill(-p.pid(), signal)
}

func (p *process) exited() <-chan struct{} { return p.exit }

// drainWait is how long output is still read if processes outside the group hold it
// open.
const drainWait = 2 * time.Second

func (p *process) end() exit {
	// The leader is not reaped yet, so its id cannot belong to another group.
	p.signal(unix.SIGKILL)
	p.groups.ended(p.pid())
	err := p.command.Wait()
	killMarked(p.folder)
	read := make(chan struct{})
	go func() {
		p.readers.Wait()
		close(read)
	}()
	timer := time.NewTimer(drainWait)
	defer timer.Stop()
	select {
	case <-read:
		closeAll(p.pipes)
	case <-timer.C:
		closeAll(p.pipes)
		<-read
	}
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return exit{err: err}
	}
	e := exit{started: true, code: p.command.ProcessState.ExitCode()}
	if status, ok := p.command.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		if e.signal = unix.SignalName(status.Signal()); e.signal == "" {
			e.signal = status.Signal().String()
		}
	}
	return e
}
