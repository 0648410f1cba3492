package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"iter"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// copyJob is one copy of a log.
type copyJob struct {
	from     *source
	to       string
	head     domain.Position // end of from when the copy began
	foreign  bool            // one end is an EventStoreDB, whose own events are not copied
	progress *output.Progress
	done     copied
}

// The bounds of one call of append, and of the events in one write: an EventStoreDB
// accepts 1 MiB by default.
const (
	copyEvents = 512
	copyBytes  = 4 << 20
	writeBytes = 512 << 10
)

// resumeLooks bounds how many events at the end of the target are looked up in the
// source.
const resumeLooks = 1000

// ownedByDatabase reports whether an event belongs to EventStoreDB, which neither
// accepts such events nor hands them out.
func ownedByDatabase(e *domain.Envelope) bool {
	return strings.HasPrefix(foreign.StreamName(e.Stream), "$") || strings.HasPrefix(e.Type, "$")
}

// events yields the events after a position that are to be copied.
func (j *copyJob) events(ctx context.Context, after domain.Position) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		if j.done.LeftOut = 0; j.head == 0 {
			return
		}
		for e, err := range j.from.events(ctx, selection{from: after + 1, to: j.head}) {
			if err == nil && j.foreign && ownedByDatabase(&e) {
				j.done.LeftOut++
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// resume returns the position in the source up to which everything is copied: that of
// the target's last event that the source has. Events are copied in order, so all
// before it are copied too. A source without lookup by id is read from its beginning.
func (j *copyJob) resume(ctx context.Context, to eventlog.Log) (domain.Position, error) {
	if j.from.find == nil {
		return 0, nil
	}
	looked := 0
	for e, err := range to.ReadAll(ctx, eventlog.End, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return 0, err
		}
		found, there, err := j.from.find(ctx, e.Stream, e.ID)
		if err != nil {
			return 0, err
		}
		if there {
			return found.Position, nil
		}
		if looked++; looked == resumeLooks {
			break
		}
	}
	return 0, nil
}

// appendTo copies the events after a position to a log.
func (j *copyJob) appendTo(ctx context.Context, to eventlog.Log, after domain.Position) error {
	var batch []domain.Envelope
	bytes := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := j.appendBatch(ctx, to, batch); err != nil {
			return err
		}
		j.progress.Set(int64(batch[len(batch)-1].Position))
		batch, bytes = batch[:0], 0
		return nil
	}
	for e, err := range j.events(ctx, after) {
		if err != nil {
			return err
		}
		if len(batch) == copyEvents || bytes+len(e.Data) > copyBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, bytes = append(batch, e), bytes+len(e.Data)
	}
	return flush()
}

// appendBatch appends events. Consecutive events of one stream are one write.
func (j *copyJob) appendBatch(ctx context.Context, to eventlog.Log, batch []domain.Envelope) error {
	var writes []eventlog.Write
	bytes := 0 // size of the last write
	for i := range batch {
		e := &batch[i]
		bytes += len(e.Data)
		if last := len(writes) - 1; last >= 0 && bytes <= writeBytes && writes[last].Stream == e.Stream && writes[last].Expected+domain.Revision(len(writes[last].Events))+1 == e.Revision {
			writes[last].Events = append(writes[last].Events, proposedAgain(e))
			continue
		}
		bytes = len(e.Data)
		writes = append(writes, eventlog.Write{Stream: e.Stream, Expected: e.Revision - 1, Events: []eventlog.Proposed{proposedAgain(e)}, After: len(writes)})
	}
	for i, written := range to.AppendMany(ctx, writes) {
		w := &writes[i]
		if errors.Is(written.Err, domain.ErrConflict) {
			// Some of the events exist, or an earlier one failed: append
			// one by one.
			if err := j.appendSingly(ctx, to, w); err != nil {
				return err
			}
			continue
		}
		if err := j.account(w, written); err != nil {
			return err
		}
	}
	return nil
}

func proposedAgain(e *domain.Envelope) eventlog.Proposed {
	return eventlog.Proposed{ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data}
}

func (j *copyJob) appendSingly(ctx context.Context, to eventlog.Log, w *eventlog.Write) error {
	for i := range w.Events {
		one := eventlog.Write{Stream: w.Stream, Expected: w.Expected + domain.Revision(i), Events: w.Events[i : i+1]}
		receipt, err := to.Append(ctx, one.Stream, one.Expected, one.Events...)
		if err := j.account(&one, eventlog.Written{Receipt: receipt, Err: err}); err != nil {
			return err
		}
	}
	return nil
}

// account counts an event as written, or fails if the target has another event in its
// place.
func (j *copyJob) account(w *eventlog.Write, written eventlog.Written) error {
	last := w.Expected + domain.Revision(len(w.Events))
	var conflict *eventlog.Conflict
	switch {
	case errors.As(written.Err, &conflict) && conflict.Reason == "" && conflict.Found < w.Expected:
		return hinted(domain.Errorf(domain.Conflict, "copy to %s: stream %s: want event %s at revision %d, the stream ends at %s there", j.done.To, w.Stream, w.Events[0].ID, w.Expected+1, conflict.Found),
			"the events between are not copied: an EventStoreDB keeps those to itself whose type begins with $ (links, say), and limits of a stream hide its beginning. Later events would have other revisions, so this stream stays where it is")
	case errors.Is(written.Err, domain.ErrConflict), written.Err == nil && written.Receipt.Revision != last:
		return hinted(domain.Errorf(domain.Conflict, "copy to %s: stream %s: want event %s at revision %d, found another history there", j.done.To, w.Stream, w.Events[0].ID, w.Expected+1),
			"it is no copy of this log; copy to an empty one. A part of a log is for `rift log import`")
	case written.Err != nil:
		return written.Err
	case written.Receipt.Duplicate:
		j.done.Already += int64(len(w.Events))
	default:
		j.done.Copied += int64(len(w.Events))
	}
	return nil
}

// compare reads both ends and checks that the target has every event of the source in
// the same order; it may have others between them. It returns the digest of the copied
// events.
func (j *copyJob) compare(ctx context.Context, to iter.Seq2[domain.Envelope, error]) error {
	next, stop := iter.Pull2(to)
	defer stop()
	sum, total := sha256.New(), int64(0)
	for want, err := range j.events(ctx, 0) {
		if err != nil {
			return err
		}
		for {
			found, err, more := next()
			if err != nil {
				return err
			}
			if !more {
				return hinted(domain.Errorf(domain.Corrupt, "copy to %s: want event %s of stream %s at revision %d, found none in its place", j.done.To, want.ID, want.Stream, want.Revision),
					"limits of that stream hide it there, or it has another place in the order: then %s was written to meanwhile, or is no copy of %s", j.done.To, j.done.From)
			}
			if found.Stream == want.Stream && found.Revision == want.Revision {
				if what := partThatDiffers(&want, &found); what != "" {
					return hinted(domain.Errorf(domain.Corrupt, "copy to %s: event %s of stream %s at revision %d has another %s there", j.done.To, want.ID, want.Stream, want.Revision, what),
						"%s", whyDiffers[what])
				}
				break
			}
		}
		digestEvent(sum, &want)
		total++
	}
	j.done.Digest, j.done.Already = hex.EncodeToString(sum.Sum(nil)), total-j.done.Copied
	return nil
}

// whyDiffers gives the likely reason why a part of an event differs at the other end.
var whyDiffers = map[string]string{
	"id":           "it was not copied: somebody else appended it; copy to an empty log",
	"type":         "the event was appended there under the same id with another type, by another program",
	"content type": "one end says that its data are JSON and the other does not: it was appended there by another program",
	"metadata":     "time, version, causation and what other programs keep with an event: it was appended there by another program, or by a rift of another version",
	"data":         "the same event with other data: it was appended there by another program, or one of the logs is damaged; `rift log verify` tells of a data folder",
}

// partThatDiffers names the part in which two events differ, in terms of EventStoreDB;
// empty if they are equal.
func partThatDiffers(a, b *domain.Envelope) string {
	one, other := foreign.Of(a), foreign.Of(b)
	switch {
	case one.ID != other.ID:
		return "id"
	case one.Type != other.Type:
		return "type"
	case one.JSON != other.JSON:
		return "content type"
	case !bytes.Equal(one.UserMeta, other.UserMeta):
		return "metadata"
	case !bytes.Equal(one.Data, other.Data):
		return "data"
	}
	return ""
}

// digestEvent adds an event to a digest, as EventStoreDB would store it. Positions and
// the storage times of other programs differ between kinds of logs and are left out.
func digestEvent(sum hash.Hash, e *domain.Envelope) {
	event := foreign.Of(e)
	text := byte(0)
	if event.JSON {
		text = 1
	}
	var numbers [9]byte
	binary.BigEndian.PutUint64(numbers[:], uint64(e.Revision))
	numbers[8] = text
	for _, part := range [][]byte{[]byte(foreign.StreamName(e.Stream)), numbers[:], event.ID[:], []byte(event.Type), event.UserMeta, event.Data} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		_, _ = sum.Write(length[:]) // it never fails
		_, _ = sum.Write(part)
	}
}
