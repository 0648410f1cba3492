package training

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	trainingview "github.com/ringrift/rift/projections/training"
)

// reportSync reports on a copy of data: DATA_SYNC_STARTED, DATA_SYNC_COMPLETED or
// DATA_SYNC_FAILED. It is recorded if it changes the state of the copy, so that
// games announced twice are counted once.
type reportSync struct {
	Started   *training.DataSyncStarted   `json:"started,omitempty"`
	Completed *training.DataSyncCompleted `json:"completed,omitempty"`
	Failed    *training.DataSyncFailed    `json:"failed,omitempty"`
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

func decideSync(s training.Sync, c reportSync, _ domain.Facts) ([]domain.Event, error) {
	switch {
	case s.State == training.SyncCompleted:
		return nil, nil
	case c.Completed != nil:
		return []domain.Event{*c.Completed}, nil
	case c.Failed != nil:
		if s.State == training.SyncFailed {
			return nil, nil
		}
		return []domain.Event{*c.Failed}, nil
	case c.Started != nil:
		if s.State == training.SyncRunning || s.State == training.SyncIsStalled {
			return nil, nil
		}
		return []domain.Event{*c.Started}, nil
	}
	return nil, domain.Errorf(domain.Invalid, "datasync.report: want exactly one of started, completed, failed")
}

// stallSync checks whether a copy has been running for too long.
type stallSync struct {
	SyncID training.SyncID `json:"sync_id"`
}

func (stallSync) CommandType() string       { return "datasync.stall" }
func (c stallSync) Stream() domain.StreamID { return c.SyncID.Stream() }

func decideStall(s training.Sync, c stallSync, facts domain.Facts) ([]domain.Event, error) {
	at, running := s.StallsAt(training.DatasyncPolicyOf(facts.Policy))
	if !running || facts.Now.Before(at) {
		return nil, nil
	}
	return []domain.Event{training.SyncStalled{
		SyncID: c.SyncID, NodeID: s.NodeID, SyncType: s.Type, TimeoutSeconds: training.DatasyncPolicyOf(facts.Policy).StallSeconds,
	}}, nil
}

// Datasync returns the specs of the data sync commands.
func Datasync() []commands.Spec {
	return []commands.Spec{
		commands.Handle("take over what somebody says of a copy of data", decideSync,
			commands.Takes(func(e training.DataSyncStarted) reportSync { return reportSync{Started: &e} }),
			commands.Takes(func(e training.DataSyncCompleted) reportSync { return reportSync{Completed: &e} }),
			commands.Takes(func(e training.DataSyncFailed) reportSync { return reportSync{Failed: &e} })),
		commands.Handle("note that a copy of data is stalled", decideStall),
	}
}

// DatasyncClock issues stallSync for copies that have been running for too long.
func DatasyncClock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]commands.Timed, time.Time, error) {
	allowed := training.DatasyncPolicyOf(policy).StallSeconds.Duration()
	rows, next, err := trainingview.OverdueSyncs(v, now.Add(-allowed), limit)
	if err != nil {
		return nil, time.Time{}, err
	}
	var due []commands.Timed
	for _, row := range rows {
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/sync/%s/%s", row.SyncID, row.StartedAt.Format(domain.Timestamp)),
			Command: stallSync{row.SyncID},
		})
	}
	if !next.IsZero() {
		next = next.Add(allowed)
	}
	return due, next, nil
}
