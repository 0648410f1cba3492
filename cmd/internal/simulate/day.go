package simulate

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// dayStart is the start of a generated day.
var dayStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// Parameters of the generated day.
const (
	dayLoad  = 0.6 // share of the slots, on average
	dayBatch = 100 // items per batch, on average
	slotsOf  = 8   // of every machine
	// leagues is the number of configs. They are not names of games, because results of
	// games would start trainings.
	leagues = 12
)

// kind is a type of work of the generated day.
type kind struct {
	name     string
	share    int // in percent of the items
	length   int // of an attempt, in percent of the mean
	priority int
	gpu      bool
}

var kinds = []kind{
	{"selfplay", 78, 100, 50, true},
	{"gauntlet", 8, 60, 60, true},
	{"evaluation", 4, 80, 70, true},
	{"data_sync", 6, 20, 40, false},
	{"training", 2, 500, 65, true},
	{"export", 2, 40, 30, false},
}

// Day generates a day, or another span, in which a number of items arrive at a
// number of nodes, in waves. Some attempts fail, vanish or are released; some items
// wait for others, and some are cancelled. The same seed gives the same day.
func Day(items, nodes int, span time.Duration, seed uint64) (Scenario, error) {
	if items < 1 || items > 100_000_000 || nodes < 1 || nodes > 100_000 || span < time.Minute || span > 366*24*time.Hour {
		return Scenario{}, domain.Errorf(domain.Invalid, "simulation: want 1 to 100,000,000 items, 1 to 100,000 nodes and a minute to 366 days, found %d, %d and %v", items, nodes, span)
	}
	s := Scenario{
		Name: fmt.Sprintf("%d items in %v on %d nodes", items, span, nodes), Start: dayStart, Span: span,
		Policy: wiring.Sections().Default(), Poll: 30 * time.Second, Tick: 5 * time.Second,
		Arrivals: dayArrivals(items, nodes, span, seed),
	}
	// The day is meant to build long queues, and with short leases most events would be
	// heartbeats.
	queue := work.DefaultPolicy()
	queue.SoftLimit, queue.HardLimit = 1_000_000_000, 2_000_000_000
	queue.LeaseSeconds = 900
	for name, kind := range queue.Scheduling.Types {
		kind.PendingCap = nil
		queue.Scheduling.Types[name] = kind
	}
	s.Policy = s.Policy.With(queue)
	s.Notes = append(s.Notes, "work.hard_limit and the caps of types are lifted", "work.lease_seconds is 900")
	cards := []string{"NVIDIA H100 PCIe", "GeForce RTX 4090", "A100-SXM4-80GB", "NVIDIA L40S"}
	for i := range nodes {
		facts, err := json.Marshal(map[string]any{"gpu": cards[i%len(cards)], "slots": slotsOf})
		if err != nil {
			return Scenario{}, domain.Errorf(domain.Internal, "facts of a node: %w", err)
		}
		s.Machines = append(s.Machines, Machine{ID: domain.NodeID(fmt.Sprintf("gpu-%04d", i)), Capabilities: []string{"gpu"}, Facts: facts, Slots: slotsOf})
	}
	return s, nil
}

// dayArrivals yields batches of items, densest in the middle of the day.
func dayArrivals(items, nodes int, span time.Duration, seed uint64) iter.Seq2[Arrival, error] {
	return func(yield func(Arrival, error) bool) {
		random := rand.New(rand.NewPCG(seed, 0x646179))
		mean := time.Duration(dayLoad * float64(span) * float64(nodes*slotsOf) / float64(items))
		weighted := 0
		for _, k := range kinds {
			weighted += k.share * k.length
		}
		mean = mean * 10_000 / time.Duration(weighted)
		mean = min(max(mean, time.Second), time.Hour)
		batch := min(dayBatch, max(1, items/200))
		gap := span * time.Duration(batch) / time.Duration(items)
		at := dayStart.Add(time.Second)
		trainings := []domain.TaskID(nil)
		for n := 0; n < items; {
			for range min(1+random.IntN(2*batch), items-n) {
				k := pick(random)
				id := domain.TaskID(fmt.Sprintf("t-%08d", n))
				priority := min(k.priority+random.IntN(11), 100)
				add := workcmd.AddTask{
					TaskID: id, TaskType: k.name, ConfigKey: fmt.Sprintf("league-%02d", random.IntN(leagues)), Priority: &priority,
					Payload: json.RawMessage(fmt.Sprintf(`{"games":%d,"seed":%d}`, 50+random.IntN(400), random.Uint32())),
				}
				if k.gpu {
					add.Requires = []string{"gpu"}
				}
				if k.name == "evaluation" && len(trainings) > 0 && random.IntN(4) == 0 {
					add.DependsOn = []domain.TaskID{trainings[random.IntN(len(trainings))]}
				}
				if k.name == "training" {
					trainings = append(trainings, id)
					trainings = trainings[max(0, len(trainings)-16):]
				}
				if !yield(Arrival{At: at, Task: add, Fate: fate(random, k, mean, at)}, nil) {
					return
				}
				n++
			}
			swing := 0.7 + 1.2*math.Abs(float64(at.Sub(dayStart))/float64(span)-0.5)
			at = domain.Instant(at.Add(time.Duration(float64(gap) * swing * (0.5 + random.Float64()))))
		}
	}
}

func pick(random *rand.Rand) kind {
	drawn := random.IntN(100)
	for _, k := range kinds {
		if drawn -= k.share; drawn < 0 {
			return k
		}
	}
	return kinds[0]
}

// fate draws the course of an item. About 95 of 100 succeed in their first run.
func fate(random *rand.Rand, k kind, mean time.Duration, at time.Time) Fate {
	mean = mean * time.Duration(k.length) / 100
	f := Fate{Lasts: domain.Seconds((mean/4 + time.Duration(0.75*random.ExpFloat64()*float64(mean))).Seconds()).Duration()}
	f.Lasts = min(f.Lasts, 80*time.Minute) // below the time-out of an attempt
	switch drawn := random.IntN(1000); {
	case drawn < 20:
		f.Runs = []Ending{Fails, Succeeds}
	case drawn < 24:
		f.Runs = []Ending{Fails}
	case drawn < 26:
		f.Runs = []Ending{FailsForGood}
	case drawn < 36:
		f.Runs = []Ending{Releases, Succeeds}
	case drawn < 41:
		f.Runs = []Ending{Vanishes, Succeeds}
	case drawn < 46:
		f.CancelAt = at.Add(time.Duration(random.Int64N(int64(10 * time.Minute))))
	case drawn < 48:
		f.Runs = []Ending{AwaitsCancel}
	}
	return f
}
