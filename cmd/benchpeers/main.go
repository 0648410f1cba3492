// Benchpeers measures rift against other servers in the same run, each with what makes
// an answer durable left on. All start empty in a temporary folder and are driven in
// turn, round after round; a ratio is the median of the rounds' ratios.
//
//	benchpeers queue    jobs that are added, claimed and completed: `rift serve`
//	                    against a table of PostgreSQL with FOR UPDATE SKIP LOCKED
//	benchpeers cluster  durable appends to three nodes: rift against etcd and NATS
//	                    JetStream; and what a cluster of rift costs beside that: its
//	                    queue against one node's, fail-over, idling, relayed calls
//
// It is a module of its own, so that the clients of these servers are no requirement of
// rift. What is not installed is skipped, and it says what to install.
//
// Read queue_measure.go (what a cell is), then queue_rift.go and queue_postgres.go (the
// two queues); append_measure.go, then append_*.go (the three clusters), cluster.go (the
// table) and cluster_*.go (what else is measured); rift.go, postgres.go, etcd.go and
// nats.go (how servers are started), report.go (how rows are printed).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// settings are the settings of every table.
type settings struct {
	rift   string
	output string
	dir    string
	rounds int
	cell   time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchpeers:", err)
		os.Exit(1)
	}
}

// run measures and prints a table.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "queue":
		return runQueue(ctx, args[1:], stdout, stderr)
	case "cluster":
		return runCluster(ctx, args[1:], stdout, stderr)
	}
	return fmt.Errorf("want queue or cluster, found %q", verb)
}

// flags returns the flags of every table.
func (s *settings) flags(verb string, rounds int, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("benchpeers "+verb, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.rift, "rift", "rift", "the rift to measure")
	flags.StringVar(&s.output, "o", "table", "form of the output: table or json")
	flags.StringVar(&s.dir, "dir", "", "folder on the disk to measure (default: the folder for temporary files)")
	flags.IntVar(&s.rounds, "rounds", rounds, "rounds of every figure")
	flags.DurationVar(&s.cell, "cell", 2*time.Second, "how long a cell is measured; a quarter of it before that it runs unmeasured")
	return flags
}

// parse parses the command line.
func (s *settings) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("want flags only, found %q", flags.Args())
	case s.output != "table" && s.output != "json":
		return fmt.Errorf("-o: want table or json, found %q", s.output)
	case s.rounds < 1 || s.cell <= 0:
		return errors.New("want at least one round and a cell that lasts")
	}
	program, err := exec.LookPath(s.rift)
	if err == nil {
		s.rift, err = filepath.Abs(program) // servers run in folders of their own
	}
	return err
}

// sayTo returns a function that prints progress, a line each.
func sayTo(w io.Writer) func(format string, args ...any) {
	return func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
}

// inTempDir calls do with a temporary folder.
func inTempDir(parent string, do func(dir string) error) (err error) {
	dir, err := os.MkdirTemp(parent, "benchpeers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return do(dir)
}
