package script

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
	"github.com/ringrift/rift/projections/store"
)

// ReplayOptions are the options of a replay.
type ReplayOptions struct {
	To       domain.Position // 0: the end of the log, or ToTime
	ToTime   time.Time
	Queries  []string // paths of the node's routes: "/work/items?state=queued"
	Strict   bool     // end with the first event that a handler fails on
	Progress func(done, total domain.Position)
}

// Account is the result of a replay: the state that the log leads to, the commands of its
// reactors, and the problems that were found.
type Account struct {
	Position domain.Position            `json:"position"` // up to which the log was replayed
	Head     domain.Position            `json:"head"`     // of the end of the log
	Time     *time.Time                 `json:"time"`     // of the last event replayed
	Digest   string                     `json:"digest"`   // of the read models
	State    map[string]json.RawMessage `json:"state"`    // answers to the summary queries
	Queries  map[string]json.RawMessage `json:"queries,omitempty"`
	Issued   []Issue                    `json:"commands"` // by reactor and command, the most frequent first
	Findings []json.RawMessage          `json:"findings"`
	Parked   []json.RawMessage          `json:"dead_letters"`
}

// Issue sums up the commands of one reactor of one type.
type Issue struct {
	Reactor  string            `json:"reactor"`
	Command  string            `json:"command"`
	Count    int               `json:"count"`
	Recorded int               `json:"recorded"` // number of them whose effect is in the log
	First    domain.Position   `json:"first_position"`
	Last     domain.Position   `json:"last_position"`
	Examples []json.RawMessage `json:"examples"`
}

// summaryQueries are the queries that every replay shows.
var summaryQueries = []string{"/work/status"}

// maxExamples bounds the examples of one Issue.
const maxExamples = 3

// Replay builds the read models of a log in a folder and returns the result.
func Replay(ctx context.Context, log eventlog.Log, dir string, options ReplayOptions) (Account, error) {
	env, err := over(log, dir, Options{recording: true}, store.Options{Strict: options.Strict})
	if err != nil {
		return Account{}, err
	}
	defer func() { _ = env.Close() }() // the store is temporary
	account := Account{State: map[string]json.RawMessage{}, Issued: []Issue{}, Parked: []json.RawMessage{}}
	if account.Head, err = log.Head(ctx); err != nil {
		return account, err
	}
	account.Position, err = replayTarget(ctx, log, account.Head, options)
	if err != nil {
		return account, err
	}
	if account.Position > 0 {
		if err := env.toWithProgress(ctx, account.Position, options.Progress); err != nil {
			return account, err
		}
	}
	for e, err := range log.ReadAll(ctx, account.Position, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return account, err
		}
		account.Time = &e.Time
		env.now = e.Time
		break
	}
	digest, err := env.node.Store().Digest(ctx)
	if err != nil {
		return account, err
	}
	account.Digest = digest.Total
	if account.State, err = env.answers(ctx, summaryQueries); err != nil {
		return account, err
	}
	if account.Queries, err = env.answers(ctx, options.Queries); err != nil {
		return account, err
	}
	if account.Issued, err = env.issued(ctx); err != nil {
		return account, err
	}
	return account, env.node.Store().View(func(v projections.View) error {
		account.Findings = []json.RawMessage{}
		if err := findingsview.All(v, findingsview.Query{}, func(raw json.RawMessage) (bool, error) {
			account.Findings = append(account.Findings, raw)
			return true, nil
		}); err != nil {
			return err
		}
		for row, err := range v.Scan(store.DeadLetterTable, projections.Span{}) {
			if err != nil {
				return err
			}
			account.Parked = append(account.Parked, slices.Clone(row.Value))
		}
		return nil
	})
}

// replayTarget returns the position at which a replay ends.
func replayTarget(ctx context.Context, log eventlog.Log, head domain.Position, options ReplayOptions) (domain.Position, error) {
	switch {
	case !options.ToTime.IsZero():
		clock, ok := log.(interface {
			PositionAt(ctx context.Context, at time.Time) (domain.Position, error)
		})
		if !ok {
			return 0, domain.Errorf(domain.Invalid, "this log keeps no times; name a position")
		}
		return clock.PositionAt(ctx, options.ToTime)
	case options.To > head:
		return 0, domain.Errorf(domain.Invalid, "want a position up to the log's end at %d, found %d", head, options.To)
	case options.To > 0:
		return options.To, nil
	}
	return head, nil
}

// toWithProgress brings the read models up to a position and reports progress.
func (env *Env) toWithProgress(ctx context.Context, position domain.Position, progress func(done, total domain.Position)) error {
	if progress == nil {
		return env.To(ctx, position)
	}
	done := make(chan error, 1)
	go func() { done <- env.To(ctx, position) }()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			progress(env.node.Store().Position(), position)
			return err
		case <-ticker.C:
			progress(env.node.Store().Position(), position)
		}
	}
}

// answers answers queries by the routes of the node.
func (env *Env) answers(ctx context.Context, paths []string) (map[string]json.RawMessage, error) {
	answers := map[string]json.RawMessage{}
	for _, path := range paths {
		status, body := env.Ask(ctx, "/"+strings.TrimPrefix(path, "/"))
		if status != http.StatusOK {
			return nil, domain.Errorf(domain.Invalid, "query %s: %d %s", path, status, body)
		}
		answers[path] = slices.Clone(body)
	}
	return answers, nil
}

// issued sums up the outbox: the commands of reactors, and how many of them have an effect
// in the log.
func (env *Env) issued(ctx context.Context) ([]Issue, error) {
	var issues []Issue
	var cursor store.Cursor
	for {
		entries, err := env.node.Store().Outbox(ctx, cursor, maxPending)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			cursor = entry.Cursor()
			at := slices.IndexFunc(issues, func(i Issue) bool { return i.Reactor == entry.Reactor && i.Command == entry.CommandType })
			if at < 0 {
				at = len(issues)
				issues = append(issues, Issue{Reactor: entry.Reactor, Command: entry.CommandType, First: entry.Position})
			}
			issue := &issues[at]
			issue.Count++
			issue.Last = entry.Position
			recorded, err := env.happened(ctx, entry)
			if err != nil {
				return nil, err
			}
			if recorded {
				issue.Recorded++
			}
			if len(issue.Examples) < maxExamples {
				issue.Examples = append(issue.Examples, slices.Clone(entry.Command))
			}
		}
		if len(entries) < maxPending {
			break
		}
	}
	slices.SortStableFunc(issues, func(a, b Issue) int { return b.Count - a.Count })
	return issues, nil
}

// happened reports whether the log has the effect of a reactor's command.
func (env *Env) happened(ctx context.Context, entry store.OutboxEntry) (bool, error) {
	spec, known := env.node.Bus().Spec(entry.CommandType)
	if !known {
		return false, nil
	}
	pointer := spec.New()
	if err := (wiring.FastCodec{}).Unmarshal(entry.Command, pointer); err != nil {
		return false, domain.Errorf(domain.Corrupt, "command of %s at %d: %w", entry.Reactor, entry.Position, err)
	}
	target, ok := spec.Value(pointer).(commands.Targeted)
	if !ok {
		return false, nil
	}
	_, found, err := env.log.Find(ctx, target.Stream(), commands.EventID(entry.CommandID, target.Stream(), 0))
	return found, err
}
