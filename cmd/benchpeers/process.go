package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that this program started.
type process struct {
	command *exec.Cmd
	output  bytes.Buffer // output of the server, read once it has ended
	ended   chan struct{}
	err     error // of its end; set before ended is closed
}

// start starts a server in a process group of its own, so that an interrupt from the
// terminal does not reach it; stop ends it.
func start(command *exec.Cmd) (*process, error) {
	p := &process{command: command, ended: make(chan struct{})}
	command.Stdout, command.Stderr = &p.output, &p.output
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setpgid = true
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// startPatience is how long a server may take to become ready.
const startPatience = time.Minute

// await calls ready until the server is ready, has ended or took too long.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.ended:
			return fmt.Errorf("%s ended: %w\n%s", p.command.Path, p.err, strings.TrimSpace(p.output.String()))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: want it ready within %s: %w", p.command.Path, startPatience, err), p.stop(syscall.SIGKILL))
		}
	}
}

// stopPatience is how long a server may take to end after the signal.
const stopPatience = 30 * time.Second

// stop ends a server by a signal and waits for the end. It kills a server that takes too
// long.
func (p *process) stop(signal syscall.Signal) error {
	if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timer.C:
	}
	err := p.command.Process.Kill()
	<-p.ended
	return errors.Join(fmt.Errorf("%s: want it to end within %s, killed it", p.command.Path, stopPatience), err)
}

// stat is the part of /proc/<pid>/stat that is used here.
type stat struct {
	parent        int
	own, children time.Duration // processor time of the process, and of its children that have ended
}

// tick is the unit of times in /proc: USER_HZ is 100 on every Linux that Go supports.
const tick = 10 * time.Millisecond

func statOf(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return parseStat(string(text))
}

// parseStat parses /proc/<pid>/stat. The name of the program, in parentheses, may contain
// any character.
func parseStat(text string) (stat, error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const parent, utime, cutime = 1, 11, 13 // fields 4, 14 and 16 of proc(5), counted from the third
	if len(fields) < cutime+2 {
		return stat{}, fmt.Errorf("want a line of /proc/<pid>/stat, found %q", text)
	}
	var numbers [5]int
	for i, at := range []int{parent, utime, utime + 1, cutime, cutime + 1} {
		var err error
		if numbers[i], err = strconv.Atoi(fields[at]); err != nil {
			return stat{}, fmt.Errorf("want a line of /proc/<pid>/stat, found %q: %w", text, err)
		}
	}
	return stat{numbers[0], time.Duration(numbers[1]+numbers[2]) * tick, time.Duration(numbers[3]+numbers[4]) * tick}, nil
}

// cpuOf returns the processor time of a process and of its children, including those that
// have ended.
func cpuOf(pid int) (time.Duration, error) {
	root, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	total := root.own + root.children
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := statOf(child); err == nil && s.parent == pid { // a process may end meanwhile
			total += s.own + s.children
		}
	}
	return total, nil
}
