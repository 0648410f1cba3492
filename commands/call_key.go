package commands

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Digest returns a digest of the type and the content of a command, which does not depend
// on the order and spacing of its JSON. It is stored in the events of the command, so
// that the id of the command cannot be used for another. codec must write what
// encoding/json writes, because digests are compared by later builds.
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

// KeyReused returns the refusal of a command whose id was used for another command. first
// is the first event of that other command.
func KeyReused(command string, first *domain.Envelope) error {
	return domain.Errorf(domain.KeyReused, "key %q stands for another command or body: it was first used for %s on %s at position %d, %s; send this under a key of its own",
		command, first.Type, first.Stream, first.Position, first.Time.Format(domain.Timestamp))
}

// checkKey refuses a command whose id was used for another command, by the events with
// that id. Old events without a digest match any command.
func checkKey(facts domain.Facts, prior []domain.Envelope) error {
	if was := prior[0].Meta.Request; was != "" && facts.Request != "" && was != facts.Request {
		return KeyReused(facts.Command, &prior[0])
	}
	return nil
}

// ranBefore reports whether a stream has events of a command.
func (b *Bus) ranBefore(ctx context.Context, stream domain.StreamID, command string) (bool, error) {
	if _, err := domain.ParseStreamID(string(stream)); err != nil {
		return false, nil //nolint:nilerr // the command is refused when it is decided
	}
	_, found, err := b.Log.Find(ctx, stream, EventID(command, stream, 0))
	return found, err
}

// recorded returns the events of a stateless command that ran before.
func (b *Bus) recorded(ctx context.Context, facts domain.Facts, stream domain.StreamID, receipt *eventlog.Receipt) (Step, error) {
	step := Step{Duplicate: true}
	for e, err := range b.Log.ReadAll(ctx, receipt.First, eventlog.Forward, eventlog.Filter{Streams: []string{string(stream)}, To: receipt.Last}) {
		if err == nil && e.Stream != stream {
			continue // the id of another stream begins with the id of this one
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
