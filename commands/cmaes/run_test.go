package cmaes

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// life is a run in the log: the state after each event, and what was decided from
// it.
type life struct {
	t      *testing.T
	run    cmaesrun.Run
	events []domain.Event
	codec  *domain.Catalog
	steps  []step
}

type step struct {
	from    cmaesrun.Run
	search  string // of from, as JSON
	facts   domain.Facts
	command report
	events  []domain.Event
}

// take folds events as read back from the log.
func (l *life) take(events []domain.Event) {
	l.t.Helper()
	for _, event := range events {
		if v, can := event.(domain.Validator); can {
			if faults := v.Validate(); len(faults) > 0 {
				l.t.Fatalf("%s: %v", event.EventType(), faults)
			}
		}
		data, err := json.Marshal(event)
		if err != nil {
			l.t.Fatal(err)
		}
		e := domain.Envelope{Stream: event.(domain.Homed).Home(), Type: event.EventType()}
		if e.Event, err = l.codec.Decode(event.EventType(), 1, data); err != nil {
			l.t.Fatal(err)
		}
		l.run = l.run.Evolve(e)
		l.events = append(l.events, e.Event)
	}
}

func (l *life) report(now time.Time, c report) {
	l.t.Helper()
	facts := domain.Facts{Now: now}
	events, err := takeReport(l.run, c, facts)
	if err != nil {
		l.t.Fatal(err)
	}
	search, err := json.Marshal(l.run.Search)
	if err != nil {
		l.t.Fatal(err)
	}
	l.steps = append(l.steps, step{l.run, string(search), facts, c, events})
	l.take(events)
}

func begin(t *testing.T, c Start) *life {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, cmaesrun.Events())
	if err != nil {
		t.Fatal(err)
	}
	c.Objective = json.RawMessage(`"f"`)
	facts := domain.Facts{Now: began, Command: "start"}
	c, err = completeStart(c, facts)
	if err != nil {
		t.Fatal(err)
	}
	events, err := startRun(cmaesrun.Run{}, c, facts)
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t: t, codec: catalog}
	l.take(events)
	return l
}

func rosenbrock(x []float64) float64 {
	sum := 0.0
	for i := range len(x) - 1 {
		sum += 100*math.Pow(x[i]*x[i]-x[i+1], 2) + math.Pow(x[i]-1, 2)
	}
	return sum
}

// play answers requested candidates until the run ends, or for a number of reports.
func (l *life) play(random *rand.Rand, most int, value func([]float64) float64) {
	l.t.Helper()
	now := began
	for range most {
		if l.run.Phase() != cmaesrun.Running {
			return
		}
		out := l.run.Out()
		if len(out) == 0 {
			l.t.Fatal("want something to be out while the run is running")
		}
		sample, ours := cmaesrun.SampleOf(out[random.IntN(len(out))])
		if !ours {
			l.t.Fatalf("want samples to be out, found %q", out)
		}
		now = now.Add(time.Duration(random.IntN(3000)) * time.Millisecond)
		c := report{Sample: sample, NodeID: "n"}
		if random.IntN(12) == 0 {
			c.Failure = "the node died"
		} else {
			c.Value = &cmaesrun.Value{Fitness: value(l.x(sample))}
		}
		l.report(now, c)
		if random.IntN(15) == 0 && l.run.Phase() == cmaesrun.Running && l.run.Injected() < 2 {
			x := slices.Repeat([]float64{random.NormFloat64()}, len(l.run.Search.Run.Mean))
			events, err := injectPoint(l.run, Inject{Run: "r", X: x, Fitness: value(x)}, domain.Facts{Now: now})
			if err != nil {
				l.t.Fatal(err)
			}
			l.take(events)
		}
		if random.IntN(20) == 0 && sample.Generation > 0 { // repeated, or late
			sample.Generation -= random.IntN(2)
			l.report(now, report{Sample: sample, NodeID: "n", Value: &cmaesrun.Value{Fitness: -1e9}})
		}
	}
}

// x returns the point that a sample's item has to evaluate.
func (l *life) x(s cmaesrun.Sample) []float64 {
	for i := len(l.events) - 1; i >= 0; i-- {
		asked, is := l.events[i].(cmaesrun.CandidatesAsked)
		if !is || asked.Generation != s.Generation {
			continue
		}
		for _, c := range asked.Candidates {
			if c.Index == s.Index {
				return c.X
			}
		}
	}
	l.t.Fatalf("%+v was never asked for", s)
	return nil
}

// A run folded from any prefix of its log continues identically, event by event,
// and the search in the log equals, bit for bit, that of a single process with the
// same values.
func TestAnyPrefixGoesOnBitForBit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := Start{
			Run: "r", X0: []float64{-1, 2, 0.5}, Sigma0: 0.7, Population: rapid.IntRange(4, 7).Draw(r, "population"),
			Restarts: rapid.SampledFrom([]cmaes.RestartPolicy{"", "ipop", "bipop"}).Draw(r, "restarts"), Reevaluate: rapid.SampledFrom([]float64{0, 0.4}).Draw(r, "reevaluate"),
			Lost: rapid.SampledFrom(cmaesrun.LostRules).Draw(r, "lost"), GenerationSeconds: rapid.SampledFrom([]domain.Seconds{0, 5}).Draw(r, "seconds"),
			Bounds: json.RawMessage(rapid.SampledFrom([]string{`null`, `[-2,3]`, `[[-2,null],null,{"low":-3,"high":3}]`}).Draw(r, "bounds")), Integers: rapid.SampledFrom([][]int{nil, {1}}).Draw(r, "integers"),
			Tolerances: cmaes.Tolerances{MaxIter: rapid.SampledFrom([]int{0, 3}).Draw(r, "maxiter"), FlatFitness: rapid.SampledFrom([]int{0, 3, -1}).Draw(r, "flat"), Fun: -1},
		}
		seed := rapid.Uint64().Draw(r, "seed")
		c.Seed = &seed
		l := begin(t, c)
		random := rand.New(rand.NewPCG(seed, 1))
		l.play(random, 70, rapid.SampledFrom([]func([]float64) float64{
			rosenbrock,
			func(x []float64) float64 { return rosenbrock(x) + 50*random.NormFloat64() },
			func(x []float64) float64 { return math.Floor(rosenbrock(x) / 500) },
		}).Draw(r, "objective"))
		again(t, l)
		sameSearch(t, l)
	})
}

// again decides from every state that was folded on the way something else, and then
// what was decided then: no decision changed a state that it was made from.
func again(t *testing.T, l *life) {
	t.Helper()
	for _, s := range l.steps {
		other := s.command
		other.Value = &cmaesrun.Value{Fitness: -7}
		if _, err := takeReport(s.from, other, s.facts); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range l.steps {
		if found, err := json.Marshal(s.from.Search); err != nil || string(found) != s.search {
			t.Fatalf("want the search\n%s\nfound\n%s\n%v", s.search, found, err)
		}
		events, err := takeReport(s.from, s.command, s.facts)
		if err != nil || !reflect.DeepEqual(events, s.events) {
			t.Fatalf("report %+v: want\n%+v\nfound\n%+v\n%v", s.command, s.events, events, err)
		}
	}
}

// sameSearch runs a search in memory with the values in the log, and compares its
// bits with those of every generation, and its candidates with the requested ones.
func sameSearch(t *testing.T, l *life) {
	t.Helper()
	var search *cmaes.Search
	values := map[int]map[int]float64{}
	var points []cmaes.Evaluation
	for _, event := range l.events {
		switch e := event.(type) {
		case cmaesrun.Started:
			var err error
			if search, err = cmaes.New(e.Search); err != nil {
				t.Fatal(err)
			}
		case cmaesrun.CandidateEvaluated:
			if values[e.Index] == nil {
				values[e.Index] = map[int]float64{}
			}
			values[e.Index][e.Sample] = e.Fitness
		case cmaesrun.PointInjected:
			points = append(points, cmaes.Evaluation{Generation: e.Generation, Index: -1, X: e.X, Values: []float64{e.Fitness}})
		case cmaesrun.GenerationTold:
			var told []cmaes.Evaluation
			for index, of := range values {
				one := cmaes.Evaluation{Generation: e.Generation, Index: index}
				for sample := range 2 {
					if v, has := of[sample]; has {
						one.Values = append(one.Values, v)
					}
				}
				told = append(told, one)
			}
			if err := search.Tell(append(told, points...)); err != nil {
				t.Fatal(err)
			}
			clear(values)
			points = nil
		case cmaesrun.GenerationAsked:
			if found := cmaesrun.Digest(search); found != e.Digest {
				t.Fatalf("generation %d: want digest %s, found %s", e.Generation, e.Digest, found)
			}
		case cmaesrun.CandidatesAsked:
			for _, c := range e.Candidates {
				if x := search.Candidate(c.Index).X; !reflect.DeepEqual(x, c.X) {
					t.Fatalf("candidate %d of generation %d: want %v, found %v", c.Index, e.Generation, c.X, x)
				}
			}
		}
	}
	if l.run.Phase() == cmaesrun.Running {
		if a, b := cmaesrun.Digest(search), cmaesrun.Digest(l.run.Search); a != b {
			t.Fatalf("want digest %s, found %s", a, b)
		}
		one, _ := json.Marshal(search)
		if other, _ := json.Marshal(l.run.Search); string(one) != string(other) {
			t.Fatalf("want the search\n%s\nfound\n%s", one, other)
		}
	}
}

// A search over a log finds the least value, though every twelfth candidate is lost.
func TestRunFindsTheLeast(t *testing.T) {
	target, seed := 1e-8, uint64(4)
	for _, lost := range cmaesrun.LostRules {
		l := begin(t, Start{Run: "r", X0: []float64{0, 0, 0}, Sigma0: 0.5, Target: &target, Seed: &seed, Lost: lost})
		l.play(rand.New(rand.NewPCG(3, 3)), 5000, rosenbrock)
		end := l.run.Finished
		if end == nil || end.State != cmaesrun.Done || end.Best.Fitness > target || end.Stop[0].Name != "ftarget" {
			t.Fatalf("%s: found %+v", lost, end)
		}
		sameSearch(t, l)
	}
}

// The events of the largest run are far below what a log takes.
func TestEventsAreBounded(t *testing.T) {
	n := cmaesrun.DefaultPolicy().MaxVariables
	c := Start{Run: "r", X0: make([]float64, n), Sigma0: 0.5, Population: cmaesrun.DefaultPolicy().MaxPopulation}
	for i := range c.X0 {
		c.X0[i] = 0.1 + float64(i)/3
	}
	l := begin(t, c)
	if len(l.events) > 100 {
		t.Errorf("want at most 100 events, found %d", len(l.events))
	}
	for _, event := range l.events {
		data, err := json.Marshal(event)
		if err != nil || len(data) > 1<<20 {
			t.Errorf("%s: want at most 1 MiB, found %d bytes, %v", event.EventType(), len(data), err)
		}
	}
	if asked := len(l.run.Out()); asked != c.Population {
		t.Errorf("want %d candidates, found %d", c.Population, asked)
	}
}

// Every fault of a start is named, and nothing panics on any of them.
func FuzzStart(f *testing.F) {
	f.Add(`{"x0":[1],"sigma0":1,"objective":"x"}`)
	f.Add(`{"x0":[1,2],"sigma0":1,"bounds":[[0,1],null],"objective":{"player":"h:{x}","baselines":["random"],"games":2}}`)
	f.Add(`{"x0":[1],"sigma0":1,"bounds":[{"low":0}],"objective":{"kind":7,"command":{"a":[1]}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		var c Start
		if json.Unmarshal([]byte(body), &c) != nil {
			return
		}
		facts := domain.Facts{Now: began, Command: "c"}
		c, err := completeStart(c, facts)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Fatalf("want it invalid, found %v", err)
			}
			return
		}
		events, err := startRun(cmaesrun.Run{}, c, facts)
		if err != nil {
			t.Fatal(err)
		}
		run := cmaesrun.Run{}
		for _, event := range events {
			if _, err := json.Marshal(event); err != nil {
				t.Fatal(err)
			}
			run = run.Evolve(domain.Envelope{Event: event})
		}
		if len(run.Out()) == 0 {
			t.Fatal(fmt.Sprint("want something to be out of ", body))
		}
	})
}

// Whatever a log holds, and in whatever order, no decision on it panics.
func FuzzForeignLogs(f *testing.F) {
	started := `{"run":"r","search":{"x0":[1],"sigma0":1,"seed":1,"population":4,"tolerances":{}},"objective":{"kind":"command","task_type":"c"},"lost":"resample"}`
	f.Add(started, `{"run":"r","generation":0,"population":4,"mean":[1],"sigma":1,"state":{"base":4,"sigma0":1,"c":"P/AAAAAAAAA=","pc":[0],"ps":[0]}}`, `{"run":"r","candidates":[{"index":0,"x":[1],"samples":1},{"index":1,"x":[2],"samples":1}]}`)
	f.Add(started, `{"run":"r","population":4,"mean":[1,2],"sigma":1,"state":{"c":"","pc":[],"ps":[0]}}`, `{"run":"r","candidates":[{"index":-3,"samples":1000000}]}`)
	f.Fuzz(func(t *testing.T, first, second, third string) {
		catalog, err := domain.NewCatalog(nil, cmaesrun.Events())
		if err != nil {
			t.Fatal(err)
		}
		var run cmaesrun.Run
		for i, text := range []string{first, second, third} {
			kind := []string{"CMAES_STARTED", "CMAES_GENERATION_ASKED", "CMAES_CANDIDATES_ASKED"}[i]
			event, err := catalog.Decode(kind, 1, []byte(text))
			if err != nil {
				return
			}
			if s, is := event.(cmaesrun.Started); is && (len(s.Search.X0) > 20 || s.Search.Population > 100) {
				return // it only takes longer
			}
			run = run.Evolve(domain.Envelope{Event: event})
		}
		for _, task := range run.Out() {
			s, ours := cmaesrun.SampleOf(task)
			if !ours {
				continue
			}
			for _, c := range []report{{Sample: s, Value: &cmaesrun.Value{Fitness: 1}}, {Sample: s, Failure: "lost"}} {
				events, err := takeReport(run, c, domain.Facts{Now: began})
				if err != nil {
					t.Fatal(err)
				}
				for _, event := range events {
					run = run.Evolve(domain.Envelope{Event: event})
				}
			}
		}
		if _, err := stopRun(run, Stop{Run: "r"}, domain.Facts{Now: began}); err != nil && domain.CodeOf(err) == domain.Internal {
			t.Fatal(err)
		}
	})
}
