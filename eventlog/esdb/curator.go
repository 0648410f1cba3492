package esdb

import (
	"context"
	"encoding/json"
	"math"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// limitsKey is the property of a stream's metadata that keeps our limits as
// they were given: the database counts ages in whole seconds.
const limitsKey = "rift"

// SetStreamMeta limits a stream with the database's own metadata; a tombstone
// is the database's too.
func (l *Log) SetStreamMeta(ctx context.Context, stream domain.StreamID, meta eventlog.StreamMeta) error {
	if err := meta.Check(stream); err != nil {
		return err
	}
	older, err := l.StreamMeta(ctx, stream)
	if err != nil {
		return err
	}
	if err := meta.Replaces(stream, older); err != nil || older.Tombstone {
		return err
	}
	what := "metadata of " + string(stream)
	name := foreign.StreamName(stream)
	var text json.RawMessage
	if text, err = json.Marshal(meta); err != nil {
		return domain.Errorf(domain.Invalid, "%s: %w", what, err)
	}
	var own map[string]any
	if err := json.Unmarshal(text, &own); err != nil {
		return domain.Errorf(domain.Invalid, "%s: %w", what, err)
	}
	limits := client.StreamMetadata{}
	if meta.MaxCount > 0 {
		limits.SetMaxCount(uint64(meta.MaxCount))
	}
	if meta.TruncateBefore > 0 {
		limits.SetTruncateBefore(uint64(meta.TruncateBefore))
	}
	if meta.MaxAge > 0 {
		limits.SetMaxAge(time.Duration(math.Ceil(float64(meta.MaxAge))) * time.Second)
	}
	limits.AddCustomProperty(limitsKey, own)
	if meta != (eventlog.StreamMeta{Tombstone: true}) {
		err := l.attempts(ctx, what, func(c *client.Client) (bool, error) {
			_, err := c.SetStreamMetadata(ctx, name, client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, limits)
			return false, err
		})
		if err != nil || !meta.Tombstone {
			return err
		}
	}
	return l.attempts(ctx, what, func(c *client.Client) (bool, error) {
		_, err := c.TombstoneStream(ctx, name, client.TombstoneStreamOptions{ExpectedRevision: client.Any{}})
		if coded(err) == client.ErrorCodeStreamDeleted {
			return true, nil // by an attempt whose answer was lost
		}
		return false, err
	})
}

// StreamMeta tells the limits of a stream.
func (l *Log) StreamMeta(ctx context.Context, stream domain.StreamID) (meta eventlog.StreamMeta, err error) {
	what := "metadata of " + string(stream)
	if err := eventlog.Interrupted(ctx, what); err != nil {
		return meta, err
	}
	gone := false
	for _, err := range l.readShown(ctx, stream, eventlog.EndRevision, eventlog.Backward, 1) {
		if gone = domain.CodeOf(err) == eventlog.Gone; err != nil && !gone {
			return meta, err
		}
		break
	}
	var limits *client.StreamMetadata
	err = l.attempts(ctx, what, func(c *client.Client) (bool, error) {
		var err error
		limits, err = c.GetStreamMetadata(ctx, foreign.StreamName(stream), client.ReadStreamOptions{})
		if coded(err) == client.ErrorCodeResourceNotFound {
			limits, err = &client.StreamMetadata{}, nil
		}
		return false, err
	})
	if err != nil {
		return meta, err
	}
	if own := limits.CustomProperty(limitsKey); own != nil {
		text, err := json.Marshal(own)
		if err == nil {
			err = json.Unmarshal(text, &meta)
		}
		if err != nil {
			return meta, domain.Errorf(domain.Corrupt, "%s: %w", what, err)
		}
		meta.Tombstone = gone
		return meta, nil
	}
	meta.Tombstone = gone
	if gone {
		return meta, nil
	}
	if n := limits.MaxCount(); n != nil {
		meta.MaxCount = int64(min(*n, math.MaxInt64))
	}
	if age := limits.MaxAge(); age != nil {
		meta.MaxAge = domain.Seconds(age.Seconds())
	}
	if first := limits.TruncateBefore(); first != nil {
		meta.TruncateBefore = domain.Revision(min(*first, math.MaxInt64))
	}
	return meta, nil
}
