package node

import (
	"context"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// The bounds of recent.
const (
	maxRecent  = 1 << 16   // commands
	maxLooked  = 1 << 20   // events at the end of the log that loadRecent reads
	maxReread  = 1 << 14   // age; nobody repeats an older command
	recentLast = time.Hour // age; nobody repeats a command that is older
)

// recent keeps the items that claims and cancellations of several items took, so that a
// repetition of the command is answered with the same items, even if they have ended
// since. It forgets the oldest commands and those older than an hour.
type recent struct {
	took  map[string][]domain.TaskID
	order []tookAt        // the oldest first
	most  int             // commands
	last  domain.Position // of the last event that was noted
	upTo  domain.Position // the log is read up to here
}

type tookAt struct {
	command string
	at      time.Time
}

// loadRecent reads the recent commands from the end of a log.
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

// refresh notes events of appends whose outcome was not known and that were stored. They
// are new, or among the last events that are known.
func (r *recent) refresh(ctx context.Context, log eventlog.Log, catalog *domain.Catalog) error {
	last, upTo, again := r.last, r.upTo, 0
	return r.read(ctx, log, catalog, func(e *domain.Envelope) bool {
		if e.Position <= last {
			again++
		}
		return e.Position > upTo && again <= maxReread
	})
}

// read notes the events at the end of a log, back to the first that is not wanted.
func (r *recent) read(ctx context.Context, log eventlog.Log, catalog *domain.Catalog, wanted func(*domain.Envelope) bool) error {
	var events []domain.Envelope
	upTo := r.upTo
	for e, err := range log.ReadAll(ctx, eventlog.End, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if !wanted(&e) {
			break
		}
		upTo = max(upTo, e.Position)
		if e.Type != typeClaimed && e.Type != typeCancelled || catalog.Fill(&e) != nil {
			continue
		}
		e.Data = nil
		events = append(events, e)
	}
	for i := range events {
		r.note(&events[len(events)-1-i])
	}
	r.upTo = upTo
	return nil
}

var typeClaimed, typeCancelled = work.Claimed{}.EventType(), work.Cancelled{}.EventType()

// note notes an event of the log.
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
		return // it was noted before
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

// before returns the items that a command took when it ran before.
func (r *recent) before(command string) ([]domain.TaskID, error) { return r.took[command], nil }
