package esdbserver

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// A group keeps events that no consumer could handle as links in a parked stream. A replay
// reads the links. A link is removed, by truncating the stream, only when its event was
// handled or parked again behind it.

// parkState is the state of a group's parked stream.
type parkState struct {
	next    int64 // the next revision to read for a replay
	until   int64 // end of the replay, exclusive
	loading bool
	open    []int64 // revisions read and not handled, in order
	first   int64   // the first visible revision
	writing bool
}

func (p *parkState) idle() bool { return p.next >= p.until && len(p.open) == 0 && p.first == p.done() }

// done returns the revision below which every link is handled.
func (p *parkState) done() int64 {
	if len(p.open) > 0 {
		return p.open[0]
	}
	return max(p.next, p.first)
}

func (p *parkState) settled(revision int64) {
	if at, found := slices.BinarySearch(p.open, revision); found {
		p.open = slices.Delete(p.open, at, at+1)
	}
}

// parkedReason is the metadata of a parked link.
type parkedReason struct {
	Added  time.Time `json:"added"`
	Reason string    `json:"reason"`
	Number uint64    `json:"subscriptionEventNumber"`
}

// maxReason bounds the reason of a negative acknowledgement.
const maxReason = 4096

// parkMessage writes a link to the parked stream, and settles the event when the link is
// durable. Until then the event stays in flight.
func (g *group) parkMessage(id domain.EventID, m *message, reason string) {
	m.dropped = true
	if m.to != nil {
		m.to.flight--
		m.to = nil
	}
	target := recordOf(&m.event)
	if m.link != nil {
		target = *m.link
	}
	link := []byte(strconv.FormatUint(target.revision, 10) + "@" + target.stream)
	if isLink(target.Type) {
		link = target.Data
	}
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	now := g.server.clock()
	why := parkedReason{Added: now.UTC(), Reason: reason, Number: m.ordinal}
	g.write(func(ctx context.Context) error { return g.writeParked(ctx, link, why) }, func(err error) {
		m.dropped = false
		if err != nil {
			g.server.logger.Warn("event is not parked; it is tried again", "group", g.def.key(), "event", target.ID, "error", err)
			g.again(id, m)
			return
		}
		g.settle(id, m)
	})
}

func (g *group) writeParked(ctx context.Context, link []byte, why parkedReason) error {
	meta, err := json.Marshal(why)
	if err != nil {
		return err
	}
	return g.server.put(ctx, g.def.stateStream("parked"), foreign.Event{Type: typeLink, UserMeta: meta, Data: link})
}

// readParked initializes the state of the parked stream.
func (g *group) readParked(ctx context.Context) error {
	_, state, err := g.parkedStream(ctx)
	if err != nil {
		return err
	}
	first := int64(state.shown())
	if state.meta.deleted() {
		first = int64(state.last) + 1
	}
	g.park = parkState{first: first, next: first, until: first}
	return nil
}

func (g *group) parkedStream(ctx context.Context) (domain.StreamID, streamState, error) {
	name := g.def.stateStream("parked")
	id, err := foreign.StreamID(name)
	if err != nil {
		return "", streamState{}, err
	}
	state, err := g.server.stateOf(ctx, name, id)
	return id, state, err
}

// replay starts a replay of parked events up to last, and to before stopAt if that is not
// negative.
func (g *group) replay(last domain.Revision, stopAt int64) {
	until := int64(last) + 1
	if stopAt >= 0 {
		until = min(until, stopAt)
	}
	g.park.until = max(g.park.until, until)
}

// more reads the next page of a replay, if few events wait for a retry.
func (p *parkState) more(g *group) {
	if p.loading || p.next >= p.until || len(g.retry) >= retryLow {
		return
	}
	p.loading = true
	from, until := p.next, p.until
	var page []*message
	var next int64
	g.write(func(ctx context.Context) (err error) {
		page, next, err = g.readParkedPage(ctx, from, until)
		return err
	}, func(err error) {
		p.loading = false
		if err != nil {
			p.until = p.next // the replay ends; the rest stays parked
			g.server.logger.Warn("parked events cannot be read", "group", g.def.key(), "error", err)
			return
		}
		p.next = next
		for _, m := range page {
			p.open = append(p.open, m.parked)
			g.hold(m)
		}
		g.retry = append(g.retry, page...)
	})
}

// readParkedPage reads links and their events. It skips links without an event.
func (g *group) readParkedPage(ctx context.Context, from, until int64) (page []*message, next int64, err error) {
	id, _, err := g.parkedStream(ctx)
	if err != nil {
		return nil, from, err
	}
	next = from
	for e, err := range g.server.log.Read(ctx, id, domain.Revision(from), eventlog.Forward) {
		if err != nil {
			return nil, from, err
		}
		if int64(e.Revision) >= until || len(page) == pageEvents {
			break
		}
		next = int64(e.Revision) + 1
		m, err := g.parkedMessage(ctx, &e)
		if err != nil {
			return nil, from, err
		}
		if m != nil {
			page = append(page, m)
		}
	}
	if len(page) == 0 {
		next = until
	}
	return page, next, nil
}

func (g *group) parkedMessage(ctx context.Context, link *domain.Envelope) (*message, error) {
	name, revision, ok := linkTarget(foreign.Of(link).Data)
	if !ok {
		return nil, nil
	}
	m := &message{parked: int64(link.Revision)}
	if isIndex(name) {
		x := g.server.index.of(name)
		if err := x.extend(ctx, g.server.log); err != nil || uint64(revision) >= x.size() {
			return nil, err
		}
		err := g.server.readMembers(ctx, x, uint64(revision), 1, func(found *member) error {
			to := found.link(name)
			m.event, m.link, m.ordinal = found.event, &to, found.ordinal
			return nil
		})
		return m, err
	}
	id, err := foreign.StreamID(name)
	if err != nil {
		return nil, nil
	}
	for e, err := range g.server.log.Read(ctx, id, revision, eventlog.Forward) {
		if err != nil || e.Revision != revision {
			return nil, err
		}
		m.event, m.ordinal = e, uint64(e.Revision)
		if g.def.all() {
			m.ordinal = uint64(e.Position)
		}
		return m, nil
	}
	return nil, nil
}

// truncate removes the links that were handled.
func (p *parkState) truncate(g *group) {
	at := p.done()
	if p.writing || p.loading || at <= p.first {
		return
	}
	p.writing = true
	g.write(func(ctx context.Context) error {
		return g.server.put(ctx, metaPrefix+g.def.stateStream("parked"), foreign.Event{Type: typeMetadata, JSON: true, Data: truncated(nil, domain.Revision(at))})
	}, func(err error) {
		p.writing = false
		if err != nil {
			g.server.logger.Warn("replayed events stay parked", "group", g.def.key(), "error", err)
			return
		}
		p.first = at
	})
}
