package esdb

import (
	"context"
	"encoding/json"
	"math"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The properties of a stream's metadata that are limits. ownLimits has them as they were
// given, because the database counts ages in whole seconds.
const (
	ownLimits      = "rift"
	maxCountKey    = "$maxCount"
	maxAgeKey      = "$maxAge"
	truncateKey    = "$tb"
	metadataPrefix = "$$"
	metadataType   = "$metadata"
)

// limits are the metadata of a stream, including properties that are not limits.
type limits map[string]json.RawMessage

// hide reports whether the limits may hide an event from reads.
func (l limits) hide() bool {
	return l[maxCountKey] != nil || l[maxAgeKey] != nil || l[truncateKey] != nil
}

func (l limits) number(key string) int64 {
	var n float64
	if json.Unmarshal(l[key], &n) != nil || n < 0 {
		return 0
	}
	if exact, err := strconv.ParseInt(string(l[key]), 10, 64); err == nil {
		return exact
	}
	return int64(min(n, 1<<62))
}

// limitsOf reads the metadata of a stream. Metadata that are not a JSON object count as
// none.
func (l *Log) limitsOf(ctx context.Context, stream domain.StreamID) (found limits, err error) {
	err = l.attempts(ctx, "metadata of "+string(stream), func(channel *grpc.ClientConn) (bool, error) {
		found = limits{}
		options := &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
				StreamIdentifier: identifier(metadataPrefix + foreign.StreamName(stream)), RevisionOption: &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}},
			}},
			ReadDirection: streams.ReadReq_Options_Backwards, CountOption: &streams.ReadReq_Options_Count{Count: 1},
		}
		return false, l.receive(ctx, channel, options, func(message *streams.ReadResp) error {
			if e := message.GetEvent().GetEvent(); e != nil && json.Unmarshal(e.GetData(), &found) != nil {
				found = limits{}
			}
			return nil
		})
	})
	return found, err
}

// SetStreamMeta sets the limits of a stream in the database's own metadata of it; a
// tombstone is the database's too. Other properties of the metadata are kept.
func (l *Log) SetStreamMeta(ctx context.Context, stream domain.StreamID, meta eventlog.StreamMeta) error {
	if err := meta.Check(stream); err != nil {
		return err
	}
	older, kept, err := l.streamMeta(ctx, stream)
	if err != nil {
		return err
	}
	if err := meta.Replaces(stream, older); err != nil || older.Tombstone {
		return err
	}
	what := "metadata of " + string(stream)
	name := foreign.StreamName(stream)
	if meta != (eventlog.StreamMeta{Tombstone: true}) || older != (eventlog.StreamMeta{}) {
		text, err := json.Marshal(kept.with(meta))
		if err != nil {
			return domain.Errorf(domain.Invalid, "%s: %w", what, err)
		}
		event := &streams.AppendReq_ProposedMessage{
			Id: uuidOf(domain.EventID(uuid.New())), Metadata: map[string]string{keyType: metadataType, keyContentType: contentJSON}, Data: text,
		}
		err = l.attempts(ctx, what, func(channel *grpc.ClientConn) (bool, error) {
			_, err := l.appendAfter(ctx, channel, metadataPrefix+name, domain.AnyRevision, []*streams.AppendReq_ProposedMessage{event})
			return false, err
		})
		if err != nil {
			return err
		}
	}
	if !meta.Tombstone {
		return nil
	}
	return l.attempts(ctx, what, func(channel *grpc.ClientConn) (bool, error) {
		err := l.tombstone(ctx, channel, name)
		if isFailed(err, exceptionDeleted) {
			err = nil // an earlier attempt, whose answer was lost, has done it
		}
		return false, err
	})
}

// with returns the metadata with other limits.
func (l limits) with(meta eventlog.StreamMeta) map[string]any {
	properties := map[string]any{}
	for key, value := range l {
		properties[key] = value
	}
	for _, key := range []string{maxCountKey, maxAgeKey, truncateKey, ownLimits} {
		delete(properties, key)
	}
	if meta.MaxCount > 0 {
		properties[maxCountKey] = meta.MaxCount
	}
	if meta.TruncateBefore > 0 {
		properties[truncateKey] = meta.TruncateBefore
	}
	if meta.MaxAge > 0 {
		properties[maxAgeKey] = int64(math.Ceil(float64(meta.MaxAge)))
	}
	if meta != (eventlog.StreamMeta{}) {
		properties[ownLimits] = meta
	}
	return properties
}

// StreamMeta returns the limits of a stream.
func (l *Log) StreamMeta(ctx context.Context, stream domain.StreamID) (eventlog.StreamMeta, error) {
	meta, _, err := l.streamMeta(ctx, stream)
	return meta, err
}

func (l *Log) streamMeta(ctx context.Context, stream domain.StreamID) (meta eventlog.StreamMeta, all limits, err error) {
	what := "metadata of " + string(stream)
	if err := eventlog.Interrupted(ctx, what); err != nil {
		return meta, nil, err
	}
	gone := false
	for _, err := range l.readShown(ctx, stream, eventlog.EndRevision, eventlog.Backward, 1) {
		if gone = domain.CodeOf(err) == eventlog.Gone; err != nil && !gone {
			return meta, nil, err
		}
		break
	}
	if all, err = l.limitsOf(ctx, stream); err != nil {
		if !gone || !isFailed(err, exceptionDeleted, codes.FailedPrecondition) {
			return meta, nil, err
		}
		all = limits{}
	}
	own, has := all[ownLimits]
	switch {
	case has:
		if err := json.Unmarshal(own, &meta); err != nil {
			return meta, nil, domain.Errorf(domain.Corrupt, "%s: want limits of rift, found %.100q: %w", what, own, err)
		}
	case !gone:
		meta = eventlog.StreamMeta{
			MaxCount: all.number(maxCountKey), MaxAge: domain.Seconds(all.number(maxAgeKey)), TruncateBefore: domain.Revision(all.number(truncateKey)),
		}
	}
	meta.Tombstone = gone
	return meta, all, nil
}
