package commands

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// reportSync is what somebody says of a copy of data: one of DATA_SYNC_STARTED,
// DATA_SYNC_COMPLETED, DATA_SYNC_FAILED. It becomes an event if it changes what
// the copy is, so that games which are announced twice are counted once.
type reportSync struct {
	Started   *domain.DataSyncStarted   `json:"started,omitempty"`
	Completed *domain.DataSyncCompleted `json:"completed,omitempty"`
	Failed    *domain.DataSyncFailed    `json:"failed,omitempty"`
}

func (reportSync) CommandType() string { return "datasync.report" }

func (c reportSync) Stream() domain.StreamID {
	switch {
	case c.Started != nil:
		return c.Started.Home()
	case c.Completed != nil:
		return c.Completed.Home()
	case c.Failed != nil:
		return c.Failed.Home()
	}
	return ""
}

func decideSync(s domain.Sync, c reportSync, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case s.State == domain.SyncCompleted:
		return nil, nil
	case c.Completed != nil:
		return []domain.Event{*c.Completed}, nil
	case c.Failed != nil:
		if s.State == domain.SyncFailed {
			return nil, nil
		}
		return []domain.Event{*c.Failed}, nil
	case c.Started != nil:
		if s.State == domain.SyncRunning || s.State == domain.SyncIsStalled {
			return nil, nil
		}
		return []domain.Event{*c.Started}, nil
	}
	return nil, domain.Errorf(domain.Invalid, "datasync.report: want exactly one of started, completed, failed")
}

// stallSync asks whether a copy has run for too long.
type stallSync struct {
	SyncID domain.SyncID `json:"sync_id"`
}

func (stallSync) CommandType() string       { return "datasync.stall" }
func (c stallSync) Stream() domain.StreamID { return c.SyncID.Stream() }

func decideStall(s domain.Sync, c stallSync, facts domain.Facts) ([]domain.Event, error) {
	at, running := s.StallsAt(domain.DatasyncPolicyOf(facts.Policy))
	if !running || facts.Now.Before(at) {
		return nil, nil
	}
	return []domain.Event{domain.SyncStalled{
		SyncID: c.SyncID, NodeID: s.NodeID, SyncType: s.Type, TimeoutSeconds: domain.DatasyncPolicyOf(facts.Policy).StallSeconds,
	}}, nil
}

// Datasync is how the commands of the data syncs are run.
func Datasync() []Spec {
	return []Spec{
		Handle("take over what somebody says of a copy of data", decideSync,
			Takes(func(e domain.DataSyncStarted) reportSync { return reportSync{Started: &e} }),
			Takes(func(e domain.DataSyncCompleted) reportSync { return reportSync{Completed: &e} }),
			Takes(func(e domain.DataSyncFailed) reportSync { return reportSync{Failed: &e} })),
		Handle("note that a copy of data is stalled", decideStall),
	}
}

// DatasyncClock finds copies that run for too long.
func DatasyncClock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]Timed, time.Time, error) {
	allowed := domain.DatasyncPolicyOf(policy).StallSeconds.Duration()
	rows, next, err := projections.OverdueSyncs(v, now.Add(-allowed), limit)
	if err != nil {
		return nil, time.Time{}, err
	}
	var due []Timed
	for _, row := range rows {
		due = append(due, Timed{
			ID:      fmt.Sprintf("clock/sync/%s/%s", row.SyncID, row.StartedAt.Format(domain.Timestamp)),
			Command: stallSync{row.SyncID},
		})
	}
	if !next.IsZero() {
		next = next.Add(allowed)
	}
	return due, next, nil
}
