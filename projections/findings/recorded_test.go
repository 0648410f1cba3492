package findings_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	findingsview "github.com/ringrift/rift/projections/findings"
)

// lines returns the summaries of the findings of some kinds.
func (s *tale) lines(kinds ...string) []string {
	var lines []string
	for _, row := range s.findings(findingsview.Query{}) {
		if len(kinds) == 0 || slices.Contains(kinds, row.Kind) {
			lines = append(lines, row.Kind+": "+row.Summary)
		}
	}
	return lines
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("want\n%s\nfound\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

func TestWorkAfterItsEnd(t *testing.T) {
	s := tell(t)
	done := work.Completed{TaskID: "a", Lease: 1, NodeID: "n1"}
	s.say("task-a", spawned("a"), claimed(s, "a"), done)
	s.want()
	s.say("task-a", done, work.Failed{TaskID: "a", Lease: 1, NodeID: "n2", Error: "x", Attempts: 1}, claimed(s, "a"))
	s.say("task-b", spawned("b"), work.Cancelled{TaskID: "b"}, work.Completed{TaskID: "b", Lease: 1, NodeID: "n2"})
	s.want(
		"item_after_end critical 3-6 ×1 [3 6]: work was claimed after it was done once; first a: done at 3 by n1, claimed at 6 by n1",
		"item_after_end critical 3-5 ×1 [3 5]: work was failed after it was done once; first a: done at 3 by n1, failed at 5 by n2",
		"item_done_twice critical 3-4 ×1 [3 4]: work was completed again once; first a: done at 3 by n1, completed at 4 by n1",
		"item_after_end critical 8-9 ×1 [8 9]: work was completed after it was cancelled once; first b: cancelled at 8, completed at 9 by n2",
	)
}

func TestTheQuorumIsFollowedByOneClock(t *testing.T) {
	s := tell(t)
	voters := func(alive, quorum int) {
		s.say(electionStream, election.VoterOffline{Voter: "v", Alive: alive, Voters: 5, Quorum: quorum})
	}
	voters(4, 3)
	s.want()
	voters(2, 3)
	s.after(time.Minute)
	voters(1, 3)
	s.after(time.Minute)
	voters(3, 3)
	s.after(time.Hour)
	voters(2, 3)
	s.after(-30 * time.Minute) // the clock goes back, which takes nothing away
	voters(2, 3)
	wantLines(t, s.lines(), "quorum_lost: fewer voters than the quorum of 3 answered 2 times, at worst 1 of 5, for 2m0s of 1h2m0s; it was never seen to come back")
	s.after(9*time.Hour).say(adminStream, admin.RecordingGap{From: s.at.Add(-8 * time.Hour), Until: s.at, After: "b"})
	s.after(time.Minute)
	voters(2, 3)
	wantLines(t, s.lines(findingsview.FindingQuorum), "quorum_lost: fewer voters than the quorum of 3 answered 3 times, at worst 1 of 5, for 2m0s of 1h2m0s; it was never seen to come back")
	s.say("cluster-main", admin.QuorumObserved{Alive: 2, Voters: 5, Quorum: 2, Observer: "box"})
	wantLines(t, s.lines(findingsview.FindingMajority), "quorum_no_majority: the quorum is 2 of 5 voters, no majority: two leaders can both have one")
}

// Five edges within ten minutes are a finding in whichever order a file has them. Five from
// two sources, or within an hour, are none.
func TestBurstsAreOfOneSourceByItsClock(t *testing.T) {
	edges := func(s *tale, source string, step time.Duration, n int) {
		for i := range n {
			s.source = source
			if i%2 == 0 {
				s.say("node-n", nodes.Unhealthy{NodeID: "n", Reason: "disk"})
			} else {
				s.say("node-n", nodes.Recovered{NodeID: "n"})
			}
			s.after(step)
		}
	}
	for name, test := range map[string]struct {
		tell func(*tale)
		want string
	}{
		"forwards":         {func(s *tale) { edges(s, "a", 2*time.Minute, 5) }, "n changed its health 5 times, at least 5 times in 10m0s"},
		"newest first":     {func(s *tale) { edges(s, "a", -2*time.Minute, 5) }, "n changed its health 5 times, at least 5 times in 10m0s"},
		"slow":             {func(s *tale) { edges(s, "a", 3*time.Minute, 9) }, ""},
		"slow and old":     {func(s *tale) { edges(s, "a", -3*time.Minute, 9) }, ""},
		"two sources":      {func(s *tale) { edges(s, "a", time.Second, 4); edges(s, "b", time.Second, 4) }, ""},
		"the clock is set": {func(s *tale) { edges(s, "a", time.Second, 4); s.after(-time.Hour); edges(s, "a", time.Second, 4) }, ""},
		"levels are no edges": {func(s *tale) {
			for range 9 {
				s.say("node-n", nodes.HostOnline{NodeID: "n"}).after(time.Second)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t)
			test.tell(s)
			got := strings.Join(s.lines(findingsview.FindingFlapping), "\n")
			if test.want == "" && got != "" || test.want != "" && got != "flapping_node: "+test.want {
				t.Errorf("want %q, found %q", test.want, got)
			}
		})
	}
}

func TestAttemptsThatFailInARowAreOneFinding(t *testing.T) {
	s := tell(t)
	for i, id := range []string{"a", "b", "c", "d"} {
		s.say(domain.TaskID(id).Stream(), spawned(id), claimed(s, id), work.Failed{TaskID: domain.TaskID(id), Lease: 1, NodeID: "n1", Error: "returncode=-9", Attempts: 1})
		s.after(20 * time.Second)
		if i == 1 {
			s.want()
		}
	}
	s.want("attempts_failing warning 3-12 ×4 [3 6 9 12]: 4 attempts failed on n1, within 1m0s, the last d: returncode=-9")
}

func TestOverlappingOutagesAreCounted(t *testing.T) {
	s := tell(t)
	disk, gpu := nodes.Unhealthy{NodeID: "n", Reason: "disk"}, nodes.Unhealthy{NodeID: "n", Reason: "gpu"}
	s.say("node-n", disk, disk, nodes.Recovered{NodeID: "n"}, gpu, nodes.Recovered{NodeID: "n"})
	wantLines(t, s.lines(findingsview.FindingOverlap))
	s.say("node-n", disk, gpu, nodes.Recovered{NodeID: "n"}, disk, nodes.Recovered{NodeID: "n"}, nodes.Recovered{NodeID: "n"}, disk)
	wantLines(t, s.lines(findingsview.FindingOverlap),
		"overlapping_outages: outages overlapped 2 times, last on n: disk while gpu; such an outage ends with the last recovery")
}

func TestWhatRecordingsSayBesides(t *testing.T) {
	s := tell(t)
	s.say(adminStream,
		admin.CriticalLogged{Logger: "app.http", Message: "gone after 4 failures", NodeID: "box"},
		admin.CriticalLogged{Logger: "app.http", Message: "gone after 12 failures", NodeID: "box"},
		admin.StandbyTookOver{NodeID: "box", Reason: "no answer"})
	s.say("node-box",
		nodes.BreakerOpened{NodeID: "box", Target: "pipeline", Failures: 3, RecoverySeconds: 45},
		nodes.BreakerOpened{NodeID: "box", Target: "pipeline"},
		nodes.BreakerClosed{NodeID: "box", Target: "pipeline", Reason: "recorded"})
	s.want(
		"critical_line critical 1-2 ×2 [1 2]: app.http logged on box 2 times: gone after 12 failures",
		"standby_took_over critical 3-3 ×1 [3]: box took over as coordinator once: no answer",
		"node_keeps_failing warning 4-5 ×2 [4 5]: a breaker opened for pipeline on box 2 times",
	)
	if row := s.findings(findingsview.Query{Kind: findingsview.FindingBreaker})[0]; !row.Over {
		t.Errorf("want the breaker closed, found %+v", row)
	}
}

// That something did not happen cannot be concluded from a log that does not record claims,
// nor from a time that no recording covers.
func TestWhatIsNotRecordedIsNoEvidence(t *testing.T) {
	s := tell(t)
	seen := spawned("seen")
	seen.Origin = work.OriginRecorded + " by box"
	s.say("task-seen", seen).say("task-q", spawned("q")).say("task-h", spawned("h"), claimed(s, "h"))
	s.after(3*time.Hour).say("node-n", nodes.HostOnline{NodeID: "n"})
	wantLines(t, s.lines(),
		"item_starved: 1 selfplay item queued and never claimed, the oldest for 3h0m0s when the log ends",
		"item_stuck: selfplay h is leased by n1 under lease 1, which ran out at 2026-02-01T12:01:00Z, 2h59m0s before the log ends")
	from := s.at
	s.after(50*time.Hour).say(adminStream, admin.RecordingGap{From: from, Until: s.at, Before: "monday", After: "tuesday"})
	wantLines(t, s.lines(), "recording_gap: nothing was recorded for 50h0m0s: monday ended at 2026-02-01T15:00:00Z, tuesday begins at 2026-02-03T17:00:00Z")
	s.after(30*time.Hour).say("node-n", nodes.HostOffline{NodeID: "n"})
	wantLines(t, s.lines()[1:], "recording_gap: nothing was recorded for 30h0m0s behind 6, from 2026-02-03T17:00:00Z to 2026-02-04T23:00:00Z")
}

// A file with the newest events first is not a clock that goes back.
func TestOrderOfAFileIsNotThatOfTime(t *testing.T) {
	s := tell(t)
	resumed := func(after uint64) gauntlet.PollerResumed {
		return gauntlet.PollerResumed{Poller: "p", NodeID: "n", AfterID: after}
	}
	s.say(adminStream, resumed(9)).say(electionStream, election.LeaderChanged{Leader: "a", Term: 5})
	s.after(-time.Hour).say(adminStream, resumed(4)).say(electionStream, election.LeaderChanged{Leader: "b", Term: 4})
	s.want()
	s.after(-time.Hour).say(adminStream, resumed(12))
	wantLines(t, s.lines(), "cursor_went_back: p on n went on from event 9, having been at 12: the shared table was replaced, events in it are lost or read again")
}

// The events that a salvage could not read are one critical finding, with their positions.
func TestLostEventsAreAFinding(t *testing.T) {
	s := tell(t)
	s.say("task-a", spawned("a"))
	s.say(admin.LostStream, admin.EventLost{Stream: "task-a"})
	wantLines(t, s.lines(), "events_damaged: 1 event of the log was damaged on disk and is lost: what it said is in no state that follows from the log")
	s.say(admin.LostStream, admin.EventLost{})
	found := s.findings(findingsview.Query{Kind: findingsview.FindingDamaged})
	if len(found) != 1 || found[0].Severity != findingsview.Critical || found[0].Position != 2 || found[0].LastPosition != 3 || found[0].Count != 2 || !strings.HasPrefix(found[0].Summary, "2 events of the log were damaged") {
		t.Errorf("want one critical finding at 2 to 3, found %+v", found)
	}
}
