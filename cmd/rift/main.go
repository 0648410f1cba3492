// Command rift is the coordination service of a self-play training cluster and
// the tools around its log: one binary that serves, asks, imports, replays and
// explains.
//
// This package reads flags and prints answers. It decides nothing about work,
// nodes or any other area: it sends commands to a node, or reads a log.
//
// Read run in this file (the whole process), root.go (the tree of commands),
// endpoint.go (how an endpoint becomes a command), then the file of the
// command you care about.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { os.Exit(process(os.Args[1:])) }

// process is run with this process's streams, variables and signals.
func process(args []string) int {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, stopSignals()...)
	ctx := endOnSignal(heard, func() { signal.Stop(heard) })
	return run(ctx, args, os.Stdin, os.Stdout, os.Stderr, os.Getenv)
}

// endOnSignal returns a context that the first signal ends. It unregisters before it
// ends the context, so that a second signal kills the process as soon as anything can
// be seen to stop.
func endOnSignal(heard <-chan os.Signal, unregister func()) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		first := <-heard
		unregister()
		cancel(stopped{first})
	}()
	return ctx
}

// stopped is why a run ends that a signal ended.
type stopped struct{ by os.Signal }

func (s stopped) Error() string { return "signal " + s.by.String() }
func (s stopped) Unwrap() error { return context.Canceled }

// stopSignals are the signals that request an orderly end: Ctrl-C, the signal of
// service managers, and the end of the terminal. A signal ignored from the start stays
// ignored: nohup and shells do that for processes that should outlive them.
func stopSignals() []os.Signal {
	var heard []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			heard = append(heard, s)
		}
	}
	return heard
}

// run is the whole process except for its exit.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	a := &app{stdin: stdin, stdout: &watched{Writer: stdout}, stderr: stderr, getenv: getenv, now: time.Now}
	if c, err := misnamed(a, args); err != nil {
		return a.finish(c, err)
	}
	root := newRoot(a)
	root.SetArgs(args)
	ran, err := root.ExecuteContextC(ctx)
	return a.finish(ran, err)
}
