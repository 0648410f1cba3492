package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
)

// Options say what is measured and how long.
type Options struct {
	Rounds  int      // 0 means 5, or 2 when quick
	Events  int      // of the log that is read and rebuilt, and items of the longest queue; 0 means 1,000,000, or 100,000 when quick
	Quick   bool     // shorter cells: a look, not a verdict
	Long    bool     // also what takes minutes
	Only    []string // names or groups of rows; none: all
	Dir     string   // where the cells keep their files; empty: the folder for temporary files
	Profile string   // folder for CPU and heap profiles, one pair a cell; empty: none
	// Child makes the command that runs a part of this program in a process of its own.
	Child func(ctx context.Context, args ...string) (*exec.Cmd, error)
	// Say tells people how far it is; nil: nobody is told.
	Say func(format string, args ...any)
}

// figure is a group of rows that are measured together.
type figure struct {
	name  string
	about string
	long  bool
	run   func(context.Context, *suite) ([]Row, error)
}

func figures() []figure {
	return []figure{
		{"append", "durable appends against raw pebble writing the same keys", false, appendFigure},
		{"read", "reading everything against a bare iterator", false, readFigure},
		{"replay", "typed replay against its bound", false, replayFigure},
		{"rebuild", "rebuilding all read models against typed replay", false, rebuildFigure},
		{"http", "commands and queries over HTTP against no-op requests", false, httpFigure},
		{"sched.claim", "claims over HTTP against no-op requests", false, claimsFigure},
		{"queue", "jobs over HTTP: the server's processor time at one client and at many, batches against single calls", false, queueFigure},
		{"memory", "what an item takes of the queue in memory", false, memoryFigure},
		{"items", "a page of queued items against one item, in a queue as long as the log", false, itemsFigure},
		{"asof", "questions about the past", false, asofFigure},
		{"flat.claim", "the latency of a claim in a long queue and a short one", false, claimFigure},
		{"flat.append", "the latency of an append to a long log and a short one", true, longFigure},
	}
}

// Names lists the groups of rows that Options.Only can name.
func Names() []string {
	var names []string
	for _, f := range figures() {
		names = append(names, f.name)
	}
	return names
}

// suite is one run.
type suite struct {
	options Options
	dir     string
	data    *dataset // made when the first figure asks for it
}

// Run measures. The report holds what was measured before an error, if any.
func Run(ctx context.Context, options Options) (report Report, err error) {
	s, err := newSuite(options)
	if err != nil {
		return Report{}, err
	}
	started := time.Now()
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	report = Report{Rounds: s.options.Rounds, Quick: options.Quick, Long: options.Long, Events: s.options.Events, Machine: thisMachine(s.dir), Rows: []Row{}}
	defer func() {
		report.worstFirst()
		report.Seconds = time.Since(started).Seconds()
		report.Machine.LoadAfter = load()
	}()
	ran := false
	for _, f := range figures() {
		named := len(options.Only) > 0
		if !wanted(options.Only, f.name) || f.long && !options.Long && !named {
			continue
		}
		ran = true
		s.say("%s: %s", f.name, f.about)
		rows, err := f.run(ctx, s)
		for _, one := range rows {
			if wanted(options.Only, one.Name) {
				report.add(one)
			}
		}
		if err != nil {
			return report, fmt.Errorf("bench %s: %w", f.name, err)
		}
	}
	if !ran {
		return report, domain.Errorf(domain.Invalid, "bench: want one of the figures %v, found %v", Names(), options.Only)
	}
	return report, nil
}

func newSuite(options Options) (*suite, error) {
	if options.Rounds < 0 || options.Events < 0 {
		return nil, domain.Errorf(domain.Invalid, "bench: want rounds and events of at least 1")
	}
	if options.Rounds == 0 {
		options.Rounds = 5
		if options.Quick {
			options.Rounds = 2
		}
	}
	if options.Events == 0 {
		options.Events = 1_000_000
		if options.Quick {
			options.Events = 100_000
		}
	}
	if options.Profile != "" {
		if err := os.MkdirAll(options.Profile, 0o755); err != nil {
			return nil, domain.Errorf(domain.Invalid, "folder for profiles: %w", err)
		}
	}
	dir, err := os.MkdirTemp(options.Dir, "rift-bench-")
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "folder for the files of a run: %w", err)
	}
	return &suite{options: options, dir: dir}, nil
}

func (s *suite) say(format string, args ...any) {
	if s.options.Say != nil {
		s.options.Say(format, args...)
	}
}

// cellTime is how long one cell is measured, and warmTime how long before that
// it runs unmeasured.
func (s *suite) cellTime() time.Duration {
	if s.options.Quick {
		return 300 * time.Millisecond
	}
	return 1500 * time.Millisecond
}

func (s *suite) warmTime() time.Duration { return s.cellTime() / 4 }

// fresh makes an empty folder; done takes it away.
func (s *suite) fresh(name string) (dir string, done func() error, err error) {
	dir, err = os.MkdirTemp(s.dir, name+"-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// wanted tells whether somebody asked for a row.
func (s *suite) wanted(row string) bool { return wanted(s.options.Only, row) }

// peer is one side of a ratio.
type peer struct {
	name string
	run  func(ctx context.Context, round int) (float64, error)
}

// choice is a peer that is left out unless a row wants it.
type choice struct {
	wanted bool
	peer   peer
}

func onlyIf(choices ...choice) []peer {
	var peers []peer
	for _, c := range choices {
		if c.wanted {
			peers = append(peers, c.peer)
		}
	}
	return peers
}

// rounds runs peers in turn, round after round; every other round in reverse,
// so that neither always follows the other.
func (s *suite) rounds(ctx context.Context, figure string, peers ...peer) (map[string][]float64, error) {
	values := map[string][]float64{}
	for round := range s.options.Rounds {
		s.say("  %s, round %d of %d", figure, round+1, s.options.Rounds)
		for i := range peers {
			p := peers[i]
			if round%2 == 1 {
				p = peers[len(peers)-1-i]
			}
			if err := ctx.Err(); err != nil {
				return values, err
			}
			var value float64
			err := s.cell(figure+"."+p.name, round, func() (err error) {
				value, err = p.run(ctx, round)
				return err
			})
			if err != nil {
				return values, fmt.Errorf("%s: %w", p.name, err)
			}
			values[p.name] = append(values[p.name], value)
		}
	}
	return values, nil
}

// cell runs one measurement on a clean heap, under a profile when asked for.
func (s *suite) cell(name string, round int, run func() error) (err error) {
	runtime.GC()
	if s.options.Profile == "" {
		return run()
	}
	stop, err := StartProfile(s.profileName(name, round))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return run()
}

func (s *suite) profileName(name string, round int) string {
	return filepath.Join(s.options.Profile, name+"."+strconv.Itoa(round+1))
}

// StartProfile writes name.cpu.pprof until stop, which writes name.heap.pprof.
func StartProfile(name string) (stop func() error, err error) {
	cpu, err := os.Create(name + ".cpu.pprof")
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "profile: %w", err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(domain.Errorf(domain.Internal, "profile: %w", err), cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		heap, err := os.Create(name + ".heap.pprof")
		if err != nil {
			return errors.Join(domain.Errorf(domain.Invalid, "profile: %w", err), cpu.Close())
		}
		return errors.Join(pprof.WriteHeapProfile(heap), heap.Close(), cpu.Close())
	}, nil
}
