package training

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// SyncID names one copy of data from one place to another.
type SyncID string

// Stream returns the stream with all events of the copy.
func (id SyncID) Stream() domain.StreamID { return domain.Stream("sync", string(id)) }

// SyncType is what a sync copies.
type SyncType string

// The sync types.
const (
	SyncGames    SyncType = "games"
	SyncModels   SyncType = "models"
	SyncNPZ      SyncType = "npz"
	SyncTraining SyncType = "training"
	SyncElo      SyncType = "elo"
	SyncManifest SyncType = "manifest"
)

// SyncTypes lists the sync types.
var SyncTypes = []SyncType{SyncGames, SyncModels, SyncNPZ, SyncTraining, SyncElo, SyncManifest}

// DataSyncStarted: a node started to copy data. Without an end it is stalled after
// a while.
type DataSyncStarted struct {
	SyncID    SyncID           `json:"sync_id"`
	NodeID    domain.NodeID    `json:"node_id"`
	SyncType  SyncType         `json:"sync_type"`
	ConfigKey domain.ConfigKey `json:"config_key,omitempty"` // absent: data of several games
}

func (DataSyncStarted) EventType() string       { return "DATA_SYNC_STARTED" }
func (e DataSyncStarted) Home() domain.StreamID { return e.SyncID.Stream() }

func (e DataSyncStarted) Validate() []domain.Fault {
	c := syncChecks(e.SyncID, e.NodeID)
	domain.OneOf(&c, "sync_type", e.SyncType, SyncTypes)
	c.MaybeConfig(e.ConfigKey)
	return c
}

// DataSyncCompleted: all data arrived. An absent count is unknown, not zero.
type DataSyncCompleted struct {
	SyncID          SyncID           `json:"sync_id"`
	NodeID          domain.NodeID    `json:"node_id"`
	SyncType        SyncType         `json:"sync_type,omitempty"`
	ConfigKey       domain.ConfigKey `json:"config_key,omitempty"` // absent: data of several games
	FilesSynced     *int64           `json:"files_synced,omitempty"`
	GamesSynced     *int64           `json:"games_synced,omitempty"` // games that are new at the target
	BytesSynced     *int64           `json:"bytes_synced,omitempty"`
	DurationSeconds *domain.Seconds  `json:"duration_seconds,omitempty"`
}

func (DataSyncCompleted) EventType() string       { return "DATA_SYNC_COMPLETED" }
func (e DataSyncCompleted) Home() domain.StreamID { return e.SyncID.Stream() }

func (e DataSyncCompleted) Validate() []domain.Fault {
	c := syncChecks(e.SyncID, e.NodeID)
	domain.MaybeOneOf(&c, "sync_type", e.SyncType, SyncTypes)
	c.MaybeConfig(e.ConfigKey)
	domain.MaybeAtLeast(&c, "files_synced", e.FilesSynced, 0)
	domain.MaybeWithin(&c, "games_synced", e.GamesSynced, 0, elo.MaxGames)
	domain.MaybeAtLeast(&c, "bytes_synced", e.BytesSynced, 0)
	c.MaybeSeconds("duration_seconds", e.DurationSeconds)
	return c
}

// DataSyncFailed: the copy failed.
type DataSyncFailed struct {
	SyncID     SyncID           `json:"sync_id"`
	NodeID     domain.NodeID    `json:"node_id"`
	Error      string           `json:"error"`
	SyncType   SyncType         `json:"sync_type,omitempty"`
	ConfigKey  domain.ConfigKey `json:"config_key,omitempty"`
	RetryCount *int             `json:"retry_count,omitempty"` // attempts before this one
}

func (DataSyncFailed) EventType() string       { return "DATA_SYNC_FAILED" }
func (e DataSyncFailed) Home() domain.StreamID { return e.SyncID.Stream() }

func (e DataSyncFailed) Validate() []domain.Fault {
	c := syncChecks(e.SyncID, e.NodeID)
	c.Text("error", e.Error)
	domain.MaybeOneOf(&c, "sync_type", e.SyncType, SyncTypes)
	c.MaybeConfig(e.ConfigKey)
	domain.MaybeAtLeast(&c, "retry_count", e.RetryCount, 0)
	return c
}

// SyncStalled: a running copy did not end in time.
type SyncStalled struct {
	SyncID         SyncID         `json:"sync_id"`
	NodeID         domain.NodeID  `json:"node_id"`
	TimeoutSeconds domain.Seconds `json:"timeout_seconds"` // the time limit
	SyncType       SyncType       `json:"sync_type,omitempty"`
}

func (SyncStalled) EventType() string       { return "SYNC_STALLED" }
func (e SyncStalled) Home() domain.StreamID { return e.SyncID.Stream() }

func (e SyncStalled) Validate() []domain.Fault {
	c := syncChecks(e.SyncID, e.NodeID)
	c.Positive("timeout_seconds", e.TimeoutSeconds)
	domain.MaybeOneOf(&c, "sync_type", e.SyncType, SyncTypes)
	return c
}

func syncChecks(sync SyncID, node domain.NodeID) domain.Checks {
	var c domain.Checks
	c.Name("sync_id", string(sync))
	c.Name("node_id", string(node))
	return c
}

// datasyncEvents is the catalogue of data syncs.
func datasyncEvents() []domain.Def {
	host, config, duration := domain.Alias("host", "node_id"), domain.Alias("config", "config_key"), domain.Alias("duration", "duration_seconds")
	return []domain.Def{
		domain.Define[DataSyncStarted](1, "sync", "a node began to copy data", domain.FromOutside(), host, config, domain.AlsoNamed("SYNC_STARTED")),
		domain.Define[DataSyncCompleted](1, "sync", "the data of a sync arrived whole", domain.FromOutside(), host, config, duration,
			domain.Alias("bytes_transferred", "bytes_synced"), domain.AlsoNamed("SYNC_COMPLETED", "SYNC_COMPLETE")),
		domain.Define[DataSyncFailed](1, "sync", "a sync ended without the data", domain.FromOutside(), host, config, domain.AlsoNamed("SYNC_FAILED")),
		domain.Define[SyncStalled](1, "sync", "a running sync has not ended within its time", domain.Alias("target_host", "node_id"), domain.Alias("data_type", "sync_type")),
	}
}
