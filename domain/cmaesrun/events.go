package cmaesrun

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
)

// ID names a run.
type ID string

// MaxID limits the id of a run in bytes: the ids of its items consist of it, the
// generation, the candidate and the sample.
const MaxID = 120

// Stream returns the stream with all events of the run.
func (id ID) Stream() domain.StreamID { return domain.Stream("cmaes", string(id)) }

// Sample is one evaluation of a candidate.
type Sample struct {
	Run        ID  `json:"run"`
	Generation int `json:"generation"`
	Index      int `json:"index"`
	Sample     int `json:"sample"` // from 0; a second one measures noise
}

const taskPrefix = "cmaes-"

// TaskID returns the id of a sample's item.
func (s Sample) TaskID() domain.TaskID {
	return domain.TaskID(fmt.Sprintf("%s%s.%d.%d.%d", taskPrefix, s.Run, s.Generation, s.Index, s.Sample))
}

// SampleOf parses the id of an item; false for other items.
func SampleOf(task domain.TaskID) (Sample, bool) {
	rest, ours := strings.CutPrefix(string(task), taskPrefix)
	parts := strings.Split(rest, ".")
	if !ours || len(parts) < 4 {
		return Sample{}, false
	}
	var numbers [3]int
	for i, part := range parts[len(parts)-3:] {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return Sample{}, false
		}
		numbers[i] = n
	}
	s := Sample{ID(strings.Join(parts[:len(parts)-3], ".")), numbers[0], numbers[1], numbers[2]}
	return s, s.TaskID() == task
}

// LostRule is how a lost candidate is handled.
type LostRule string

// The rules.
const (
	Resample LostRule = "resample" // another one is drawn instead
	Drop     LostRule = "drop"     // the others of its generation get more weight
)

// LostRules lists the rules.
var LostRules = []LostRule{Resample, Drop}

// Started: a search started.
type Started struct {
	Run               ID               `json:"run"`
	ConfigKey         domain.ConfigKey `json:"config_key,omitempty"`
	Search            cmaes.Options    `json:"search"`
	Objective         Objective        `json:"objective"`
	Lost              LostRule         `json:"lost"`
	GenerationSeconds domain.Seconds   `json:"generation_seconds,omitempty"` // after which a generation continues without outstanding candidates
}

func (Started) EventType() string       { return "CMAES_STARTED" }
func (e Started) Home() domain.StreamID { return e.Run.Stream() }

func (e Started) Validate() []domain.Fault {
	return append(e.RunFaults(), e.Objective.Faults(len(e.Search.X0), e.ConfigKey)...)
}

// RunFaults returns what is wrong with everything but the search and the objective.
func (e Started) RunFaults() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	c.MaybeConfig(e.ConfigKey)
	domain.OneOf(&c, "lost", e.Lost, LostRules)
	c.MaybeSeconds("generation_seconds", &e.GenerationSeconds)
	return c
}

// finite checks that values are finite.
func finite(c *domain.Checks, field string, values ...float64) {
	if i := slices.IndexFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }); i >= 0 {
		c.Fault(field, "want numbers, found %v", values[i])
	}
}

func checkRun(c *domain.Checks, id ID) {
	c.Name("run", string(id))
	if len(id) > MaxID {
		c.Fault("run", "want at most %d bytes, found %d", MaxID, len(id))
	}
}

// State is what the candidates of a generation, its update and the stop criteria
// depend on, in addition to other fields of GenerationAsked and earlier events.
type State struct {
	Base           int       `json:"base"` // population before it was enlarged because of noise
	Small          bool      `json:"small,omitempty"`
	RunGeneration  int       `json:"run_generation"` // since the last restart
	RunEvaluations int       `json:"run_evaluations"`
	Sigma0         float64   `json:"sigma0"`
	C              Triangle  `json:"c"`
	PC             []float64 `json:"pc"`
	PS             []float64 `json:"ps"`
	Noise          float64   `json:"noise,omitempty"`
	Flat           int       `json:"flat,omitempty"`
	MovedAt        int       `json:"moved_at,omitempty"`
}

// GenerationAsked: the evaluation of a generation's candidates was requested.
type GenerationAsked struct {
	Run         ID        `json:"run"`
	Generation  int       `json:"generation"`
	Restarts    int       `json:"restarts,omitempty"` // before it
	Population  int       `json:"population"`
	Seed        uint64    `json:"seed"`
	Mean        []float64 `json:"mean"`      // before bounds and rounding
	Favourite   []float64 `json:"favourite"` // the mean within the bounds
	Sigma       float64   `json:"sigma"`
	AxisRatio   float64   `json:"axis_ratio"`
	Stds        []float64 `json:"stds"` // of the variables, before bounds
	Evaluations int       `json:"evaluations"`
	Dropped     int       `json:"dropped,omitempty"`
	Deadline    time.Time `json:"deadline,omitzero"`
	State       State     `json:"state"`
	Digest      string    `json:"digest"` // SHA-256 of the bits of the search
}

func (GenerationAsked) EventType() string       { return "CMAES_GENERATION_ASKED" }
func (e GenerationAsked) Home() domain.StreamID { return e.Run.Stream() }

func (e GenerationAsked) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	finite(&c, "sigma", e.Sigma)
	finite(&c, "axis_ratio", e.AxisRatio)
	finite(&c, "mean", e.Mean...)
	finite(&c, "stds", e.Stds...)
	finite(&c, "state.c", e.State.C.numbers()...)
	finite(&c, "state.pc", e.State.PC...)
	finite(&c, "state.ps", e.State.PS...)
	return c
}

// Candidate is a point to evaluate.
type Candidate struct {
	Index     int       `json:"index"`
	X         []float64 `json:"x"`
	Samples   int       `json:"samples"` // how often it is evaluated
	InsteadOf *int      `json:"instead_of,omitempty"`
}

// CandidatesAsked: the evaluation of these candidates of a generation was
// requested, by an item for each sample.
type CandidatesAsked struct {
	Run        ID          `json:"run"`
	Generation int         `json:"generation"`
	Candidates []Candidate `json:"candidates"`
}

func (CandidatesAsked) EventType() string       { return "CMAES_CANDIDATES_ASKED" }
func (e CandidatesAsked) Home() domain.StreamID { return e.Run.Stream() }

func (e CandidatesAsked) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	for i, candidate := range e.Candidates {
		finite(&c, fmt.Sprintf("candidates[%d].x", i), candidate.X...)
	}
	return c
}

// CandidateEvaluated: a sample of a candidate got a value.
type CandidateEvaluated struct {
	Run        ID            `json:"run"`
	Generation int           `json:"generation"`
	Index      int           `json:"index"`
	Sample     int           `json:"sample"`
	TaskID     domain.TaskID `json:"task_id"`
	NodeID     domain.NodeID `json:"node_id,omitempty"`
	Fitness    float64       `json:"fitness"` // smaller is better
	Games      int           `json:"games,omitempty"`
	Score      *float64      `json:"score,omitempty"` // share of points in the games
	Ready      int           `json:"ready"`           // candidates of the generation with a value
}

func (CandidateEvaluated) EventType() string       { return "CMAES_CANDIDATE_EVALUATED" }
func (e CandidateEvaluated) Home() domain.StreamID { return e.Run.Stream() }

func (e CandidateEvaluated) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	c.Name("task_id", string(e.TaskID))
	finite(&c, "fitness", e.Fitness)
	return c
}

// CandidateLost: a sample of a candidate will have no value: its item failed, was
// cancelled, or had no usable result.
type CandidateLost struct {
	Run        ID            `json:"run"`
	Generation int           `json:"generation"`
	Index      int           `json:"index"`
	Sample     int           `json:"sample"`
	TaskID     domain.TaskID `json:"task_id"`
	NodeID     domain.NodeID `json:"node_id,omitempty"`
	Reason     string        `json:"reason"`
}

func (CandidateLost) EventType() string       { return "CMAES_CANDIDATE_LOST" }
func (e CandidateLost) Home() domain.StreamID { return e.Run.Stream() }

func (e CandidateLost) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	c.Name("task_id", string(e.TaskID))
	c.Text("reason", e.Reason)
	return c
}

// CandidateLate: a sample's value arrived after its generation. It does not count.
type CandidateLate struct {
	Run        ID            `json:"run"`
	Generation int           `json:"generation"`
	Index      int           `json:"index"`
	Sample     int           `json:"sample"`
	TaskID     domain.TaskID `json:"task_id"`
	NodeID     domain.NodeID `json:"node_id,omitempty"`
	Now        int           `json:"now"` // the current generation, or the last one
}

func (CandidateLate) EventType() string       { return "CMAES_CANDIDATE_LATE" }
func (e CandidateLate) Home() domain.StreamID { return e.Run.Stream() }

func (e CandidateLate) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	c.Name("task_id", string(e.TaskID))
	return c
}

// PointInjected: a point from elsewhere, with its value, was added to the current
// generation. The search moves it nearer if it is farther away than candidates are.
type PointInjected struct {
	Run        ID        `json:"run"`
	Generation int       `json:"generation"`
	X          []float64 `json:"x"`
	Fitness    float64   `json:"fitness"`
}

func (PointInjected) EventType() string       { return "CMAES_POINT_INJECTED" }
func (e PointInjected) Home() domain.StreamID { return e.Run.Stream() }

func (e PointInjected) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	finite(&c, "x", e.X...)
	finite(&c, "fitness", e.Fitness)
	return c
}

// Best is the best candidate of a run so far.
type Best struct {
	X          []float64 `json:"x"`
	Fitness    float64   `json:"fitness"`
	Generation int       `json:"generation"`
	Index      int       `json:"index"`
	Evaluation int       `json:"evaluation" doc:"that it was found by, at most"`
}

// GenerationTold: the results of a generation were passed to the search.
type GenerationTold struct {
	Run         ID              `json:"run"`
	Generation  int             `json:"generation"`
	Candidates  int             `json:"candidates"` // passed to the search
	Lost        int             `json:"lost,omitempty"`
	Resampled   int             `json:"resampled,omitempty"`
	Out         []domain.TaskID `json:"out,omitempty"` // items that were not waited for
	Least       float64         `json:"least"`         // least fitness
	Median      float64         `json:"median"`
	Most        float64         `json:"most"`
	Noise       float64         `json:"noise,omitempty"` // share of noise in the ranking, smoothed
	Evaluations int             `json:"evaluations"`     // of the whole run
	Dropped     int             `json:"dropped,omitempty"`
	Improved    *Best           `json:"improved,omitempty"` // the best so far, if it is of this generation
}

func (GenerationTold) EventType() string       { return "CMAES_GENERATION_TOLD" }
func (e GenerationTold) Home() domain.StreamID { return e.Run.Stream() }

func (e GenerationTold) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	finite(&c, "least", e.Least, e.Median, e.Most, e.Noise)
	return c
}

// Restarted: a run of the strategy ended without reaching the target, and another
// one starts from the initial point.
type Restarted struct {
	Run        ID          `json:"run"`
	Ended      cmaes.Ended `json:"ended"`
	Restarts   int         `json:"restarts"`
	Population int         `json:"population"`
	Small      bool        `json:"small,omitempty"`
	Sigma0     float64     `json:"sigma0"`
}

func (Restarted) EventType() string       { return "CMAES_RESTARTED" }
func (e Restarted) Home() domain.StreamID { return e.Run.Stream() }

func (e Restarted) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	finite(&c, "sigma0", e.Sigma0)
	return c
}

// Phase is the phase of a run.
type Phase string

// The phases.
const (
	Running Phase = "running"
	Done    Phase = "done"    // by a stop criterion of the search
	Stopped Phase = "stopped" // by a command
	Failed  Phase = "failed"  // too few candidates had values, or numbers overflowed
)

// Finished: the run ended.
type Finished struct {
	Run         ID              `json:"run"`
	State       Phase           `json:"state"`
	Stop        []cmaes.Reason  `json:"stop"` // pycma's names of the criteria
	Reason      string          `json:"reason,omitempty"`
	Generation  int             `json:"generation"`  // number of completed generations
	Evaluations int             `json:"evaluations"` // number of evaluations used
	Sigma       float64         `json:"sigma"`
	Best        *Best           `json:"best,omitempty"`
	Favourite   []float64       `json:"favourite,omitempty"` // the mean within the bounds
	Out         []domain.TaskID `json:"out,omitempty"`       // items that are not needed any more
}

func (Finished) EventType() string       { return "CMAES_FINISHED" }
func (e Finished) Home() domain.StreamID { return e.Run.Stream() }

func (e Finished) Validate() []domain.Fault {
	var c domain.Checks
	checkRun(&c, e.Run)
	domain.OneOf(&c, "state", e.State, []Phase{Done, Stopped, Failed})
	finite(&c, "sigma", e.Sigma)
	return c
}
