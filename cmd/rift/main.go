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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; a second one, unheard, kills.
	context.AfterFunc(ctx, stop)
	return run(ctx, args, os.Stdin, os.Stdout, os.Stderr, os.Getenv)
}

// run is the whole process but for its exit: what it is given in, the exit code out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	a := &app{stdin: stdin, stdout: &watched{Writer: stdout}, stderr: stderr, getenv: getenv, now: time.Now}
	root := newRoot(a)
	root.SetArgs(args)
	ran, err := root.ExecuteContextC(ctx)
	return a.finish(ran, err)
}
