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

// Call is an incoming command with the metadata that the caller sent along.
type Call struct {
	Command     domain.Command // nil for an event that arrives over the event bridge
	ID          string         // the command id: the caller's Idempotency-Key, or generated here
	Actor       string         // the caller; empty when the request named none
	Causation   string         // id of the causing event, when the caller gave one
	Correlation string         // id shared by a whole chain, when the caller gave one
	Dry         bool           // compute the result, but store nothing
}

// At names a past state by position or by time. The zero value means now.
type At struct {
	Position domain.Position
	Time     time.Time // zero when Position is used
	Set      bool
}

// Backend is what the HTTP layer needs of the process. Its methods are
// called from many goroutines at once and return early when the context
// ends.
type Backend interface {
	// Do runs a command; with Dry it only computes the result. A refusal
	// that was recorded returns a Result with its events together with the
	// error.
	Do(ctx context.Context, call Call) (commands.Result, error)
	// Append stores one event from outside. Its id derives from the call's.
	Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, event domain.Event, call Call) (commands.Result, error)
	// Spec returns how a type of command is run, for the API description.
	Spec(commandType string) (commands.Spec, bool)
	// View runs f on the read models, either the current ones or those as
	// of at, once they have applied the position after. It waits for that
	// position as long as ctx allows. What f read is valid until f returns.
	View(ctx context.Context, at At, after domain.Position, f func(projections.View) error) error
	// Log returns the log of the node, for reading.
	Log() eventlog.Log
	// Catalog returns the catalogue of event types.
	Catalog() *domain.Catalog
	// Cluster returns the name of the cluster, which is part of its stream
	// names.
	Cluster() string

	// Health returns the health of the parts of the node.
	Health(ctx context.Context) (Health, error)
	// Handlers returns the state of the event handlers and reactors.
	Handlers(ctx context.Context) (Handlers, error)
	// DeadLetters lists the events that a handler failed on.
	DeadLetters(ctx context.Context) (DeadLetters, error)
	// DeadLetter returns one dead letter with the event it is about.
	DeadLetter(ctx context.Context, id string) (LetterAnswer, error)
	// LetterDealtWith waits until this node has carried out what the event
	// at position after decided about a dead letter. If the handler failed
	// again, its error is returned as a conflict.
	LetterDealtWith(ctx context.Context, id string, after domain.Position) error
	// Projections lists the read models.
	Projections(ctx context.Context) (Projections, error)
	// Shutdown starts to stop the process: no more claims are served,
	// requests in flight finish within the grace period, and the exit code
	// is 0. It returns at once.
	Shutdown(ctx context.Context, reason string, grace time.Duration) error
}

// State is the health of a part of the node.
type State string

// The states, from best to worst.
const (
	StateOK       State = "ok"
	StateDegraded State = "degraded" // it serves, and an operator should look at it
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

// CatchUp is the progress of a node that is still folding the events its
// log held at start into its read models. Until it has finished, /readyz
// and queries without ?at= answer "unavailable".
type CatchUp struct {
	Position domain.Position `json:"position"`
	Head     domain.Position `json:"head" doc:"of the log"`
	PerSec   float64         `json:"events_per_second"`
	ETA      *domain.Seconds `json:"eta_seconds" doc:"null: not known yet"`
}

// Unavailable returns the error of a query that came before the read models
// caught up.
func (c CatchUp) Unavailable() error {
	left := ""
	if c.ETA != nil {
		left = fmt.Sprintf(" at %.0f events/s, about %v left", c.PerSec, c.ETA.Duration().Round(100*time.Millisecond))
	}
	return domain.Errorf(domain.Unavailable, "the node is catching up with its log: position %d of %d%s; ask again then, or with ?at=<position>", c.Position, c.Head, left)
}

// Check is the health of one part of the node: log, projections, outbox,
// leases, leader, disk.
type Check struct {
	Name    string           `json:"name"`
	State   State            `json:"state"`
	Reason  string           `json:"reason,omitempty"`
	Causes  []string         `json:"causes,omitempty" doc:"what lies behind the reason, one by one"`
	Numbers map[string]int64 `json:"numbers,omitempty" doc:"\"lag\", \"depth\", \"bytes_free\""`
}

// Worst returns the health of the whole: the worst state among its parts.
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

// Handlers is the answer of GET /handlers.
type Handlers struct {
	Position domain.Position `json:"position"`
	Handlers []HandlerRow    `json:"handlers"`
}

// HandlerRow is one handler for one event type.
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

// DeadLetters is the answer of GET /dead-letters.
type DeadLetters struct {
	Position    domain.Position `json:"position"`
	DeadLetters []DeadLetter    `json:"dead_letters"`
}

// DeadLetter is an event that was set aside because a handler failed on it.
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

// LetterAnswer is the answer of GET /dead-letters/{id}.
type LetterAnswer struct {
	Position   domain.Position `json:"position"`
	DeadLetter DeadLetter      `json:"dead_letter"`
	Stream     domain.StreamID `json:"stream"`
	Data       json.RawMessage `json:"data" doc:"of the event; a string of it when it is no JSON"`
}

// Projections is the answer of GET /projections.
type Projections struct {
	Position    domain.Position `json:"position"`
	Snapshots   *SnapshotRow    `json:"snapshots,omitempty"`
	Projections []ProjectionRow `json:"projections"`
}

// SnapshotRow is a snapshot that a node keeps on disk so that queries with
// ?at= are fast.
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
	Generation int             `json:"generation,omitempty" doc:"number of rebuilds requested of the version in use"`
	State      string          `json:"state" doc:"\"live\", \"catching_up\", \"rebuilding\", \"parked\""`
	Position   domain.Position `json:"position"`
	Lag        uint64          `json:"lag"`
	Tables     []string        `json:"tables,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Rebuild    *RebuildRow     `json:"rebuild,omitempty"`
}

// RebuildRow is the progress of a version of a read model that is being
// built beside the one in use.
type RebuildRow struct {
	From       int             `json:"from" doc:"the version that serves meanwhile, 0 for none"`
	To         int             `json:"to" doc:"true: it was requested"`
	Generation int             `json:"generation,omitempty"`
	Waits      bool            `json:"waits,omitempty" doc:"for others that are being built"`
	Position   domain.Position `json:"position"`
	Target     domain.Position `json:"target"`
	Percent    float64         `json:"percent"`
	PerSec     float64         `json:"events_per_second"`
	ETA        *domain.Seconds `json:"eta_seconds" doc:"null: not known yet"`
}
