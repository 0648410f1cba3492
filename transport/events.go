package transport

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// EventRoutes returns the endpoints that read the log, and the bridge on
// which external tools append to it.
func EventRoutes() []Route {
	return []Route{
		bridge("/events", About("append a fact from outside: the bridge for training scripts")),
		Tell("/events", "events.read", readEvents, past(), Scans(), About("read the log: by position, type, stream, and an expression over the event")),
		streamRoute("/events/stream", "events.stream", About("follow the log as server-sent events; the id of each is its position, and Last-Event-ID resumes")),
		Tell("/events/{id}", "events.find", findEvent, About("one event, by its position or its id")),
		Tell("/events/{id}/why", "events.why", whyEvent, Scans(), About("the chain of events and commands that led to one, the nearest cause first")),
		schemaRoute("/schemas/{event}", In("events"), About("the JSON schema of an event's payload, with an example")),
		Tell("/events/{id}/effects", "events.effects", eventEffects, Scans(), About("the events that one brought about, in the order of the log")),
	}
}

// past lets a report take ?at=.
func past() Option { return func(r *Route) { r.past = true } }

// Selection selects events of the log.
type Selection struct {
	Types   []string `query:"type" doc:"exact types, with commas"`
	Streams []string `query:"stream" doc:"stream ids; one that ends in - or * means all that start so"`
	Where   string   `query:"where" doc:"an expression over the event: data.priority > 50 && node == \"n1\""`
}

// EventsQuery is the query for a part of the log.
type EventsQuery struct {
	From  domain.Position `query:"from" doc:"the first position looked at"`
	To    domain.Position `query:"to" doc:"the last"`
	Limit int             `query:"limit" default:"100"`
	Order string          `query:"order" default:"asc" doc:"asc or desc"`
	Selection
}

// EventsAnswer is a page of the log. Next is the value of from for the next
// page.
type EventsAnswer struct {
	Events      []json.RawMessage `json:"events"`
	Next        domain.Position   `json:"next"`
	WhereErrors int               `json:"where_errors,omitempty" doc:"events for which the expression could not be evaluated"`
	WhereError  string            `json:"where_error,omitempty"`
}

// RowTypes returns the Go types of the members that are hand-written JSON, for
// the API description.
func (EventsAnswer) RowTypes() map[string]any { return map[string]any{"events": EventRecord{}} }

// EventRecord describes how an event is written. Endpoints write the same JSON by
// appendEvent.
type EventRecord struct {
	Position   domain.Position `json:"position"`
	Stream     domain.StreamID `json:"stream"`
	Revision   domain.Revision `json:"revision"`
	ID         domain.EventID  `json:"id"`
	Type       string          `json:"type"`
	Version    int             `json:"version"`
	Time       time.Time       `json:"time"`
	Data       json.RawMessage `json:"data" doc:"the payload; a string if it is no JSON"`
	DataBase64 []byte          `json:"data_base64,omitzero" doc:"the bytes of the payload, where data does not have exactly these"`
	Meta       domain.Meta     `json:"meta"`
}

// RecordOf returns the record of an event.
func RecordOf(e *domain.Envelope) EventRecord {
	r := EventRecord{
		Position: e.Position, Stream: e.Stream, Revision: e.Revision, ID: e.ID,
		Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta,
	}
	exact := false
	if r.Data, exact = domain.AppendPayload(nil, e.Data); !exact {
		r.DataBase64 = append([]byte{}, e.Data...)
	}
	return r
}

// Envelope returns the event as the log has it.
func (r EventRecord) Envelope() domain.Envelope {
	e := domain.Envelope{
		Position: r.Position, Stream: r.Stream, Revision: r.Revision, ID: r.ID,
		Type: r.Type, Version: r.Version, Time: r.Time, Meta: r.Meta, Data: r.Data,
	}
	if r.DataBase64 != nil {
		e.Data = r.DataBase64
	}
	return e
}

// Limits of one page of the log.
const (
	maxEvents     = 1000
	maxPageBytes  = 8 << 20 // and at most 1/128 of the bytes that may be held at once
	maxSelections = 32
)

// appendEvent appends an event as one line.
func appendEvent(dst []byte, e *domain.Envelope) []byte {
	dst = append(dst, `{"position":`...)
	dst = strconv.AppendUint(dst, uint64(e.Position), 10)
	dst = append(dst, `,"stream":`...)
	dst = appendString(dst, string(e.Stream))
	dst = append(dst, `,"revision":`...)
	dst = strconv.AppendInt(dst, int64(e.Revision), 10)
	dst = append(dst, `,"id":"`...)
	dst = append(dst, e.ID.String()...)
	dst = append(dst, `","type":`...)
	dst = appendString(dst, e.Type)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, int64(e.Version), 10)
	dst = append(dst, `,"time":"`...)
	dst = e.Time.UTC().AppendFormat(dst, domain.Timestamp)
	dst = append(dst, `","data":`...)
	dst, exact := domain.AppendPayload(dst, e.Data)
	if !exact {
		dst = append(dst, `,"data_base64":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, e.Data), '"')
	}
	dst = append(dst, `,"meta":`...)
	// Encoding Meta cannot fail: it is strings and a number.
	dst, _ = appendJSON(dst, e.Meta)
	return append(dst, '}')
}

// chosen is a checked Selection.
type chosen struct {
	filter eventlog.Filter
	exact  []string // full stream ids
	loose  []string // stream prefixes
	where  *where
}

func (s Selection) choose() (*chosen, error) {
	var faults []domain.Fault
	if len(s.Types) > maxSelections || len(s.Streams) > maxSelections {
		faults = append(faults, domain.Fault{Field: "type", Reason: fmt.Sprintf("want at most %d types and %d streams", maxSelections, maxSelections)})
	}
	c := &chosen{filter: eventlog.Filter{Types: s.Types}}
	for _, stream := range s.Streams {
		prefix, open := strings.CutSuffix(stream, "*")
		if open || strings.HasSuffix(stream, "-") {
			c.loose = append(c.loose, prefix)
		} else {
			if _, err := domain.ParseStreamID(stream); err != nil {
				faults = append(faults, domain.Fault{Field: "stream", Reason: err.Error()})
			}
			c.exact = append(c.exact, stream)
		}
		c.filter.Streams = append(c.filter.Streams, prefix)
	}
	if err := domain.Faulty("request", faults); err != nil {
		return nil, err
	}
	if s.Where != "" {
		var err error
		if c.where, err = compileWhere(s.Where); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// oneStream reports whether a single whole stream is selected. It is read
// by stream, so that the cost depends on its length and not on the log's.
func (c *chosen) oneStream() bool { return len(c.exact) == 1 && len(c.loose) == 0 }

// keeps reports whether an event that was read is selected.
func (c *chosen) keeps(ctx context.Context, e *domain.Envelope) bool {
	if c.oneStream() && !c.filter.Keeps(e.Stream, e.Type) {
		return false // the log applies its filter only to reads of all streams
	}
	if len(c.exact) > 0 && !slices.Contains(c.exact, string(e.Stream)) &&
		!slices.ContainsFunc(c.loose, func(prefix string) bool { return strings.HasPrefix(string(e.Stream), prefix) }) {
		return false
	}
	return c.where == nil || c.where.keeps(ctx, e)
}

// read yields the candidate events at the positions first to last.
func (c *chosen) read(ctx context.Context, log eventlog.Log, first, last domain.Position, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	if c.oneStream() {
		return readStretch(ctx, log, domain.StreamID(c.exact[0]), first, last, direction)
	}
	bounded, from := c.filter, first
	bounded.From, bounded.To = first, last
	if direction == eventlog.Backward {
		from = last
	}
	return log.ReadAll(ctx, from, direction, bounded)
}

// readStretch yields the events of a stream at the positions first to last.
func readStretch(ctx context.Context, log eventlog.Log, stream domain.StreamID, first, last domain.Position, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		edge := first
		if direction == eventlog.Backward {
			edge = last + 1
		}
		revision, err := seekRevision(ctx, log, stream, edge)
		if err != nil {
			yield(domain.Envelope{}, err)
			return
		}
		if direction == eventlog.Backward {
			revision--
		}
		for e, err := range log.Read(ctx, stream, revision, direction) {
			if err == nil && (e.Position < first || e.Position > last) {
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// seekRevision returns the first revision of a stream at or after a
// position, by binary search, so that a page deep in a long stream does not
// cost reading the pages before it.
func seekRevision(ctx context.Context, log eventlog.Log, stream domain.StreamID, position domain.Position) (domain.Revision, error) {
	if position <= 1 {
		return 0, nil
	}
	nearest := func(revision domain.Revision, direction eventlog.Direction) (domain.Envelope, error) {
		for e, err := range log.Read(ctx, stream, revision, direction) {
			return e, err
		}
		return domain.Envelope{Position: eventlog.End, Revision: domain.NoStream}, nil
	}
	newest, err := nearest(eventlog.EndRevision, eventlog.Backward)
	if err != nil {
		return 0, err
	}
	low, high := domain.Revision(0), newest.Revision+1
	for low < high {
		middle := low + (high-low)/2
		found, err := nearest(middle, eventlog.Forward)
		if err != nil {
			return 0, err
		}
		if found.Position < position {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

func readEvents(ctx context.Context, b Backend, q EventsQuery) (EventsAnswer, domain.Position, error) {
	var answer EventsAnswer
	if q.Limit < 1 || q.Limit > maxEvents {
		return answer, 0, domain.Faulty("request", []domain.Fault{{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", maxEvents, q.Limit)}})
	}
	if q.Order != "asc" && q.Order != "desc" {
		return answer, 0, domain.Faulty("request", []domain.Fault{{Field: "order", Reason: fmt.Sprintf("want asc or desc, found %q", clip(q.Order))}})
	}
	c, err := q.choose()
	if err != nil {
		return answer, 0, err
	}
	log := b.Log()
	head, err := log.Head(ctx)
	if err != nil {
		return answer, 0, err
	}
	x := exchangeOf(ctx)
	turn, err := x.handler.turns.turn(ctx)
	if err != nil {
		return answer, head, err
	}
	defer turn.give()
	last, until := head, x.at.Time
	switch clock, timed := log.(timed); {
	case x.at.Set && until.IsZero():
		last = min(last, x.at.Position)
	case x.at.Set && timed: // the log's own time index, which every query of that time uses
		position, err := clock.PositionAt(ctx, until)
		if err != nil {
			return answer, head, err
		}
		last, until = min(last, position), time.Time{}
	}
	if q.To > 0 {
		last = min(last, q.To)
	}
	p := &page{limit: q.Limit, most: int(min(maxPageBytes, x.handler.config.Bytes/128)), until: until, deadline: time.Now().Add(x.handler.config.ScanTime), turn: turn}
	if q.Order == "desc" {
		from := last
		if q.From > 0 {
			from = min(from, q.From)
		}
		err = p.scan(ctx, log, c, 1, from, eventlog.Backward)
	} else {
		p.next = max(last+1, q.From, 1)
		err = p.scan(ctx, log, c, max(q.From, 1), last, eventlog.Forward)
	}
	if err != nil {
		return answer, head, err
	}
	answer.Events, answer.Next = p.events, p.next
	if c.where != nil {
		answer.WhereErrors, answer.WhereError = c.where.errors, c.where.first
	}
	return answer, last, nil
}

// timed is a log that can map a time to a position.
type timed interface {
	PositionAt(ctx context.Context, at time.Time) (domain.Position, error)
}

// page is one answer from the log while it is filled.
type page struct {
	turn     *turn
	limit    int
	most     int       // bytes
	until    time.Time // events after this time are left out; zero: no limit
	deadline time.Time
	events   []json.RawMessage
	size     int
	looked   int
	next     domain.Position
}

// add adds an event, and reports whether there is room for more.
func (p *page) add(ctx context.Context, c *chosen, e *domain.Envelope) bool {
	p.looked++
	if (p.until.IsZero() || !e.Time.After(p.until)) && c.keeps(ctx, e) {
		encoded := appendEvent(nil, e)
		p.size += len(encoded)
		p.events = append(p.events, encoded)
	}
	if len(p.events) >= p.limit || p.size >= p.most {
		return false
	}
	return c.where == nil && p.looked%256 != 0 || time.Now().Before(p.deadline)
}

// scanWindow is how many positions are read between two checks of the time
// limit, so that a filter that matches nothing still stops in time.
const scanWindow = readWindow

// scan reads the positions first to last, window by window. When the page
// is full or the time is up before the end, it sets next to the first
// position not read.
func (p *page) scan(ctx context.Context, log eventlog.Log, c *chosen, first, last domain.Position, direction eventlog.Direction) error {
	for first <= last {
		low, high := first, last
		switch {
		case c.oneStream(): // every event of the stream is checked here, however few match
		case direction == eventlog.Backward:
			low = last - min(last-first, scanWindow-1)
		default:
			high = first + min(last-first, scanWindow-1)
		}
		for e, err := range c.read(ctx, log, low, high, direction) {
			if err != nil {
				return err
			}
			if !p.add(ctx, c, &e) {
				if p.next = e.Position + 1; direction == eventlog.Backward {
					p.next = e.Position - 1
				}
				return nil
			}
		}
		left := high + 1
		if direction == eventlog.Backward {
			left = low - 1
			last = left
		} else {
			first = left
		}
		if first <= last && !time.Now().Before(p.deadline) {
			p.next = left
			return nil
		}
		p.deadline = p.deadline.Add(p.turn.pass()) // the time limit does not include waiting for a turn
	}
	return nil
}
