package jsonl

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// The bounds of one call of AppendMany during an import.
const (
	batchEvents = 512
	batchBytes  = 1 << 20
)

// ImportOptions are the options of Import.
type ImportOptions struct {
	Progress func(Report) // called after every append
	// Differs is called with an event, as it was given to Import, whose id another event
	// of its stream has. If it returns an error, the import ends with it; otherwise the
	// event is left out. If Differs is nil, such an event is a conflict.
	Differs func(found, e domain.Envelope) error
}

// Report has the counts of an import.
type Report struct {
	Read       int64           `json:"read"`       // events given to Import
	Appended   int64           `json:"appended"`   // stored by this import
	Duplicates int64           `json:"duplicates"` // in the log before
	Differing  int64           `json:"differing"`  // left out, because another event has their id
	Late       int64           `json:"late"`       // appended after events of the log that have a later time
	Skipped    int64           `json:"skipped"`    // broken lines that ImportFiles skipped
	Head       domain.Position `json:"head"`       // position of the log's last event afterwards
}

// Import appends events in order under their own ids. An event that its stream has already
// is only counted. So a second import appends nothing, and an interrupted import can be
// run again. After an error, the events before it stay in the log.
func Import(ctx context.Context, log eventlog.Log, events iter.Seq2[domain.Envelope, error], options ImportOptions) (Report, error) {
	in := importer{log: log, options: options}
	for e, err := range log.ReadAll(ctx, eventlog.End, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return in.report, err
		}
		in.youngest = e.Time
		break
	}
	for e, err := range events {
		if err == nil {
			err = in.add(ctx, e)
		}
		if err != nil {
			return in.report, errors.Join(err, in.flush(ctx))
		}
	}
	if err := in.flush(ctx); err != nil {
		return in.report, err
	}
	head, err := log.Head(ctx)
	in.report.Head = head
	return in.report, err
}

// ImportFiles imports several files as one log. A lenient read counts the lines that it
// skipped.
func ImportFiles(ctx context.Context, log eventlog.Log, paths []string, read ReadOptions, options ImportOptions) (Report, error) {
	var skipped int64
	told := read.OnSkip
	read.OnSkip = func(file string, line int64, fault error) {
		skipped++
		if told != nil {
			told(file, line, fault)
		}
	}
	report, err := Import(ctx, log, ReadFiles(paths, read), options)
	report.Skipped = skipped
	return report, err
}

type importer struct {
	log     eventlog.Log
	options ImportOptions
	report  Report
	batch   []eventlog.Write // one event each, so that an event that is in the log does not affect the others
	events  []domain.Envelope
	bytes   int

	youngest time.Time // latest time at the end of the log before
}

func (in *importer) add(ctx context.Context, e domain.Envelope) error {
	in.report.Read++
	if len(in.batch) >= batchEvents || len(in.batch) > 0 && in.bytes+len(e.Data) > batchBytes {
		if err := in.flush(ctx); err != nil {
			return err
		}
	}
	events := []eventlog.Proposed{{ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data}}
	// In AppendMany, later events would be stored though the log refuses this one.
	if err := eventlog.CheckProposed(e.Stream, events); err != nil {
		return domain.Errorf(domain.CodeOf(err), "import: %w", err)
	}
	in.batch = append(in.batch, eventlog.Write{Stream: e.Stream, Expected: domain.AnyRevision, Events: events})
	in.events = append(in.events, e)
	in.bytes += len(e.Data)
	return nil
}

func (in *importer) flush(ctx context.Context) error {
	if len(in.batch) == 0 {
		return nil
	}
	batch, events := in.batch, in.events
	in.batch, in.events, in.bytes = in.batch[:0], in.events[:0], 0
	var failure error
	for i, written := range in.log.AppendMany(ctx, batch) {
		switch {
		case written.Err == nil && written.Receipt.Duplicate:
			if err := in.repeated(ctx, &events[i]); err != nil && failure == nil {
				failure = err
			}
		case written.Err == nil:
			in.report.Appended++
			if batch[i].Events[0].Time.Before(in.youngest) {
				in.report.Late++
			}
		case failure == nil:
			failure = domain.Errorf(domain.CodeOf(written.Err), "import into %s: %w", batch[i].Stream, written.Err)
		}
	}
	if failure != nil {
		return failure
	}
	return in.told()
}

// repeated counts an event that is in the log already. The same id does not make it the
// same event, because ids that were made elsewhere may be used twice.
func (in *importer) repeated(ctx context.Context, e *domain.Envelope) error {
	found, there, err := in.log.Find(ctx, e.Stream, e.ID)
	if err != nil {
		return err
	}
	if !there || SameFact(&found, e) {
		in.report.Duplicates++
		return nil
	}
	in.report.Differing++
	if in.options.Differs != nil {
		return in.options.Differs(found, *e)
	}
	return Differs(found, *e)
}

// Differs returns the conflict of an event whose id another event has.
func Differs(found, e domain.Envelope) error {
	return domain.Errorf(domain.Conflict, "import into %s: event %s (%s at %s) has the id of another event, %s at %s, which is at position %d; an id names one event: leave ids out where they are not kept apart",
		e.Stream, e.ID, e.Type, e.Time.Format(domain.Timestamp), found.Type, found.Time.Format(domain.Timestamp), found.Position)
}

func (in *importer) told() error {
	if in.options.Progress != nil {
		in.options.Progress(in.report)
	}
	return nil
}
