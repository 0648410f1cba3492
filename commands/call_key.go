package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Digest is what a command id given by a caller stands for: the type of the
// command and its content, whatever the order and spacing its members had. It
// goes into the events of the command, so that the id cannot come to stand for
// another. codec writes what encoding/json would: what an id stands for outlives
// the build that noted it.
func Digest(codec domain.Codec, c domain.Command) (string, error) {
	content, err := codec.Marshal(c)
	if err != nil {
		return "", domain.Errorf(domain.Invalid, "command %s: %w", c.CommandType(), err)
	}
	digest := sha256.New()
	digest.Write([]byte(c.CommandType() + "\x00"))
	if appended, ok := c.(AppendEvent); ok {
		digest.Write([]byte(appended.Event.EventType() + "\x00"))
	}
	digest.Write(content)
	return hex.EncodeToString(digest.Sum(nil)[:8]), nil
}

// KeyReused is the refusal of a command under an id that stands for another,
// which led to the event given first.
func KeyReused(command string, first *domain.Envelope) error {
	return domain.Errorf(domain.KeyReused, "key %q stands for another command or body: it was first used for %s on %s at position %d, %s; send this under a key of its own",
		command, first.Type, first.Stream, first.Position, first.Time.Format(domain.Timestamp))
}

// checkKey refuses a command whose id stands for another, by the events that the
// id led to. Events of logs that did not note it yet stand for any.
func checkKey(facts domain.Facts, prior []domain.Envelope) error {
	if was := prior[0].Meta.Request; was != "" && facts.Request != "" && was != facts.Request {
		return KeyReused(facts.Command, &prior[0])
	}
	return nil
}

// ranBefore tells whether a command left events on a stream.
func (b *Bus) ranBefore(ctx context.Context, stream domain.StreamID, command string) (bool, error) {
	if _, err := domain.ParseStreamID(string(stream)); err != nil {
		return false, nil //nolint:nilerr // it is refused where it is decided
	}
	_, found, err := b.Log.Find(ctx, stream, EventID(command, stream, 0))
	return found, err
}

// recorded gives the events of a stateless command that was recorded before.
func (b *Bus) recorded(ctx context.Context, facts domain.Facts, stream domain.StreamID, receipt *eventlog.Receipt) (Step, error) {
	step := Step{Duplicate: true}
	for e, err := range b.Log.ReadAll(ctx, receipt.First, eventlog.Forward, eventlog.Filter{Streams: []string{string(stream)}, To: receipt.Last}) {
		if err == nil && e.Stream != stream {
			continue // a stream whose id begins with this one's
		}
		if err == nil {
			err = b.Catalog.Fill(&e)
		}
		if err != nil {
			return Step{}, err
		}
		step.Events = append(step.Events, e)
	}
	if len(step.Events) == 0 {
		return Step{}, domain.Errorf(domain.Corrupt, "command %s: want its events at position %d, found none", facts.Command, receipt.First)
	}
	return step, checkKey(facts, step.Events)
}
