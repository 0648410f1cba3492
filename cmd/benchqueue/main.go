// Benchqueue measures the queue of rift against PostgreSQL in the same run: jobs
// that are added, claimed and completed by clients, each of the three durable
// before it is answered. On one side is `rift serve` over HTTP, on the other a
// table with FOR UPDATE SKIP LOCKED over pgx. Both start empty in a temporary
// folder and are driven in turn, round after round; a ratio is the median of the
// rounds' ratios.
//
// It is a module of its own, so that pgx is no requirement of rift. Without
// PostgreSQL it says what to install, and ends.
//
// Read measure.go (what a cell is), then rift.go and table.go (the two sides),
// report.go (what is printed), postgres.go and serve.go (how they are started).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings are what the command line says.
type settings struct {
	rift    string
	output  string
	dir     string
	rounds  int
	queue   int
	payload int
	cell    time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchqueue:", err)
		os.Exit(1)
	}
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("benchqueue", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.rift, "rift", "rift", "the rift to measure")
	flags.StringVar(&s.output, "o", "table", "form of the output: table or json")
	flags.StringVar(&s.dir, "dir", "", "folder on the disk to measure (default: the folder for temporary files)")
	flags.IntVar(&s.rounds, "rounds", 5, "rounds of every figure")
	flags.IntVar(&s.queue, "queue", 1000, "jobs that wait in both queues from the start, and stay as many")
	flags.IntVar(&s.payload, "payload", 256, "bytes of the payload of a job")
	flags.DurationVar(&s.cell, "cell", 2*time.Second, "how long a cell is measured; a quarter of it before that it runs unmeasured")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("want flags only, found %q", flags.Args())
	case s.output != "table" && s.output != "json":
		return s, fmt.Errorf("-o: want table or json, found %q", s.output)
	case s.rounds < 1 || s.queue < 0 || s.payload < len(`{"text":""}`) || s.cell <= 0:
		return s, errors.New("want at least one round, a queue of at least 0, a payload of at least 11 bytes and a cell that lasts")
	}
	return s, nil
}

// run measures and prints.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	programs, err := findPostgres()
	if errors.Is(err, errNoPostgres) {
		fmt.Fprintf(stderr, "benchqueue: skipped: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.dir, "benchqueue-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	started := time.Now()
	peer, err := startPostgres(ctx, programs, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.stop()) }()
	node, err := startRift(ctx, s.rift, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.stop()) }()

	b := &bench{settings: s, rift: node, peer: peer, say: func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }}
	if err := b.fill(ctx); err != nil {
		return err
	}
	cells, err := b.rounds(ctx)
	if err != nil {
		return err
	}
	r := newReport(s, cells)
	r.Rift, r.Peer, r.Notes, r.Seconds = node.version, peer.version, node.notes(), time.Since(started).Seconds()
	if s.output == "json" {
		return r.json(stdout)
	}
	return r.table(stdout)
}
