package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/worker"
	"github.com/ringrift/rift/domain"
)

// workerFlags are the flags of a worker.
type workerFlags struct {
	node                            string
	capabilities, types             []string
	facts                           string
	slots, maxItems                 int
	execs                           []string
	scratch, scratchMax, runAs, gpu string
	env                             []string
	releaseCodes, fatal             []int
	grace, stalledAfter             time.Duration
	itemTimeout, orphan             time.Duration
	drain, report                   time.Duration
	poll, wait, beat                time.Duration
	failStalled                     bool
	tail, result, output            string
	processes, files, cpu           uint64
	memory, fileSize                string
	once, dry                       bool
	logLevel, logFormat             string
}

func newWorker(a *app) *cobra.Command {
	var f workerFlags
	c := &cobra.Command{
		Use:   "worker [flags] -- COMMAND [ARG...]",
		Short: "Claim items and run a command for each",
		Long: `worker claims items for this machine, runs a command for each, keeps the lease
alive meanwhile and reports what came of it. It finds another node of --addr
when one does not answer.

The command runs without a shell, in a process group and a folder of its own.
It reads the item as JSON from standard input and finds in its environment:
RIFT_TASK_ID RIFT_LEASE RIFT_TASK_TYPE RIFT_CONFIG_KEY RIFT_ATTEMPT RIFT_NODE_ID
RIFT_PAYLOAD (the JSON, or the path of RIFT_PAYLOAD_FILE when it is large)
RIFT_SCRATCH (its folder, removed afterwards) RIFT_RESULT_FILE RIFT_DEADLINE, and
RIFT_SIZE where the item was sized to the node: how many games to play.
Nothing else of the worker's environment reaches it but PATH, HOME and the like,
and what --env names.

One call claims items for all free slots, one heartbeat keeps the leases of all
items, and items that end together are reported together.

Lines it prints on standard output that begin with progress: and hold JSON are
told to the cluster with the next heartbeat; result: and JSON is the result,
unless it leaves one in RIFT_RESULT_FILE. The answer to an item that asks for games
(participants, or a list of games) may be all it prints, one JSON object; an attempt
that does not answer every one of its games has failed (rift play answers them).

Exit code 0 completes the item, those of --release-codes give it back, those of
--fatal-codes fail it for good, any other fails the attempt. When the lease is
lost or the item cancelled, the command gets SIGTERM, after --grace SIGKILL, and
nothing is reported.

Ctrl-C, SIGTERM, or SIGHUP when the terminal goes away, drain: nothing more is
claimed, and what still runs after --drain-timeout is released. At its end the
worker says that the node leaves, so that it does not count as down. A second
signal, or SIGQUIT, kills everything. When the worker itself is killed, a guard
that it started ends its commands.`,
		Example: `  rift worker --node-id gpu-7 --types selfplay --capabilities gpu --slots 4 -- ./selfplay --threads 8
  rift worker --types evaluation --parallel 50 -- ./evaluate
  rift worker --exec selfplay='python3 play.py' --exec training='./train --bf16'
  rift worker --addr 10.0.0.1:8770,10.0.0.2:8770 --token-file token --once -- ./selfplay
  rift worker --dry-run -- ./selfplay`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, argv []string) error { return a.worker(c, f, argv) },
	}
	addClientFlags(c)
	f.add(c)
	c.AddCommand(newLimiter(), newGuard(a))
	return c
}

// add makes the flags.
func (f *workerFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.node, "node-id", "", "name of this node (default: RIFT_NODE_ID, then the host's name)")
	flags.StringSliceVar(&f.capabilities, "capabilities", nil, "words that items may require: gpu, h100, …")
	flags.StringSliceVar(&f.types, "types", nil, "task types to take (default: those of --exec; any with a COMMAND)")
	flags.StringVar(&f.facts, "facts", "", "an object of what else is known of the node, JSON or @FILE")
	flags.IntVar(&f.slots, "slots", 1, "items to run at once; --parallel is the same")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "parallel" {
			name = "slots"
		}
		return pflag.NormalizedName(name)
	})
	flags.StringArrayVar(&f.execs, "exec", nil, "TYPE=COMMAND for one task type, split at spaces and quotes, without a shell; repeatable")
	flags.StringVar(&f.scratch, "scratch", "", "folder for the items' folders, of this worker alone (default: rift-worker-NODE in the system's)")
	flags.StringVar(&f.scratchMax, "scratch-max", "100GiB", "most disk of all scratch folders, an equal share for each slot (0: no bound)")
	flags.StringVar(&f.runAs, "run-as", "", "UID:GID that commands run as; needs the superuser")
	flags.StringVar(&f.gpu, "gpu-command", "", "command that prints a line per GPU: use and memory use in percent")
	flags.StringArrayVar(&f.env, "env", nil, "NAME to pass on to commands, or NAME=VALUE; repeatable")
	flags.IntSliceVar(&f.releaseCodes, "release-codes", []int{75}, "exit codes that give the item back without spending an attempt")
	flags.IntSliceVar(&f.fatal, "fatal-codes", nil, "exit codes after which no other attempt is made")
	flags.DurationVar(&f.grace, "grace", 10*time.Second, "from SIGTERM to SIGKILL")
	flags.DurationVar(&f.stalledAfter, "stalled-after", 0, "without output for this long a command counts as stalled (0: never)")
	flags.BoolVar(&f.failStalled, "fail-stalled", false, "end stalled commands and fail their attempt")
	flags.DurationVar(&f.itemTimeout, "item-timeout", 0, "bound on one attempt, beside the item's own (0: none)")
	flags.DurationVar(&f.orphan, "orphan-grace", time.Minute, "how long a command goes on after its lease ran out unanswered")
	flags.DurationVar(&f.drain, "drain-timeout", 5*time.Minute, "how long commands may go on once the worker is to stop")
	flags.DurationVar(&f.report, "report-timeout", 30*time.Second, "how long reports are repeated after that")
	flags.DurationVar(&f.poll, "poll", 2*time.Second, "between claims when there is nothing to do")
	flags.DurationVar(&f.wait, "wait", 30*time.Second, "how long a node waits with its answer while there is nothing to do, at most 30s (0: ask every --poll)")
	flags.DurationVar(&f.beat, "node-heartbeat", 10*time.Second, "between heartbeats of the node")
	flags.StringVar(&f.tail, "tail", "4KiB", "how much of the end of each output stream is kept and reported")
	flags.StringVar(&f.result, "max-result", "256KiB", "largest result")
	flags.StringVar(&f.output, "max-output", "1GiB", "most output before a command is ended (0: no bound)")
	flags.Uint64Var(&f.processes, "limit-processes", 0, "RLIMIT_NPROC of commands: counts all of their user's; needs --run-as for the superuser")
	flags.StringVar(&f.memory, "limit-memory", "", "RLIMIT_AS of each process: 8GiB")
	flags.StringVar(&f.fileSize, "limit-file-size", "", "RLIMIT_FSIZE of each file: 1GiB")
	flags.Uint64Var(&f.files, "limit-files", 0, "RLIMIT_NOFILE of each process")
	flags.Uint64Var(&f.cpu, "limit-cpu", 0, "RLIMIT_CPU of each process, in seconds")
	flags.BoolVar(&f.once, "once", false, "claim once, run what that gave, end; exit code 2 when an item failed")
	flags.IntVar(&f.maxItems, "max-items", 0, "end after this many items; exit code 2 when one failed (0: no bound)")
	flags.BoolVar(&f.dry, "dry-run", false, "only show what a claim would take now and what would be run")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "auto", "text, json or auto: text on a terminal")
	register(c, "log-level", "debug", "info", "warn", "error")
	register(c, "log-format", "auto", "text", "json")
}

// newLimiter makes the hidden command through which a worker starts commands with
// resource limits.
func newLimiter() *cobra.Command {
	var l worker.Limits
	c := &cobra.Command{
		Use:     "exec-limited [flags] -- COMMAND [ARG...]",
		Short:   "Set resource limits and become a command",
		Example: "  rift worker exec-limited --files=64 -- ./selfplay",
		Hidden:  true,
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(_ *cobra.Command, argv []string) error { return l.Become(argv) },
	}
	c.Flags().Uint64Var(&l.Processes, "processes", 0, "RLIMIT_NPROC")
	c.Flags().Uint64Var(&l.Memory, "memory", 0, "RLIMIT_AS in bytes")
	c.Flags().Uint64Var(&l.FileSize, "file-size", 0, "RLIMIT_FSIZE in bytes")
	c.Flags().Uint64Var(&l.Files, "files", 0, "RLIMIT_NOFILE")
	c.Flags().Uint64Var(&l.CPU, "cpu", 0, "RLIMIT_CPU in seconds")
	return c
}

// newGuard makes the hidden command that ends a worker's commands after the worker was
// killed.
func newGuard(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "guard FOLDER",
		Short:   "Wait for the end of a worker and end its commands",
		Long:    "The worker says on standard input which groups of processes are its own; at the end of that they are killed.",
		Example: "  rift worker guard /tmp/rift-worker-gpu-7",
		Hidden:  true,
		Args:    exactly("FOLDER"),
		RunE: func(_ *cobra.Command, args []string) error {
			worker.Guard(args[0], a.stdin)
			return nil
		},
	}
}

// worker runs a worker until it has stopped.
func (a *app) worker(c *cobra.Command, f workerFlags, argv []string) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	logger, flushLog, err := a.logger(config.Serve{LogLevel: f.logLevel, LogFormat: f.logFormat})
	if err != nil {
		return err
	}
	defer flushLog()
	settings, err := a.workerConfig(c, f, argv, logger)
	if err != nil {
		return err
	}
	if f.dry {
		planned, err := worker.Plan(c.Context(), settings)
		if err != nil {
			return err
		}
		return showPlanned(p, planned)
	}
	// The process handles signals only until the first one; a second would kill it,
	// and its commands would go on without a worker.
	signals, quit := make(chan os.Signal, 4), make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	signal.Notify(quit, syscall.SIGQUIT)
	defer signal.Stop(signals)
	defer signal.Stop(quit)
	kill, ended := make(chan struct{}), make(chan struct{})
	defer close(ended)
	go killOnSecond(signals, quit, kill, ended)
	summary, err := worker.Run(c.Context(), kill, settings)
	flushLog() // before what is printed of it
	if err != nil {
		return err
	}
	if err := showSummary(p, summary); err != nil {
		return err
	}
	if summary.Killed > 0 {
		return context.Canceled // the outcome of those items is unknown
	}
	if failed := summary.Failed; failed > 0 && (f.once || f.maxItems > 0) {
		return &findings{failed, "failed item"}
	}
	if unreported := summary.Unreported; unreported > 0 {
		return domain.Errorf(domain.Unavailable, "want every item reported, found %s that no node took the report of", output.Plural(unreported, "item"))
	}
	return nil
}

// killOnSecond closes kill on the second signal that requests the end, or on one that
// requests it at once.
func killOnSecond(signals, quit <-chan os.Signal, kill chan<- struct{}, ended <-chan struct{}) {
	for count := 0; count < 2; count++ {
		select {
		case <-signals:
		case <-quit:
			count = 2
		case <-ended:
			return
		}
	}
	close(kill)
}

func showPlanned(p *output.Printer, planned []worker.Planned) error {
	l := output.Listing{Doc: map[string]any{"items": planned}, Empty: "a claim would take nothing now", Columns: []output.Column{
		{Name: "task_id"}, {Name: "task_type"}, {Name: "config_key"}, {Name: "command"}, {Name: "payload", Max: 60},
	}}
	for _, item := range planned {
		quoted := make([]string, len(item.Command))
		for i, word := range item.Command {
			if quoted[i] = word; word == "" || strings.ContainsAny(word, " \t\n'\"\\") {
				quoted[i] = strconv.Quote(word)
			}
		}
		l.Items = append(l.Items, item)
		l.Rows = append(l.Rows, []any{string(item.TaskID), item.TaskType, item.ConfigKey, strings.Join(quoted, " "), item.Payload})
	}
	return p.Print(l)
}

func showSummary(p *output.Printer, s worker.Summary) error {
	ended := []string{fmt.Sprintf("%d completed", s.Completed)}
	for _, part := range []struct {
		count int
		what  string
	}{{s.Failed, "failed"}, {s.Released, "released"}, {s.Cancelled, "cancelled"}, {s.Lost, "lost"}, {s.Unreported, "unreported"}, {s.Killed, "killed"}} {
		if part.count > 0 {
			ended = append(ended, fmt.Sprintf("%d %s", part.count, part.what))
		}
	}
	return p.Fields(s,
		output.Field{Name: "node", Value: string(s.NodeID)},
		output.Field{Name: "items", Value: fmt.Sprintf("%d: %s", s.Claimed, strings.Join(ended, ", "))},
		output.Field{Name: "seconds", Value: s.Seconds},
		output.Field{Name: "busy seconds", Value: s.Busy},
	)
}
