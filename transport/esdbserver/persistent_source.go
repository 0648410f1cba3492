package esdbserver

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

const (
	typeCheckpoint = "$SubscriptionCheckpoint"
	statePrefix    = "$persistentsubscription-"
	retrySource    = time.Second
)

// follow starts reading the group's source, behind what was read of it.
func (g *group) follow() {
	ctx, cancel := context.WithCancel(context.WithValue(g.ctx, reservationKey{}, g.reserved))
	done := make(chan struct{})
	g.following, g.follower, g.live = cancel, done, false
	after := g.taken
	g.server.tasks.Go(func() {
		defer close(done)
		for ctx.Err() == nil {
			err := g.readSource(ctx, &after)
			if err == nil || ctx.Err() != nil {
				continue
			}
			var known *failure
			if !errors.As(err, &known) { // a deleted stream is not worth a warning
				g.server.logger.Warn("persistent subscription cannot read its source; trying again", "group", g.def.key(), "error", err)
			}
			select {
			case <-time.After(retrySource):
			case <-ctx.Done():
			}
		}
	})
}

// unfollow stops reading the source. Events that were read stay.
func (g *group) unfollow() {
	if g.following == nil {
		return
	}
	g.following()
	for ended := false; !ended; { // the source may be sending a message
		select {
		case m := <-g.source:
			g.take(m)
		case <-g.follower:
			ended = true
		}
	}
	g.following = nil
}

// readSource reads events after a checkpoint into the group, and advances after.
func (g *group) readSource(ctx context.Context, after *uint64) error {
	hand := func(m *message) error {
		select {
		case g.source <- m:
			*after = max(*after, m.ordinal+g.base())
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	live := func() error {
		select {
		case g.source <- &message{ordinal: *after, caughtUp: true}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch {
	case g.def.all():
		return g.readAllSource(ctx, *after, hand, live)
	case isIndex(g.def.Stream):
		x := g.server.index.of(g.def.Stream)
		if err := x.extend(ctx, g.server.log); err != nil {
			return err
		}
		return g.server.followIndex(ctx, x, *after, func(m *member) error {
			link := m.link(g.def.Stream)
			return hand(&message{event: m.event, link: &link, ordinal: m.ordinal})
		}, live)
	}
	return g.server.followStream(ctx, g.def.Stream, domain.Revision(*after), streamFollower{
		confirmed: func() error { return nil },
		event:     func(e *domain.Envelope) error { return hand(&message{event: *e, ordinal: uint64(e.Revision)}) },
		caughtUp:  live,
	})
}

func (g *group) readAllSource(ctx context.Context, after uint64, hand func(*message) error, live func() error) error {
	skipped := int32(0)
	progress := func(at domain.Position) error {
		m := &message{ordinal: uint64(at), skipped: skipped}
		skipped = 0
		return hand(m)
	}
	for item, err := range g.server.log.Subscribe(ctx, domain.Position(after), eventlog.Filter{}) {
		if err != nil {
			return err
		}
		keep := false
		if item.Envelope.Position != 0 {
			if keep, err = g.filter.keeps(&item.Envelope); err != nil {
				return err
			}
			keep = keep && shownInAll(&item.Envelope)
		}
		switch {
		case keep:
			err = hand(&message{event: item.Envelope, ordinal: uint64(item.Position)})
		case item.CaughtUp:
			err = errors.Join(progress(item.Position), live())
		default:
			if skipped++; skipped == pageEvents {
				err = progress(item.Position)
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// stateStream returns the name of a stream with state of a group.
func (d *definition) stateStream(kind string) string { return statePrefix + d.key() + "-" + kind }

// writeCheckpoint appends a checkpoint: the last revision or position handled.
func (g *group) writeCheckpoint(ctx context.Context, at uint64) error {
	data, err := json.Marshal(g.place(at - g.base()))
	if err != nil {
		return err
	}
	return g.server.put(ctx, g.def.stateStream("checkpoint"), foreign.Event{Type: typeCheckpoint, JSON: true, Data: data})
}

// place returns a place in the source as text.
func (g *group) place(at uint64) string {
	text := strconv.FormatUint(at, 10)
	if g.def.all() {
		return "C:" + text + "/P:" + text
	}
	return text
}

// readCheckpoint reads the checkpoint, or else uses the start of the group.
func (g *group) readCheckpoint(ctx context.Context) error {
	g.checkpoint.last = g.server.clock()
	name := g.def.stateStream("checkpoint")
	id, err := foreign.StreamID(name)
	if err != nil {
		return err
	}
	meta, err := g.server.metaOf(ctx, name)
	if err != nil {
		return err
	}
	last, found, err := g.server.lastEvent(ctx, id)
	if err != nil {
		return err
	}
	found = found && !meta.deleted()
	start := g.def.Start
	if g.def.all() && start > 0 {
		start-- // the event at the start is included
	}
	g.taken, g.checkpoint.stored = start, start
	var text string
	if !found || last.Type != typeCheckpoint {
		return nil
	}
	if err := json.Unmarshal(foreign.Of(&last).Data, &text); err != nil {
		return domain.Errorf(domain.Corrupt, "checkpoint of %s: %w", g.def.key(), err)
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(text, "C:"), "/")
	at, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return domain.Errorf(domain.Corrupt, "checkpoint of %s: want a revision or position, found %q", g.def.key(), text)
	}
	g.taken = at + g.base()
	g.checkpoint.stored, g.checkpoint.exists = g.taken, true
	return nil
}
