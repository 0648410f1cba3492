package training

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// SyncState is the state of a copy of data.
type SyncState string

// The states. A stalled copy may still end, and a failed one may be retried; a
// completed one stays completed.
const (
	SyncRunning   SyncState = "running"
	SyncIsStalled SyncState = "stalled"
	SyncCompleted SyncState = "completed"
	SyncFailed    SyncState = "failed"
)

// SyncStates lists the states.
var SyncStates = []SyncState{SyncRunning, SyncIsStalled, SyncCompleted, SyncFailed}

// Sync is one copy of data, folded from its stream. Reports may come late, more
// than once or in any order: only the first completion counts and nothing changes
// it, so that its games are counted once.
type Sync struct {
	State     SyncState
	ID        SyncID
	NodeID    domain.NodeID
	Type      SyncType
	ConfigKey domain.ConfigKey
	StartedAt time.Time // zero: the start was not reported
	EndedAt   time.Time
	Error     string
}

// Evolve applies a fact of the copy.
func (s Sync) Evolve(e domain.Envelope) Sync {
	switch fact := e.Event.(type) {
	case DataSyncStarted:
		if s.State == "" || s.State == SyncFailed {
			s.State, s.StartedAt, s.EndedAt, s.Error = SyncRunning, e.Time, time.Time{}, ""
		}
		s.about(fact.SyncID, fact.NodeID, fact.SyncType, fact.ConfigKey)
	case SyncStalled:
		if s.State == SyncRunning || s.State == "" {
			s.State = SyncIsStalled
		}
		s.about(fact.SyncID, fact.NodeID, fact.SyncType, "")
	case DataSyncCompleted:
		if s.State != SyncCompleted {
			s.State, s.EndedAt, s.Error = SyncCompleted, e.Time, ""
		}
		s.about(fact.SyncID, fact.NodeID, fact.SyncType, fact.ConfigKey)
	case DataSyncFailed:
		if s.State != SyncCompleted && s.State != SyncFailed {
			s.State, s.EndedAt, s.Error = SyncFailed, e.Time, fact.Error
		}
		s.about(fact.SyncID, fact.NodeID, fact.SyncType, fact.ConfigKey)
	}
	return s
}

// about fills in unknown fields.
func (s *Sync) about(id SyncID, node domain.NodeID, kind SyncType, config domain.ConfigKey) {
	s.ID = id
	if s.NodeID == "" {
		s.NodeID = node
	}
	if s.Type == "" {
		s.Type = kind
	}
	if s.ConfigKey == "" {
		s.ConfigKey = config
	}
}

// StallsAt returns when the copy counts as stalled if it has not ended by then;
// false once it is stalled or has ended.
func (s Sync) StallsAt(p DatasyncPolicy) (time.Time, bool) {
	return s.StartedAt.Add(p.StallSeconds.Duration()), s.State == SyncRunning && !s.StartedAt.IsZero()
}

// SecondsOf returns a duration as payloads and answers write it, to the
// microsecond.
func SecondsOf(d time.Duration) domain.Seconds {
	return domain.Seconds(float64(d.Microseconds()) / 1e6)
}

// Freshness is the age of data in a word.
type Freshness string

// The values of Freshness.
const (
	DataFresh    Freshness = "fresh"
	DataAging    Freshness = "aging"
	DataStale    Freshness = "stale"
	DataCritical Freshness = "critical"
)

// Freshness classifies the age of data.
func (p DatasyncPolicy) Freshness(age time.Duration) Freshness {
	switch {
	case age >= p.CriticalSeconds.Duration():
		return DataCritical
	case age >= p.StaleSeconds.Duration():
		return DataStale
	case age >= p.AgingSeconds.Duration():
		return DataAging
	}
	return DataFresh
}
