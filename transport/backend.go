package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// Call is a command on its way in, with what the caller said about it.
type Call struct {
	Command     domain.Command // nil for an event that comes over the bridge
	ID          string         // the command id: the caller's Idempotency-Key, or made up here
	Actor       string         // who asks; empty when nobody said
	Causation   string         // id of the event that this answers, when the caller said
	Correlation string         // id shared by a whole chain, when the caller said
	Dry         bool           // answer what would happen, and store nothing
}

// At names a past state: a position, or a time. The zero value is now.
type At struct {
	Position domain.Position
	Time     time.Time // zero when the position counts
	Set      bool
}

// Backend is what the process lends the edge. Its methods are called from many
// goroutines at once and honour the context.
type Backend interface {
	// Do runs a command, or with Dry only tries it. A refusal that was recorded
	// comes back as a Result with its events and the error.
	Do(ctx context.Context, call Call) (commands.Result, error)
	// Append stores one event that comes from outside. Its id derives from the call's.
	Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, event domain.Event, call Call) (commands.Result, error)
	// Spec finds how a type of command is run, for the description of the routes.
	Spec(commandType string) (commands.Spec, bool)
	// View shows the read models: those of now, or as of at; not before they
	// have applied the position after. It waits for that as long as ctx allows.
	// What f read is valid until f returns.
	View(ctx context.Context, at At, after domain.Position, f func(projections.View) error) error
	// Log is the log of the node, for reading.
	Log() eventlog.Log
	// Catalog knows the event types.
	Catalog() *domain.Catalog
	// Cluster is the name of the cluster, part of the name of its streams.
	Cluster() string

	// Health tells how the parts of the node are.
	Health(ctx context.Context) (Health, error)
	// Handlers tells how the handlers of events and the reactors do.
	Handlers(ctx context.Context) (Handlers, error)
	// DeadLetters lists the events that a handler could not take.
	DeadLetters(ctx context.Context) (DeadLetters, error)
	// DeadLetter finds one of them with the event it is about.
	DeadLetter(ctx context.Context, id string) (LetterAnswer, error)
	// LetterDealtWith waits until what an event says of a dead letter is done here.
	// The error of a handler that failed again comes back as a conflict.
	LetterDealtWith(ctx context.Context, id string, after domain.Position) error
	// Projections lists the read models.
	Projections(ctx context.Context) (Projections, error)
	// Shutdown makes the process stop: no more claims, what is in flight ends
	// within the grace, exit 0. It returns at once.
	Shutdown(ctx context.Context, reason string, grace time.Duration) error
}

// State is how a part of the node is.
type State string

// The states, from well to not.
const (
	StateOK       State = "ok"
	StateDegraded State = "degraded" // it serves, and somebody should look
	StateFailed   State = "failed"   // it does not serve
)

// Health is the answer of /admin/health.
type Health struct {
	Position domain.Position `json:"position"`
	Status   State           `json:"status" doc:"the worst of the checks"`
	Node     string          `json:"node_id,omitempty"`
	Cluster  string          `json:"cluster,omitempty"`
	Version  string          `json:"version,omitempty"`
	Started  time.Time       `json:"started,omitzero"`
	Uptime   domain.Seconds  `json:"uptime_seconds"`
	Leader   string          `json:"leader,omitempty" doc:"the node that decides"`
	CatchUp  *CatchUp        `json:"catch_up,omitempty" doc:"null once the node has caught up"`
	Checks   []Check         `json:"checks"`
}

// CatchUp is how far the read models of a node are that folds what its log held
// when it started. Until they have, /readyz and queries without ?at= say
// unavailable.
type CatchUp struct {
	Position domain.Position `json:"position"`
	Head     domain.Position `json:"head" doc:"of the log"`
	PerSec   float64         `json:"events_per_second"`
	ETA      *domain.Seconds `json:"eta_seconds" doc:"null: too early to say"`
}

// Unavailable is the answer to who asks too early.
func (c CatchUp) Unavailable() error {
	left := ""
	if c.ETA != nil {
		left = fmt.Sprintf(" at %.0f events/s, about %v left", c.PerSec, c.ETA.Duration().Round(100*time.Millisecond))
	}
	return domain.Errorf(domain.Unavailable, "the node is catching up with its log: position %d of %d%s; ask again then, or with ?at=<position>", c.Position, c.Head, left)
}

// Check is how one part of the node is: log, projections, outbox, leases,
// leader, disk.
type Check struct {
	Name    string           `json:"name"`
	State   State            `json:"state"`
	Reason  string           `json:"reason,omitempty"`
	Causes  []string         `json:"causes,omitempty" doc:"what lies behind the reason, one by one"`
	Numbers map[string]int64 `json:"numbers,omitempty" doc:"\"lag\", \"depth\", \"bytes_free\""`
}

// Worst gives the health of the whole from that of its parts.
func Worst(checks []Check) State {
	worst := StateOK
	for _, check := range checks {
		switch {
		case check.State == StateFailed:
			return StateFailed
		case check.State == StateDegraded:
			worst = StateDegraded
		}
	}
	return worst
}

// Handlers is the answer of /handlers.
type Handlers struct {
	Position domain.Position `json:"position"`
	Handlers []HandlerRow    `json:"handlers"`
}

// HandlerRow is one handler of one type of event.
type HandlerRow struct {
	Name        string          `json:"name"`
	Event       string          `json:"event"`
	Kind        string          `json:"kind,omitempty" doc:"\"projection\" or \"reactor\""`
	About       string          `json:"about,omitempty"`
	Runs        uint64          `json:"runs"`
	Failures    uint64          `json:"failures"`
	DeadLetters int             `json:"dead_letters"`
	Position    domain.Position `json:"position" doc:"of the last event it was run for"`
	Lag         uint64          `json:"lag"`
	Number      int             `json:"number,omitempty" doc:"among the nineteen documented handlers"`
	Documented  string          `json:"documented,omitempty" doc:"their name for it: \"daemon_status\""`
	Reads       []string        `json:"reads,omitempty" doc:"tables"`
	Writes      []string        `json:"writes,omitempty" doc:"tables"`
	Commands    []string        `json:"commands,omitempty" doc:"command types it may issue"`
	LastRun     *time.Time      `json:"last_run" doc:"time of the last event it was run for; null: never"`
}

// DeadLetters is the answer of /dead-letters.
type DeadLetters struct {
	Position    domain.Position `json:"position"`
	DeadLetters []DeadLetter    `json:"dead_letters"`
}

// DeadLetter is an event that a handler could not take, parked.
type DeadLetter struct {
	ID            string          `json:"id"`
	Handler       string          `json:"handler"`
	EventPosition domain.Position `json:"event_position"`
	EventType     string          `json:"event_type"`
	Error         string          `json:"error"`
	Attempts      int             `json:"attempts"`
	First         time.Time       `json:"first"`
	Last          time.Time       `json:"last"`
}

// LetterAnswer is the answer of /dead-letters/{id}.
type LetterAnswer struct {
	Position   domain.Position `json:"position"`
	DeadLetter DeadLetter      `json:"dead_letter"`
	Stream     domain.StreamID `json:"stream"`
	Data       json.RawMessage `json:"data" doc:"of the event; a string of it when it is no JSON"`
}

// Projections is the answer of /projections.
type Projections struct {
	Position    domain.Position `json:"position"`
	Snapshots   *SnapshotRow    `json:"snapshots,omitempty"`
	Projections []ProjectionRow `json:"projections"`
}

// SnapshotRow is what a node keeps on disk so that questions with ?at= are
// answered soon.
type SnapshotRow struct {
	Count  int             `json:"count"`
	Keep   int             `json:"keep" doc:"at most so many"`
	Bytes  int64           `json:"bytes" doc:"of files that nothing else needs"`
	Limit  int64           `json:"bytes_limit"`
	Every  int             `json:"every" doc:"events between two, as they are taken"`
	Oldest domain.Position `json:"oldest"`
	Newest domain.Position `json:"newest"`
}

// ProjectionRow is one read model.
type ProjectionRow struct {
	Name       string          `json:"name"`
	Version    int             `json:"version"`
	About      string          `json:"about,omitempty"`
	Generation int             `json:"generation,omitempty" doc:"how often the version that serves was asked to be built again"`
	State      string          `json:"state" doc:"\"live\", \"catching_up\", \"rebuilding\", \"parked\""`
	Position   domain.Position `json:"position"`
	Lag        uint64          `json:"lag"`
	Tables     []string        `json:"tables,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Rebuild    *RebuildRow     `json:"rebuild,omitempty"`
}

// RebuildRow is how far a version is that is built beside the one that serves.
type RebuildRow struct {
	From       int             `json:"from" doc:"the version that serves meanwhile, 0 for none"`
	To         int             `json:"to" doc:"the same: somebody asked for it"`
	Generation int             `json:"generation,omitempty"`
	Waits      bool            `json:"waits,omitempty" doc:"for others that are being built"`
	Position   domain.Position `json:"position"`
	Target     domain.Position `json:"target"`
	Percent    float64         `json:"percent"`
	PerSec     float64         `json:"events_per_second"`
	ETA        *domain.Seconds `json:"eta_seconds" doc:"null: too early to say"`
}
