package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

// app has the state that all commands of one run share.
type app struct {
	stdin      io.Reader
	stdout     *watched
	stderr     io.Writer
	getenv     func(string) string
	now        func() time.Time
	format     string // of -o; empty: depends on what stdout is
	noProgress bool
	served     *source // the log of the node whose endpoint runs a report; nil: flags and arguments name a log
}

// watched records whether anything was written.
type watched struct {
	io.Writer
	written bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.written = w.written || len(p) > 0
	return w.Writer.Write(p)
}

// printer returns the printer of the command's output.
func (a *app) printer() (*output.Printer, error) {
	p, err := output.New(a.stdout.Writer, a.format, a.getenv)
	if err != nil {
		return nil, err
	}
	p.Out, p.Now = a.stdout, a.now()
	return p, nil
}

// progress starts to show how far a task is.
func (a *app) progress(title, unit string, total int64) *output.Progress {
	return output.NewProgress(a.stderr, a.noProgress, title, unit, total)
}

// note prints a message for people on the error stream, in lines that fit a terminal.
func (a *app) note(format string, args ...any) {
	fmt.Fprintln(a.stderr, noteLines(fmt.Sprintf(format, args...), output.TerminalWidth(a.stderr)))
}

// noteLines breaks a message into lines of a width, indented after the first. A width of 0
// is no terminal, and the message stays one line, because a program may read it.
func noteLines(said string, width int) string {
	if width == 0 {
		return said
	}
	lines := strings.Split(said, "\n")
	for i, line := range lines {
		column := indentOf(line)
		if strings.HasPrefix(line, "rift: ") {
			column = len("rift: ")
		}
		lines[i] = strings.Join(refilled([]string{line}, column, width), "\n")
	}
	return strings.Join(lines, "\n")
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "rift",
		Short: "Coordination service of a self-play training cluster",
		Long: `rift keeps every change of a training cluster on one log: work items and their
leases, nodes and their health. It serves that log over HTTP, and reads it back:
shows, imports, replays and explains it.

Exit codes: 0 done, 1 error, 2 done with findings, 3 conflict, 4 unreachable.`,
		Example: `  rift serve
  rift work add --task-type selfplay --config-key hex8_2p
  rift work status
  rift log tail --follow`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.Version = thisBuild().Version
	root.SetVersionTemplate("rift {{.Version}}\n")
	// It must precede the completion commands, which keep the stream that is set
	// when they are made.
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.PersistentPreRun = func(c *cobra.Command, _ []string) { paceCollection(c) }
	flags := root.PersistentFlags()
	flags.StringVarP(&a.format, "output", "o", "", "form of the answer: "+strings.Join(output.Formats, ", ")+" (default: table on a terminal, json elsewhere)")
	flags.BoolVar(&a.noProgress, "no-progress", false, "show no progress bars")
	config.FileFlag(flags)
	register(root, "output", output.Formats...)
	root.AddGroup(
		&cobra.Group{ID: "node", Title: "Run and ask a node:"},
		&cobra.Group{ID: "log", Title: "Read and move logs:"},
		&cobra.Group{ID: "code", Title: "What this build knows:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("node", newServe(a), newWorker(a), newPlay(a), newWork(a), newNodes(a), newRelay(a), newCluster(a), newDaemons(a), newSyncs(a), newAlarms(a), newTraining(a), newElo(a), newGauntlet(a), newTournament(a), newSSHTournament(a), newCMAES(a), newStatus(a), newFindings(a), newAdmin(a), newDemo(a))
	add("node", newPolicies(a))
	add("log", newLog(a), newBackup(a), newRestore(a), newReplay(a), newAt(a), newBisect(a), newDiff(a), newWhatif(a), newStep(a))
	add("code", newHandlers(a), newRoutes(a), newCatalog(a), newBench(a), newCalc(a), newSimulate(a), newVersion(a))
	add("log", newReport(a), newWhy(a), newEffects(a))
	root.SetHelpFunc(a.help)
	root.SetFlagErrorFunc(misspelt)
	root.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true})
	root.InitDefaultCompletionCmd("completion")
	groupsAnswerHelp(root)
	return root
}

// groupsAnswerHelp makes a command without an action print its help, and refuse an
// unknown subcommand.
func groupsAnswerHelp(c *cobra.Command) {
	for _, child := range c.Commands() {
		groupsAnswerHelp(child)
	}
	if c.Runnable() || !c.HasSubCommands() {
		return
	}
	c.Args = namesCommand
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// namesCommand refuses a word that is not a subcommand of c, and suggests the most similar
// one.
func namesCommand(c *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	var names []string
	for _, child := range c.Commands() {
		if !child.Hidden {
			names = append(names, child.Name())
		}
	}
	slices.Sort(names)
	err := usagef("no command `%s %s`", c.CommandPath(), words[0])
	if near := config.Nearest(words[0], names); near != "" {
		return hinted(err, "did you mean `%s %s`?", c.CommandPath(), near)
	}
	return hinted(err, "there are: %s", strings.Join(names, ", "))
}

// misspelt adds the most similar flag to the error for one that a command does not have.
func misspelt(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		return hinted(err, "did you mean --%s?", near)
	}
	return err
}

// misnamed returns an error if help is requested for a command that does not exist; cobra
// would print the help of the group. It parses the flags with commands of its own, because
// a flag that may be repeated keeps the values of every parse.
func misnamed(a *app, args []string) (*cobra.Command, error) {
	if !slices.Contains(args, "--help") && !slices.Contains(args, "-h") {
		return nil, nil
	}
	c, words, err := newRoot(a).Find(args)
	if err != nil || !c.HasSubCommands() {
		return nil, nil // the run reports the error
	}
	c.InitDefaultHelpFlag()
	if c.ParseFlags(words) != nil {
		return nil, nil
	}
	if help, err := c.Flags().GetBool("help"); err != nil || !help || c.Flags().NArg() == 0 {
		return nil, nil
	}
	return c, c.ValidateArgs(c.Flags().Args())
}

// register sets the values that the completion of a flag offers.
func register(c *cobra.Command, flag string, values ...string) {
	// It fails only for an undefined flag, which the tests of the help would show.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// exactly checks the number of arguments, and names those that are missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(args) > len(names) {
			return usagef("%s: want %s, found %q too", c.CommandPath(), orNothing(names), args[len(names)])
		}
		return usagef("%s: want %s, found %s", c.CommandPath(), strings.Join(names, " and "), orNothing(args))
	}
}

func orNothing(words []string) string {
	if len(words) == 0 {
		return "no arguments"
	}
	return strings.Join(words, " ")
}

// usagef returns the error of a wrong command line.
func usagef(format string, args ...any) error {
	return domain.Errorf(domain.Invalid, format, args...)
}
