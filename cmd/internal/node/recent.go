package node

import (
	"context"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// The bounds of what is remembered of commands that took items.
const (
	maxRecent  = 1 << 16   // commands
	maxLooked  = 1 << 20   // events at the end of the log that a start looks at
	maxReread  = 1 << 14   // of those that it knows, events that a refresh looks at
	recentLast = time.Hour // longer than anybody tries again
)

// recent remembers which items commands took that chose them: claims, and
// cancellations of a class. A repetition is answered with the same items, also
// when they ended since. It forgets the oldest, and what is older than an hour.
type recent struct {
	took  map[string][]domain.TaskID
	order []tookAt        // the oldest first
	most  int             // commands
	last  domain.Position // of the events that were noted
}

type tookAt struct {
	command string
	at      time.Time
}

// loadRecent reads it from the end of a log, as the process before this one left
// it.
func loadRecent(ctx context.Context, log eventlog.Log, catalog *domain.Catalog, now time.Time) (*recent, error) {
	r := &recent{took: map[string][]domain.TaskID{}, most: maxRecent}
	commands, looked := map[string]bool{}, 0
	if err := r.read(ctx, log, catalog, func(e *domain.Envelope) bool {
		if e.Type == typeClaimed || e.Type == typeCancelled {
			commands[e.Meta.Command] = true
		}
		looked++
		return looked <= maxLooked && now.Sub(e.Time) <= recentLast && len(commands) <= r.most
	}); err != nil {
		return nil, err
	}
	return r, nil
}

// refresh notes what the log was found to hold beside what was noted: an append whose
// fate was not known may have been stored, and its command is not answered yet. Such an
// event is new, or stands among the last that are known.
func (r *recent) refresh(ctx context.Context, log eventlog.Log, catalog *domain.Catalog) error {
	last, again := r.last, 0
	return r.read(ctx, log, catalog, func(e *domain.Envelope) bool {
		if e.Position <= last {
			again++
		}
		return again <= maxReread
	})
}

// read notes the events at the end of a log, back to the one that is not wanted.
func (r *recent) read(ctx context.Context, log eventlog.Log, catalog *domain.Catalog, wanted func(*domain.Envelope) bool) error {
	var events []domain.Envelope
	for e, err := range log.ReadAll(ctx, eventlog.End, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if !wanted(&e) {
			break
		}
		if e.Type != typeClaimed && e.Type != typeCancelled || catalog.Fill(&e) != nil {
			continue
		}
		e.Data = nil
		events = append(events, e)
	}
	for i := range events {
		r.note(&events[len(events)-1-i])
	}
	return nil
}

var typeClaimed, typeCancelled = work.Claimed{}.EventType(), work.Cancelled{}.EventType()

// note takes over an event that is in the log.
func (r *recent) note(e *domain.Envelope) {
	r.last = max(r.last, e.Position)
	switch event := e.Event.(type) {
	case work.Claimed:
		r.add(e.Meta.Command, event.TaskID, e.Time)
	case work.Cancelled:
		if event.Batch {
			r.add(e.Meta.Command, event.TaskID, e.Time)
		}
	}
}

func (r *recent) add(command string, id domain.TaskID, at time.Time) {
	if command == "" {
		return
	}
	ids, known := r.took[command]
	if slices.Contains(ids, id) {
		return // told again
	}
	if !known {
		r.order = append(r.order, tookAt{command, at})
	}
	r.took[command] = append(ids, id)
	for len(r.order) > r.most || at.Sub(r.order[0].at) > recentLast {
		delete(r.took, r.order[0].command)
		r.order = r.order[1:]
	}
}

// before gives what a command took when it ran before.
func (r *recent) before(command string) ([]domain.TaskID, error) { return r.took[command], nil }
