package training

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// SyncRow is one copy of data. A null count is unknown, not zero.
type SyncRow struct {
	SyncID          training.SyncID    `json:"sync_id"`
	State           training.SyncState `json:"state"`
	NodeID          domain.NodeID      `json:"node_id"`
	SyncType        training.SyncType  `json:"sync_type"`
	ConfigKey       domain.ConfigKey   `json:"config_key"`
	StartedAt       *time.Time         `json:"started_at" doc:"null: the start was not reported"`
	EndedAt         *time.Time         `json:"ended_at"`
	FilesSynced     *int64             `json:"files_synced"`
	GamesSynced     *int64             `json:"games_synced"`
	BytesSynced     *int64             `json:"bytes_synced"`
	DurationSeconds *domain.Seconds    `json:"duration_seconds"`
	Error           string             `json:"error"`
	Failures        int                `json:"failures" doc:"tries that ended without the data"`
	Position        domain.Position    `json:"position" doc:"of its last event"`
}

// sync returns the part of the row that training.Sync.Evolve works on.
func (r SyncRow) sync() training.Sync {
	return training.Sync{
		State: r.State, ID: r.SyncID, NodeID: r.NodeID, Type: r.SyncType, ConfigKey: r.ConfigKey,
		StartedAt: projections.OrZero(r.StartedAt), EndedAt: projections.OrZero(r.EndedAt), Error: r.Error,
	}
}

func (r SyncRow) settle(s training.Sync) SyncRow {
	r.State, r.SyncID, r.NodeID, r.SyncType, r.ConfigKey = s.State, s.ID, s.NodeID, s.Type, s.ConfigKey
	r.StartedAt, r.EndedAt, r.Error = projections.OrNull(s.StartedAt), projections.OrNull(s.EndedAt), s.Error
	return r
}

// SyncRef points at a copy.
type SyncRef struct {
	SyncID training.SyncID `json:"sync_id"`
}

// FreshRow summarises the data that arrived for one game or, under "all", data of
// several games.
type FreshRow struct {
	ConfigKey    string          `json:"config_key"`
	LastAt       time.Time       `json:"last_at" doc:"when data to train on last arrived, or anything before any did"`
	LastSync     training.SyncID `json:"last_sync"`
	LastNode     domain.NodeID   `json:"last_node"`
	Syncs        int64           `json:"syncs"`
	Games        int64           `json:"games" doc:"of the syncs with a known count"`
	GamesUnknown int64           `json:"games_unknown" doc:"syncs with an unknown count"`
	Files        int64           `json:"files"`
	Bytes        int64           `json:"bytes"`
	ByType       []FreshType     `json:"by_type"`
	Position     domain.Position `json:"position"`
}

// FreshType is the data of one kind that arrived.
type FreshType struct {
	SyncType training.SyncType `json:"sync_type" doc:"empty: not reported"`
	LastAt   time.Time         `json:"last_at"`
	Syncs    int64             `json:"syncs"`
}

// keptSyncs limits the copies that are kept; those without news for longest are
// removed first.
const keptSyncs = 10_000

// severalConfigs stands for data of several games.
const severalConfigs = "all"

// The tables of the data syncs.
var (
	syncsTable      = projections.Table[SyncRow]{Name: "datasync.syncs"}
	syncsRunTable   = projections.Table[SyncRef]{Name: "datasync.running"} // by start time
	syncsHeardTable = projections.Table[SyncRef]{Name: "datasync.heard"}   // by last event
	syncsKeptTable  = projections.Table[projections.KeptRow]{Name: "datasync.kept"}
	freshTable      = projections.Table[FreshRow]{Name: "datasync.freshness"}
)

// DatasyncProjection returns the read model of the data syncs.
func DatasyncProjection() projections.Projection {
	return projections.Projection{
		Name: "datasync", Version: 1, About: "copies of data under way and ended, and how fresh the data of each game is",
		Tables: []string{syncsTable.Name, syncsRunTable.Name, syncsHeardTable.Name, syncsKeptTable.Name, freshTable.Name},
		Handlers: []projections.Handler{
			projections.On(syncStep[training.DataSyncStarted]).Named("data_sync_started"),
			projections.On(syncStep[training.DataSyncCompleted]),
			projections.On(syncStep[training.DataSyncFailed]),
			projections.On(syncStep[training.SyncStalled]),
		},
	}
}

// syncStep applies one fact of a copy with the fold that decisions use.
func syncStep[E domain.Event](tx projections.Tx, e domain.Envelope, event E) error {
	id := e.Stream.ID()
	before, known, err := syncsTable.Get(tx, id)
	if err != nil {
		return err
	}
	after := before.settle(before.sync().Evolve(e))
	if known && before.State == training.SyncCompleted {
		return nil // a late report after the end
	}
	after.Position = e.Position
	switch fact := any(event).(type) {
	case training.DataSyncCompleted:
		after.FilesSynced, after.GamesSynced, after.BytesSynced, after.DurationSeconds = fact.FilesSynced, fact.GamesSynced, fact.BytesSynced, fact.DurationSeconds
		if err := freshen(tx, e, after); err != nil {
			return err
		}
	case training.DataSyncFailed:
		if before.State != training.SyncFailed {
			after.Failures++
		}
	}
	if was, is := before.runningKey(), after.runningKey(); was != is {
		if was != "" {
			if err := syncsRunTable.Delete(tx, was); err != nil {
				return err
			}
		}
		if is != "" {
			if err := syncsRunTable.Put(tx, is, SyncRef{after.SyncID}); err != nil {
				return err
			}
		}
	}
	if known {
		if err := syncsHeardTable.Delete(tx, projections.PositionKey(before.Position)); err != nil {
			return err
		}
	} else if err := makeRoom(tx); err != nil {
		return err
	}
	if err := syncsHeardTable.Put(tx, projections.PositionKey(e.Position), SyncRef{after.SyncID}); err != nil {
		return err
	}
	return syncsTable.Put(tx, id, after)
}

// runningKey returns the row's key among the running copies; empty if it is not
// running.
func (r SyncRow) runningKey() string {
	if r.State != training.SyncRunning || r.StartedAt == nil {
		return ""
	}
	return projections.TimeKey(*r.StartedAt) + "/" + string(r.SyncID)
}

// makeRoom counts a new copy, and removes an old one when there are too many.
func makeRoom(tx projections.Tx) error {
	kept, _, err := syncsKeptTable.Get(tx, "")
	if err != nil {
		return err
	}
	if kept.Count < keptSyncs {
		return syncsKeptTable.Put(tx, "", projections.KeptRow{Count: kept.Count + 1})
	}
	for entry, err := range syncsHeardTable.Scan(tx, projections.Span{}) {
		if err != nil {
			return err
		}
		row, _, err := syncsTable.Get(tx, string(entry.Row.SyncID))
		if err != nil {
			return err
		}
		if key := row.runningKey(); key != "" {
			if err := syncsRunTable.Delete(tx, key); err != nil {
				return err
			}
		}
		if err := syncsHeardTable.Delete(tx, entry.Key); err != nil {
			return err
		}
		return syncsTable.Delete(tx, string(entry.Row.SyncID))
	}
	return nil
}

// trains reports whether data is used for training; a sync of unknown type may be.
func trains(kind training.SyncType) bool {
	return kind == "" || kind == training.SyncGames || kind == training.SyncNPZ || kind == training.SyncTraining
}

// freshen adds a completed copy to the summary of its game.
func freshen(tx projections.Tx, e domain.Envelope, done SyncRow) error {
	key := string(done.ConfigKey)
	if key == "" {
		key = severalConfigs
	}
	row, known, err := freshTable.Get(tx, key)
	if err != nil {
		return err
	}
	row.ConfigKey, row.Position = key, e.Position
	if trains(done.SyncType) || !known {
		row.LastAt, row.LastSync, row.LastNode = e.Time, done.SyncID, done.NodeID
	}
	row.Syncs++
	if done.GamesSynced == nil {
		row.GamesUnknown++
	} else {
		row.Games += *done.GamesSynced
	}
	row.Files += orNone(done.FilesSynced)
	row.Bytes += orNone(done.BytesSynced)
	row.ByType = slices.Clone(row.ByType)
	at := slices.IndexFunc(row.ByType, func(t FreshType) bool { return t.SyncType == done.SyncType })
	if at < 0 {
		at = len(row.ByType)
		row.ByType = append(row.ByType, FreshType{SyncType: done.SyncType})
	}
	row.ByType[at].LastAt = e.Time
	row.ByType[at].Syncs++
	return freshTable.Put(tx, key, row)
}

func orNone(count *int64) int64 {
	if count == nil {
		return 0
	}
	return *count
}

// OverdueSyncs lists at most limit running copies that started at or before a time,
// and returns when the next one after them started.
func OverdueSyncs(v projections.View, before time.Time, limit int) (due []SyncRow, next time.Time, err error) {
	for entry, err := range syncsRunTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, time.Time{}, err
		}
		row, _, err := syncsTable.Get(v, string(entry.Row.SyncID))
		if err != nil {
			return nil, time.Time{}, err
		}
		if started := projections.OrZero(row.StartedAt); started.After(before) || len(due) == limit {
			return due, started, nil
		}
		due = append(due, row)
	}
	return due, time.Time{}, nil
}

// ManySyncs is the query for copies of data.
type ManySyncs struct {
	State     string `query:"state"`
	ConfigKey string `query:"config_key"`
	NodeID    string `query:"node"`
	Before    string `query:"before"`
	Limit     int    `query:"limit"`
}

// SyncsAnswer lists copies of data, the most recent news first.
type SyncsAnswer struct {
	Syncs []SyncRow `json:"syncs"`
	Next  string    `json:"next,omitempty" doc:"ask again with before=next for more"`
}

// ListSyncs returns copies of data, the most recent news first.
func ListSyncs(v projections.View, q ManySyncs) (SyncsAnswer, error) {
	answer := SyncsAnswer{Syncs: []SyncRow{}}
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return answer, err
	}
	if q.State != "" && !slices.Contains(training.SyncStates, training.SyncState(q.State)) {
		return answer, domain.Faulty("query", []domain.Fault{{Field: "state", Reason: fmt.Sprintf("want one of %v, found %q", training.SyncStates, q.State)}})
	}
	before := ""
	if q.Before != "" {
		at, err := domain.ParsePosition(q.Before)
		if err != nil {
			return answer, domain.Faulty("query", []domain.Fault{{Field: "before", Reason: err.Error()}})
		}
		before = projections.PositionKey(at)
	}
	var last domain.Position
	for entry, err := range syncsHeardTable.Scan(v, projections.Span{From: before, Reverse: true}) {
		if err != nil {
			return answer, err
		}
		row, _, err := syncsTable.Get(v, string(entry.Row.SyncID))
		if err != nil {
			return answer, err
		}
		if q.State != "" && string(row.State) != q.State || q.ConfigKey != "" && string(row.ConfigKey) != q.ConfigKey || q.NodeID != "" && string(row.NodeID) != q.NodeID {
			continue
		}
		if len(answer.Syncs) == limit {
			answer.Next = last.String()
			break
		}
		last = row.Position
		answer.Syncs = append(answer.Syncs, row)
	}
	return answer, nil
}

// FreshnessQuery is the query for the age of the data of one game, or of all.
type FreshnessQuery struct {
	ConfigKey string `query:"config_key"`

	now time.Time
}

// At sets the time that the query is about.
func (q FreshnessQuery) At(now time.Time) FreshnessQuery {
	q.now = now
	return q
}

// ConfigFreshness is the age of the data of one game as of a time.
type ConfigFreshness struct {
	FreshRow
	AgeSeconds domain.Seconds     `json:"age_seconds" doc:"of the last data to train on"`
	Freshness  training.Freshness `json:"freshness" doc:"fresh, aging, stale, critical"`
}

// FreshnessAnswer lists the age of data by game. A missing game never got any.
type FreshnessAnswer struct {
	Configs []ConfigFreshness `json:"configs"`
}

// DataFreshness returns the age of the data of each game.
func DataFreshness(v projections.View, q FreshnessQuery) (FreshnessAnswer, error) {
	answer := FreshnessAnswer{Configs: []ConfigFreshness{}}
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return answer, err
	}
	for entry, err := range freshTable.Scan(v, projections.Span{}) {
		if err != nil {
			return answer, err
		}
		if q.ConfigKey != "" && q.ConfigKey != entry.Key {
			continue
		}
		age := max(q.now.Sub(entry.Row.LastAt), 0)
		answer.Configs = append(answer.Configs, ConfigFreshness{entry.Row, training.SecondsOf(age), training.DatasyncPolicyOf(policy).Freshness(age)})
	}
	return answer, nil
}
