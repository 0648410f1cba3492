package clustersim

import (
	"flag"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ringrift/rift/domain"
)

var (
	flagSeeds = flag.Int("clustersim.seeds", 3, "number of seeds to play")
	flagFrom  = flag.Uint64("clustersim.from", 1, "the first seed")
	flagDays  = flag.Int("clustersim.days", 1, "days of each seed")
	flagNodes = flag.Int("clustersim.nodes", 9, "nodes of each seed, with those of workers")
	flagItems = flag.Int("clustersim.items", 6, "items of each seed")
)

func init() {
	flag.IntVar(&maxShrunk, "clustersim.shrunk", maxShrunk, "number of failing seeds to shrink")
}

func planned() Plan {
	return Plan{Nodes: *flagNodes, Items: *flagItems, Span: time.Duration(*flagDays) * 24 * time.Hour}
}

// Every rule holds under faults, and faults do happen.
func TestSeeds(t *testing.T) {
	played := 0
	s, err := Seeds(t.Context(), planned(), *flagFrom, *flagSeeds, func(Report) { played++ })
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Failures {
		t.Errorf("seed %d: %s\n%s", f.Seed, strings.Join(f.Broken, "\n"), f.Script)
	}
	t.Logf("%+v", s)
	if played != *flagSeeds || s.Done == 0 || s.Counts.Acknowledged == 0 || s.Refused == 0 || s.Counts.Elections < *flagSeeds || s.Counts.Lost == 0 {
		t.Errorf("want seeds in which much happens, found %+v", s)
	}
}

// The same seed gives the same run, to the last message.
func TestASeedGivesTheSameRun(t *testing.T) {
	first, err := Run(t.Context(), planned().With(11))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Run(t.Context(), planned().With(11))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, again) {
		t.Errorf("found\n%+v\nand\n%+v", first, again)
	}
}

// The script of a failure has the faults that it needs, at their times, and no others.
func TestAFailureIsToldAsAScript(t *testing.T) {
	p := planned().With(5)
	p.Faults = []Fault{
		{At: time.Hour, Kind: Crash, Host: "leader", Syncs: 3},
		{At: 90 * time.Minute, Kind: Partition, Host: "n2", From: []string{"n1", "n3"}, Way: "in", For: time.Minute},
	}
	script := p.Script([]string{"two leaders"})
	for _, want := range []string{
		"cluster n1 n2 n3", " seed=5 nodes=9 items=6 span=24h0m0s\n", "tick 1h0m0s\n", "crash leader syncs=3\n", "tick 30m0s\n",
		"partition n2 from=n1+n3 way=in for=1m0s\n", "audit\n----\nbroken: two leaders\n",
	} {
		if !strings.Contains(script, want) {
			t.Errorf("want %q in\n%s", want, script)
		}
	}
}

// A machine that is replaced while the disk with its ballots is full starts once there is
// space, because its replacement has that disk.
func TestAReplacedMachineWaitsForSpace(t *testing.T) {
	p := planned().With(1105)
	p.Span, p.Items = 2*time.Minute, 1
	p.Faults = []Fault{{At: 30 * time.Second, Kind: Full, Host: "n3", For: 40 * time.Second}, {At: 43 * time.Second, Kind: Replace, Host: "n3", For: 3 * time.Second}}
	r, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Broken) > 0 || r.Counts.Replaced != 1 {
		t.Errorf("want n3 replaced, found %d times and %v", r.Counts.Replaced, r.Broken)
	}
}

// Nothing of a process whose disk failed stays in memory: a thousand seeds have a thousand.
func TestAFullDiskLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	p := planned().With(1)
	p.Span, p.Items = 10*time.Minute, 4
	p.Faults = nil
	for i := range 6 {
		p.Faults = append(p.Faults, Fault{At: time.Duration(1+i) * time.Minute, Kind: Full, Host: "leader", For: 20 * time.Second})
	}
	r, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Broken) > 0 || r.Counts.Crashes == 0 {
		t.Errorf("want processes that end for lack of space, found %d and %v", r.Counts.Crashes, r.Broken)
	}
}

// Each check finds the violation that it is for.
func TestChecksSee(t *testing.T) {
	c, err := New(Config{Seed: 1, Voters: []domain.NodeID{"n1", "n2", "n3"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i := range 4 {
		l := &load{cluster: c}
		c.Until(time.Minute, func() bool { return c.Leader() != nil && c.Leader().log.Leader().Self })
		if stream := domain.Stream(probeCategory, "0"); i < 3 {
			l.append(c.Leader(), stream, domain.AnyRevision)
		} else {
			l.read(c.Leader(), stream)
		}
		c.Run(time.Second)
		if c.probes[i].outcome == unanswered {
			t.Fatalf("append %d is not answered", i)
		}
	}
	c.Settle()
	c.Check(t.Context())
	if len(c.broken) > 0 {
		t.Fatalf("found %v", c.broken)
	}
	broken := func(what, want string) {
		t.Helper()
		c.broken = nil
		c.Check(t.Context())
		for _, h := range c.hosts {
			h.watch()
		}
		if !strings.Contains(fmt.Sprint(c.broken), want) {
			t.Errorf("%s: want it seen as %q, found %v", what, want, c.broken)
		}
	}
	at := -1
	for i, p := range c.probes {
		if p.outcome == stored && !p.reads {
			at = i
		}
	}
	if at < 0 {
		t.Fatal("want an append that is stored")
	}
	one := *c.probes[at]
	c.acknowledgements[0].position++
	broken("an acknowledged event is elsewhere", "was acknowledged at")
	c.acknowledgements[0].position--
	c.probes[at].outcome = refused
	broken("a refused append is there", "was refused, and is at")
	*c.probes[at] = one
	c.probes[at].revision += 3
	broken("an append is told a wrong revision", "no order of")
	*c.probes[at] = one
	c.probes[3].revision--
	broken("a reading shows too little", "no order of")
	c.probes[3].revision++
	c.truth[0].Data = []byte(`{"leader":"n9"}`)
	h := c.hosts[0]
	h.seen, h.applied = 0, 0
	broken("a position holds something else", "position 1 holds")
	c.leaders[c.Leader().log.Standing().Term] = "n9"
	broken("a term has two leaders", "has the leaders")
}
