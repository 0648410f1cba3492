package nodes

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
)

// The wait before a restart: 5 s doubling to 80, then 160 and 320, then half an
// hour for what the cluster needs and four for the rest.
func TestDaemonBackoff(t *testing.T) {
	policy := DefaultDaemonsPolicy()
	want := []time.Duration{5, 10, 20, 40, 80, 160, 320, 320, 320, 320}
	for restarts, seconds := range want {
		for _, critical := range []bool{false, true} {
			if wait, _ := policy.Backoff(restarts, critical); wait != seconds*time.Second {
				t.Errorf("after %d restarts: want %d s, found %v", restarts, seconds, wait)
			}
		}
	}
	if wait, tier := policy.Backoff(10, true); wait != 30*time.Minute || tier != "critical" {
		t.Errorf("found %v of tier %s", wait, tier)
	}
	if wait, tier := policy.Backoff(1000, false); wait != 4*time.Hour || tier != "given_up" {
		t.Errorf("found %v of tier %s", wait, tier)
	}
}

// Whatever is reported in whatever order: memory is bounded, a failure counts at
// most one restart, a repeated report changes nothing, and a loop ends only by its
// own event.
func TestDaemonFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d Daemon
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		falls := 0
		for range rapid.IntRange(1, 200).Draw(t, "reports") {
			at = at.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second)
			event := domain.Event(DaemonStatusChanged{DaemonName: "d", NodeID: "n", NewStatus: rapid.SampledFrom(DaemonStatuses).Draw(t, "status")})
			switch rapid.IntRange(0, 20).Draw(t, "verdict") {
			case 0:
				event = DaemonCrashLoopDetected{DaemonName: "d", NodeID: "n", RestartCount: 3, WindowSeconds: 300}
			case 1:
				event = DaemonStable{DaemonName: "d", NodeID: "n", RunningSeconds: 7200}
				falls = 0
				if d.Down {
					falls = 1 // it has not recovered from this one yet
				}
			}
			before := d
			d = d.Evolve(domain.Envelope{Event: event, Time: at})
			if report, is := event.(DaemonStatusChanged); is {
				if report.NewStatus.fallen() && report.NewStatus != before.Status || report.NewStatus == DaemonRestarting && before.Status.begins() {
					falls++
				}
				again := d.Evolve(domain.Envelope{Event: event, Time: at.Add(time.Hour)})
				if again.Streak != d.Streak || !again.Since.Equal(d.Since) || len(again.Restarts) != len(d.Restarts) {
					t.Fatalf("%s twice: %+v, then %+v", report.NewStatus, d, again)
				}
				if before.LoopSince != d.LoopSince {
					t.Fatalf("%s moved the loop from %v to %v", report.NewStatus, before.LoopSince, d.LoopSince)
				}
			}
			if len(d.Restarts) > MaxCrashLoopRestarts || d.Streak > falls || len(d.Restarts) > d.Streak {
				t.Fatalf("%d falls, found %+v", falls, d)
			}
			if !d.UpSince.IsZero() && d.Status != DaemonRunning && d.Status != DaemonDegraded {
				t.Fatalf("up since %v, and %s", d.UpSince, d.Status)
			}
		}
	})
}

// A copy completes once, whatever is said of it and when.
func TestSyncFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s training.Sync
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		var ended time.Time
		for range rapid.IntRange(1, 20).Draw(t, "reports") {
			at = at.Add(time.Second)
			event := rapid.SampledFrom([]domain.Event{
				training.DataSyncStarted{SyncID: "s", NodeID: "n", SyncType: training.SyncGames},
				training.SyncStalled{SyncID: "s", NodeID: "n", TimeoutSeconds: 600},
				training.DataSyncCompleted{SyncID: "s", NodeID: "n"},
				training.DataSyncFailed{SyncID: "s", NodeID: "n", Error: "x"},
			}).Draw(t, "event")
			before := s
			s = s.Evolve(domain.Envelope{Event: event, Time: at})
			if before.State == training.SyncCompleted && (s.State != training.SyncCompleted || !s.EndedAt.Equal(ended)) {
				t.Fatalf("%s moved a completed copy to %+v", event.EventType(), s)
			}
			ended = s.EndedAt
			if _, stalls := s.StallsAt(training.DefaultDatasyncPolicy()); stalls && s.State != training.SyncRunning {
				t.Fatalf("%+v would stall", s)
			}
		}
	})
}
