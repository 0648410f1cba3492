package training

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// SyncState is where a copy of data stands.
type SyncState string

// The states. A copy that is stalled may still end, and one that failed may be
// tried again; one that completed stays so.
const (
	SyncRunning   SyncState = "running"
	SyncIsStalled SyncState = "stalled"
	SyncCompleted SyncState = "completed"
	SyncFailed    SyncState = "failed"
)

// SyncStates lists the states.
var SyncStates = []SyncState{SyncRunning, SyncIsStalled, SyncCompleted, SyncFailed}

// Sync is one copy of data, folded from its stream. Reports may come late, twice
// or in any order: the first completion counts and nothing changes it, so that
// the games it brought are counted once.
type Sync struct {
	State     SyncState
	ID        SyncID
	NodeID    domain.NodeID
	Type      SyncType
	ConfigKey domain.ConfigKey
	StartedAt time.Time // zero: nobody reported the start
	EndedAt   time.Time
	Error     string
}

// Evolve takes over a fact of the copy.
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

// about fills in what is not known yet.
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

// StallsAt is when the copy is stalled unless it ends; false once it is, or ended.
func (s Sync) StallsAt(p DatasyncPolicy) (time.Time, bool) {
	return s.StartedAt.Add(p.StallSeconds.Duration()), s.State == SyncRunning && !s.StartedAt.IsZero()
}

// SecondsOf is a duration as payloads and answers write it, to the microsecond.
func SecondsOf(d time.Duration) domain.Seconds {
	return domain.Seconds(float64(d.Microseconds()) / 1e6)
}

// Freshness is how old data is, in words.
type Freshness string

// The words.
const (
	DataFresh    Freshness = "fresh"
	DataAging    Freshness = "aging"
	DataStale    Freshness = "stale"
	DataCritical Freshness = "critical"
)

// Freshness judges the age of data.
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
