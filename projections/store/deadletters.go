package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// DeadLetter is an event that a handler failed at, as GET /dead-letters shows it.
// First and Last are times of events.
type DeadLetter struct {
	ID            string          `json:"id"` // "work.TASK_FAILED@42"
	Handler       string          `json:"handler"`
	Kind          Kind            `json:"kind"`
	Projection    string          `json:"projection,omitempty"`
	EventPosition domain.Position `json:"event_position"`
	EventID       domain.EventID  `json:"event_id"`
	EventType     string          `json:"event_type"`
	Stream        domain.StreamID `json:"stream"`
	Error         string          `json:"error"`
	Code          domain.Code     `json:"code"`
	Attempts      int             `json:"attempts"`
	Command       string          `json:"command,omitempty"` // type of the refused command, of a reactor
	First         time.Time       `json:"first"`
	Last          time.Time       `json:"last"`
}

// letters is the table of dead letters.
var letters = projections.Table[DeadLetter]{Name: DeadLetterTable}

// maxErrorText bounds the error text kept in a dead letter.
const maxErrorText = 2048

func letterOf(f Failure) DeadLetter {
	text := f.Err.Error()
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return DeadLetter{
		ID:      LetterID(f.Handler, f.Position),
		Handler: f.Handler, Kind: f.Kind, Projection: f.Projection,
		EventPosition: f.Position, EventID: f.EventID, EventType: f.EventType, Stream: f.Stream,
		Error: text, Code: domain.CodeOf(f.Err), Attempts: f.Attempts, First: f.Time, Last: f.Time,
	}
}

// LetterID returns the id of the dead letter of a handler at a position.
func LetterID(handler string, at domain.Position) string { return handler + "@" + at.String() }

// key sorts the letters of a handler by position.
func (d DeadLetter) key() string { return letterKey(d.Handler, d.EventPosition) }

func letterKey(handler string, at domain.Position) string {
	return fmt.Sprintf("%s@%020d", handler, uint64(at))
}

// DeadLetters lists the dead letters by handler and position.
func (s *Store) DeadLetters() ([]DeadLetter, error) {
	var found []DeadLetter
	err := s.View(func(v projections.View) error {
		for entry, err := range letters.Scan(v, projections.Span{}) {
			if err != nil {
				return err
			}
			found = append(found, entry.Row)
		}
		return nil
	})
	return found, err
}

// LetterAct is what an event does to a dead letter: it records a refused command of a
// reactor, requests a retry, or discards the letter.
type LetterAct struct {
	Handler  string
	Position domain.Position // of the event that was not handled
	Retry    bool
	Refused  string      // the type of the command; empty: none was
	Code     domain.Code // of the refusal
	Error    string      // its text
}

// actOn performs the LetterAct of the event that was folded last, in the batch of that
// event. A retry runs the letter's handler alone, on the event that it failed at and on
// the current rows. If it succeeds, the letter is deleted; if not, the letter counts the
// attempt and the failure is reported.
func (s *Store) actOn(ctx context.Context, log eventlog.Log, p *run) error {
	act := *p.act
	p.act = nil
	letter, found, err := p.letter(act)
	switch {
	case err != nil:
		return err
	case act.Refused != "":
		err = p.refused(ctx, log, act, letter, found)
	case !found:
		return nil
	case act.Retry:
		err = p.retryOf(ctx, log, letter)
	default:
		err = p.dropLetter(letter)
	}
	if err != nil {
		return err
	}
	p.tx.settleWrites()
	p.reissued = true
	err = s.commit(ctx, p, nil, nil)
	p.reissued = false
	return err
}

func readOne(ctx context.Context, log eventlog.Log, at domain.Position) (domain.Envelope, bool, error) {
	for e, err := range log.ReadAll(ctx, at, eventlog.Forward, eventlog.Filter{}) {
		return e, err == nil && e.Position == at, err
	}
	return domain.Envelope{}, false, nil
}

// open opens the table of a handler's dead letters. A version that is being built has a
// table of its own. It returns false in a build that does not run the handler.
func (p *run) open(h *handler) bool {
	switch {
	case h != nil && h.projector != nil && !h.projector.record.inStep:
		p.tx.enterLetters(h.projector)
	case p.decoding == nil:
		return false
	default:
		p.tx.enterLetters(nil)
	}
	return true
}

func (p *run) letter(act LetterAct) (DeadLetter, bool, error) {
	if !p.open(p.handler(act.Handler)) {
		return DeadLetter{}, false, nil
	}
	return letters.Get(p.tx, letterKey(act.Handler, act.Position))
}

// refused stores a dead letter for the event whose reactor issued a refused command.
func (p *run) refused(ctx context.Context, log eventlog.Log, act LetterAct, before DeadLetter, parked bool) error {
	event, found, err := readOne(ctx, log, act.Position)
	if err != nil || !found {
		return err
	}
	h := p.handler(act.Handler)
	if !p.open(h) {
		return nil
	}
	letter := letterOf(Failure{
		Handler: act.Handler, Kind: KindReactor, Position: act.Position, EventID: event.ID, EventType: event.Type, Stream: event.Stream,
		Time: event.Time, Err: domain.Errorf(act.Code, "%s refused: %s", act.Refused, act.Error), Attempts: 1,
	})
	letter.Command, letter.Last = act.Refused, time.UnixMicro(p.at.micros).UTC()
	if parked {
		letter.First, letter.Attempts = before.First, before.Attempts+1
	}
	if h != nil {
		p.touch(h)
		h.counters.failures++
		switch {
		case parked:
		case h.counters.letters >= uint64(p.options.DeadLetterMax):
			h.counters.overflow++
			return nil
		default:
			h.counters.letters++
		}
	}
	return letters.Put(p.tx, letter.key(), letter)
}

func (p *run) dropLetter(letter DeadLetter) error {
	h := p.handler(letter.Handler)
	p.open(h)
	if err := letters.Delete(p.tx, letter.key()); err != nil {
		return err
	}
	if h != nil && h.counters.letters > 0 {
		p.touch(h)
		h.counters.letters--
	}
	return nil
}

func (p *run) handler(name string) *handler {
	for h := range p.everyHandler() {
		if h.name == name {
			return h
		}
	}
	return nil
}

// retryOf retries the handler of a letter. A letter whose handler is not in this build,
// or whose event is not in this log, stays as it is.
func (p *run) retryOf(ctx context.Context, log eventlog.Log, letter DeadLetter) error {
	h := p.handler(letter.Handler)
	event, found, err := readOne(ctx, log, letter.EventPosition)
	if err != nil || h == nil || !found || event.ID != letter.EventID {
		return err
	}
	failed, err := p.retry(h, letter, &event)
	if err == nil && failed != nil {
		p.failures = append(p.failures, Failure{
			Handler: letter.Handler, Kind: letter.Kind, Projection: letter.Projection, Position: letter.EventPosition, EventID: letter.EventID,
			EventType: letter.EventType, Stream: letter.Stream, Time: event.Time, Err: failed, Attempts: letter.Attempts + 1,
			Rebuild: h.projector != nil && !h.projector.record.inStep,
		})
	}
	return err
}

// retry runs the handler of a letter again. failed is the handler's error, err is the
// store's.
func (p *run) retry(h *handler, letter DeadLetter, e *domain.Envelope) (failed, err error) {
	now := p.at.position
	mark := p.tx.mark()
	p.count(h, h.counters.last)
	switch failed = decode(p.catalog, p.routes, e); {
	case failed != nil:
	case h.kind == KindProjection:
		failed = p.handle(h, e)
	case h.kind == KindReactor:
		failed = p.reissue(h, e, now)
	default:
		failed = p.handleAll(e, now)
	}
	if broken := p.tx.fault(); broken != nil {
		return nil, broken
	}
	if failed == nil {
		return nil, p.dropLetter(letter)
	}
	p.tx.undo(mark)
	p.touch(h)
	h.counters.failures++
	letter.Attempts++
	again := letterOf(Failure{Err: failed})
	letter.Error, letter.Code = again.Error, again.Code
	letter.Last = time.UnixMicro(p.at.micros).UTC()
	p.open(h)
	return failed, letters.Put(p.tx, letter.key(), letter)
}

func (p *run) reissue(h *handler, e *domain.Envelope, now domain.Position) error {
	entries, err := p.react(h, e, now)
	if err != nil {
		return err
	}
	p.outbox = append(p.outbox, entries...)
	return nil
}

// handleAll runs every handler and reactor on an event that could not be decoded before.
func (p *run) handleAll(e *domain.Envelope, now domain.Position) error {
	issued := len(p.outbox)
	r := p.route(e.Type)
	for _, h := range r.handlers {
		p.count(h, h.counters.last)
		if err := p.handle(h, e); err != nil {
			return err
		}
	}
	for _, h := range r.reactors {
		if e.Position <= h.after {
			continue
		}
		p.count(h, h.counters.last)
		if err := p.reissue(h, e, now); err != nil {
			p.outbox = p.outbox[:issued]
			return err
		}
	}
	return nil
}
