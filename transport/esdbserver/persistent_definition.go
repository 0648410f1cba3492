package esdbserver

import (
	"math"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"

	"github.com/ringrift/rift/eventlog/foreign"
)

// The strategies of groups for choosing a consumer.
const (
	toSingle            = "DispatchToSingle"
	roundRobin          = "RoundRobin"
	pinned              = "Pinned"
	pinnedByCorrelation = "PinnedByCorrelation"
)

// definition is a persistent subscription as stored in the log.
type definition struct {
	Stream   string            `json:"stream"` // "$all" for everything
	Group    string            `json:"group"`
	Start    uint64            `json:"start"`              // the first revision or position, if there is no checkpoint
	FromEnd  bool              `json:"from_end,omitempty"` // Start was the end when the group was created
	Filter   *filterDefinition `json:"filter,omitempty"`   // of $all
	Settings settings          `json:"settings"`
}

// settings of a persistent subscription. Durations are milliseconds.
type settings struct {
	ResolveLinks   bool   `json:"resolve_links"`
	Statistics     bool   `json:"extra_statistics"`
	Timeout        int64  `json:"message_timeout_ms"` // 0: none
	MaxRetries     int32  `json:"max_retry_count"`
	CheckpointWait int64  `json:"checkpoint_after_ms"`
	MinCheckpoint  int32  `json:"min_checkpoint_count"`
	MaxCheckpoint  int32  `json:"max_checkpoint_count"`
	MaxConsumers   int32  `json:"max_subscriber_count"` // 0: no bound
	LiveBuffer     int32  `json:"live_buffer_size"`
	ReadBatch      int32  `json:"read_batch_size"`
	HistoryBuffer  int32  `json:"history_buffer_size"`
	Strategy       string `json:"consumer_strategy"`
}

// filterDefinition is a filter as stored.
type filterDefinition struct {
	ByType   bool     `json:"by_type,omitempty"`
	Regex    string   `json:"regex,omitempty"`
	Prefixes []string `json:"prefixes,omitempty"`
}

// GetRegex returns the regular expression.
func (f *filterDefinition) GetRegex() string { return f.Regex }

// GetPrefix returns the prefixes.
func (f *filterDefinition) GetPrefix() []string { return f.Prefixes }

func (d *definition) key() string { return d.Stream + "::" + d.Group }

func (d *definition) all() bool { return d.Stream == allStream }

func (d *definition) failed(reason string) error {
	return groupFailure("persistent-subscription-failed", d.Stream, d.Group, reason)
}

// check returns an error for invalid settings.
func (s *settings) check(d *definition) error {
	switch s.Strategy {
	case toSingle, roundRobin, pinned, pinnedByCorrelation:
	default:
		return d.failed("consumer strategy " + strconv.Quote(s.Strategy) + " is not known")
	}
	switch {
	case s.ReadBatch < 1 || s.HistoryBuffer < 1 || s.LiveBuffer < 0:
		return d.failed("buffers and batches need a size of at least 1")
	case s.ReadBatch >= s.HistoryBuffer:
		return d.failed("the read batch has to be smaller than the history buffer")
	case s.Timeout < 0 || s.CheckpointWait < 0 || s.MaxRetries < 0 || s.MaxConsumers < 0:
		return d.failed("times and counts must not be negative")
	}
	return nil
}

// groupSettings are the fields that requests to create and to update have in common.
type groupSettings interface {
	GetResolveLinks() bool
	GetExtraStatistics() bool
	GetMaxRetryCount() int32
	GetMinCheckpointCount() int32
	GetMaxCheckpointCount() int32
	GetMaxSubscriberCount() int32
	GetLiveBufferSize() int32
	GetReadBatchSize() int32
	GetHistoryBufferSize() int32
}

func settingsOf(g groupSettings) settings {
	return settings{
		ResolveLinks: g.GetResolveLinks(), Statistics: g.GetExtraStatistics(), MaxRetries: g.GetMaxRetryCount(),
		MinCheckpoint: g.GetMinCheckpointCount(), MaxCheckpoint: g.GetMaxCheckpointCount(), MaxConsumers: g.GetMaxSubscriberCount(),
		LiveBuffer: g.GetLiveBufferSize(), ReadBatch: g.GetReadBatchSize(), HistoryBuffer: g.GetHistoryBufferSize(),
	}
}

// ticksInMillis converts units of 100 ns to milliseconds.
func ticksInMillis(ticks int64) int64 { return ticks / int64(time.Millisecond/100) }

func strategyName(named int32, text string) string {
	if text != "" {
		return text
	}
	switch named {
	case int32(persistent.CreateReq_DispatchToSingle):
		return toSingle
	case int32(persistent.CreateReq_RoundRobin):
		return roundRobin
	case int32(persistent.CreateReq_Pinned):
		return pinned
	}
	return strconv.Itoa(int(named))
}

// beginning is the requested start of a group. At most one of end, revision, and commit with
// prepare is set.
type beginning struct {
	end             bool
	revision        uint64
	commit, prepare uint64
}

func createdDefinition(o *persistent.CreateReq_Options) (*definition, *beginning, error) {
	d, from := &definition{Group: o.GetGroupName()}, &beginning{}
	given := o.GetSettings()
	if given == nil {
		return nil, nil, invalid("persistent subscription: want settings")
	}
	d.Settings = settingsOf(given)
	d.Settings.Strategy = strategyName(int32(given.GetNamedConsumerStrategy()), given.GetConsumerStrategy()) //nolint:staticcheck // the form of older clients
	switch timeout := given.GetMessageTimeout().(type) {
	case *persistent.CreateReq_Settings_MessageTimeoutMs:
		d.Settings.Timeout = int64(timeout.MessageTimeoutMs)
	case *persistent.CreateReq_Settings_MessageTimeoutTicks:
		d.Settings.Timeout = ticksInMillis(timeout.MessageTimeoutTicks)
	}
	switch after := given.GetCheckpointAfter().(type) {
	case *persistent.CreateReq_Settings_CheckpointAfterMs:
		d.Settings.CheckpointWait = int64(after.CheckpointAfterMs)
	case *persistent.CreateReq_Settings_CheckpointAfterTicks:
		d.Settings.CheckpointWait = ticksInMillis(after.CheckpointAfterTicks)
	}
	var err error
	switch source := o.GetStreamOption().(type) {
	case *persistent.CreateReq_Options_Stream:
		d.Stream, err = streamSource(source.Stream.GetStreamIdentifier())
		switch at := source.Stream.GetRevisionOption().(type) {
		case *persistent.CreateReq_StreamOptions_Revision:
			from.revision = at.Revision
		case *persistent.CreateReq_StreamOptions_End:
			from.end = true
		}
	case *persistent.CreateReq_Options_All:
		d.Stream = allStream
		switch at := source.All.GetAllOption().(type) {
		case *persistent.CreateReq_AllOptions_Position:
			from.commit, from.prepare = at.Position.GetCommitPosition(), at.Position.GetPreparePosition()
		case *persistent.CreateReq_AllOptions_End:
			from.end = true
		}
		d.Filter, err = createdFilter(source.All)
	default: // older clients name the stream aside and the start among the settings
		d.Stream, err = streamSource(o.GetStreamIdentifier()) //nolint:staticcheck // the form of older clients
		from.revision = given.GetRevision()                   //nolint:staticcheck // the form of older clients
	}
	if err == nil && d.Group == "" {
		err = invalid("persistent subscription: want the name of a group")
	}
	return d, from, err
}

func createdFilter(o *persistent.CreateReq_AllOptions) (*filterDefinition, error) {
	given := o.GetFilter()
	if given == nil {
		return nil, nil
	}
	var e expression
	f := &filterDefinition{}
	switch by := given.GetFilter().(type) {
	case *persistent.CreateReq_AllOptions_FilterOptions_StreamIdentifier:
		e = by.StreamIdentifier
	case *persistent.CreateReq_AllOptions_FilterOptions_EventType:
		e, f.ByType = by.EventType, true
	default:
		return nil, invalid("filter: want it on streams or on event types")
	}
	f.Regex, f.Prefixes = e.GetRegex(), e.GetPrefix()
	_, err := newFilter(f.ByType, f, 1, 1)
	return f, err
}

func updatedDefinition(o *persistent.UpdateReq_Options) (*definition, *beginning, error) {
	d, from := &definition{Group: o.GetGroupName()}, &beginning{}
	given := o.GetSettings()
	if given == nil {
		return nil, nil, invalid("persistent subscription: want settings")
	}
	d.Settings = settingsOf(given)
	d.Settings.Strategy = strategyName(int32(given.GetNamedConsumerStrategy()), "")
	switch timeout := given.GetMessageTimeout().(type) {
	case *persistent.UpdateReq_Settings_MessageTimeoutMs:
		d.Settings.Timeout = int64(timeout.MessageTimeoutMs)
	case *persistent.UpdateReq_Settings_MessageTimeoutTicks:
		d.Settings.Timeout = ticksInMillis(timeout.MessageTimeoutTicks)
	}
	switch after := given.GetCheckpointAfter().(type) {
	case *persistent.UpdateReq_Settings_CheckpointAfterMs:
		d.Settings.CheckpointWait = int64(after.CheckpointAfterMs)
	case *persistent.UpdateReq_Settings_CheckpointAfterTicks:
		d.Settings.CheckpointWait = ticksInMillis(after.CheckpointAfterTicks)
	}
	var err error
	switch source := o.GetStreamOption().(type) {
	case *persistent.UpdateReq_Options_Stream:
		d.Stream, err = streamSource(source.Stream.GetStreamIdentifier())
		switch at := source.Stream.GetRevisionOption().(type) {
		case *persistent.UpdateReq_StreamOptions_Revision:
			from.revision = at.Revision
		case *persistent.UpdateReq_StreamOptions_End:
			from.end = true
		}
	case *persistent.UpdateReq_Options_All:
		d.Stream = allStream
		switch at := source.All.GetAllOption().(type) {
		case *persistent.UpdateReq_AllOptions_Position:
			from.commit, from.prepare = at.Position.GetCommitPosition(), at.Position.GetPreparePosition()
		case *persistent.UpdateReq_AllOptions_End:
			from.end = true
		}
	default:
		d.Stream, err = streamSource(o.GetStreamIdentifier()) //nolint:staticcheck // the form of older clients
		from.revision = given.GetRevision()                   //nolint:staticcheck // the form of older clients
	}
	return d, from, err
}

// streamSource returns the name of the stream that a group follows.
func streamSource(id *shared.StreamIdentifier) (string, error) {
	name, err := nameOf(id)
	if err != nil {
		return "", err
	}
	if name == allStream {
		return "", invalid("persistent subscription: $all is asked for as $all, not as a stream")
	}
	_, err = foreign.StreamID(name)
	return name, err
}

// resolve sets the start of a definition. head is the end of the log, next the next
// revision of the stream.
func (b *beginning) resolve(d *definition, head, next uint64) error {
	switch {
	case b.end, b.revision == math.MaxUint64, b.commit == math.MaxUint64 && b.prepare == math.MaxUint64:
		d.FromEnd = true
		d.Start = next
		if d.all() {
			d.Start = head + 1
		}
		return nil
	case b.revision > math.MaxInt64:
		return d.failed("want a start that is a revision, the start or the end")
	case b.prepare > b.commit, b.commit == math.MaxUint64:
		return d.failed("want a prepare position that is not beyond the commit position")
	case b.commit > head:
		return d.failed("want a start that is not beyond the end of the log")
	}
	d.Start = b.revision
	if d.all() {
		d.Start = b.commit
	}
	return nil
}
