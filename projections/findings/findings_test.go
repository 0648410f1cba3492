package findings_test

import (
	"encoding/json"
	"fmt"
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
	"github.com/ringrift/rift/projections"
	electionview "github.com/ringrift/rift/projections/election"
	findingsview "github.com/ringrift/rift/projections/findings"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

// tale appends events, and queries the findings of the read models.
type tale struct {
	t         *testing.T
	models    *store.Memory
	catalog   *domain.Catalog
	at        time.Time
	position  domain.Position
	revisions map[domain.StreamID]domain.Revision
	source    string // who wrote what is told
	term      uint64 // that it carries
}

func tell(t *testing.T) *tale {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, domain.PolicyEvents(nil), work.Events(), nodes.Events(),
		election.Events(), gauntlet.Events(), admin.Events())
	if err != nil {
		t.Fatal(err)
	}
	models, err := store.NewMemory([]projections.Projection{
		workview.Projection(), findingsview.Projection(), electionview.Projection(),
	}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	return &tale{
		t: t, models: models, catalog: catalog, at: time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC),
		revisions: map[domain.StreamID]domain.Revision{},
	}
}

func (s *tale) after(d time.Duration) *tale {
	s.at = s.at.Add(d)
	return s
}

func (s *tale) say(stream domain.StreamID, events ...domain.Event) *tale {
	s.t.Helper()
	for _, event := range events {
		eventType, version, data, err := s.catalog.Encode(event)
		if err != nil {
			s.t.Fatal(err)
		}
		s.position++
		err = s.models.Apply(domain.Envelope{
			Position: s.position, Stream: stream, Revision: s.revisions[stream], ID: domain.DeriveID("tale", int(s.position)),
			Type: eventType, Version: version, Time: s.at, Data: data,
			Meta: domain.Meta{Correlation: fmt.Sprintf("run:%d", 100+s.position), Node: s.source, Term: s.term},
		})
		if err != nil {
			s.t.Fatal(err)
		}
		s.revisions[stream]++
	}
	return s
}

func (s *tale) findings(q findingsview.Query) []findingsview.FindingRow {
	s.t.Helper()
	var rows []findingsview.FindingRow
	if err := s.models.View(func(v projections.View) error {
		answer, err := findingsview.Findings(v, q)
		if err != nil {
			return err
		}
		for _, raw := range answer.Findings {
			var row findingsview.FindingRow
			if err := json.Unmarshal(raw, &row); err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// want compares the short forms of all findings with lines.
func (s *tale) want(lines ...string) {
	s.t.Helper()
	var got []string
	for _, row := range s.findings(findingsview.Query{}) {
		got = append(got, fmt.Sprintf("%s %s %d-%d ×%d %v: %s", row.Kind, row.Severity, row.Position, row.LastPosition, row.Count, row.Evidence, row.Summary))
	}
	if !slices.Equal(got, lines) {
		s.t.Errorf("want findings\n%s\nfound\n%s", strings.Join(lines, "\n"), strings.Join(got, "\n"))
	}
}

func spawned(id string) work.Spawned {
	return work.Spawned{TaskID: domain.TaskID(id), TaskType: "selfplay", Priority: 50, TimeoutSeconds: 600, MaxAttempts: 3}
}

func claimed(s *tale, id string) work.Claimed {
	return work.Claimed{TaskID: domain.TaskID(id), Lease: 1, NodeID: "n1", Attempt: 1, Deadline: s.at.Add(time.Minute)}
}

const (
	electionStream domain.StreamID = "election-main"
	adminStream    domain.StreamID = "admin-main"
)

func split(term uint64, leaders ...domain.NodeID) election.LeadersObserved {
	observed := election.LeadersObserved{Leaders: append([]domain.NodeID{}, leaders...), Observer: "mac"}
	if term > 0 {
		observed.Term = &term
	}
	return observed
}

func TestSplitBrainsAreNamed(t *testing.T) {
	s := tell(t)
	s.say(electionStream, split(0, "a"))
	s.say(electionStream, split(0, "b", "a"))
	second := split(7, "a", "b")
	second.Reports = []election.LeaderReport{{Leader: "a", Reporters: []string{"x", "y"}}, {Leader: "b", Reporters: []string{"z"}}}
	s.after(time.Millisecond).say(electionStream, second)
	s.after(70*time.Second).say(electionStream, split(7, "a", "b"), split(7, "a", "c"))
	s.after(20*time.Second).say(electionStream, election.SplitBrainHealed{Observer: "mac", DurationSeconds: 90})
	s.after(time.Hour).say(electionStream, split(0, "a", "b"))
	s.after(time.Hour).say(electionStream, split(0, "a", "b"), split(0, "c", "c"))
	s.want(
		"more_than_one_leader critical 2-6 ×3 [2 3 4 6]: a and b led at the same time for 1m30s, seen 3 times by mac, then healed (2026-02-01T12:00:00Z to 2026-02-01T12:01:30.001Z), first at run:102",
		"more_than_one_leader critical 5-6 ×1 [5 6]: a and c led at the same time for 20s, seen once by mac, then healed (2026-02-01T12:01:10.001Z to 2026-02-01T12:01:30.001Z), first at run:105",
		"more_than_one_leader critical 7-7 ×1 [7]: a and b led at the same time, seen once by mac, never seen to heal (2026-02-01T13:01:30.001Z), first at run:107",
		"more_than_one_leader critical 8-8 ×1 [8]: a and b led at the same time, seen once by mac, never seen to heal (2026-02-01T14:01:30.001Z), first at run:108",
	)
	first := s.findings(findingsview.Query{Kind: findingsview.FindingLeaders})[0]
	if !slices.Equal(first.Leaders, []domain.NodeID{"a", "b"}) || !first.Over || !slices.Equal(first.Sources, []string{"run:102", "run:103", "run:104", "run:106"}) {
		t.Errorf("want who, where and that it healed, found %+v", first)
	}
	if want := []string{"a led by the word of x, y", "b led by the word of z", "the observer's term was 7", "the observer measured 90s until it healed"}; !slices.Equal(first.Details, want) {
		t.Errorf("want the details %q, found %q", want, first.Details)
	}
}

func TestOneTermHasOneLeader(t *testing.T) {
	s := tell(t)
	s.say(electionStream,
		election.LeaderChanged{Leader: "a", Term: 1}, election.LeaderChanged{Leader: "", Previous: "a", Term: 1}, election.LeaderChanged{Leader: "b", Term: 2},
		election.LeaderChanged{Leader: "b", Term: 2}, election.LeaderChanged{Leader: "c", Term: 2}, election.LeaderChanged{Leader: "d", Term: 1})
	s.want(
		"more_than_one_leader critical 4-5 ×1 [4 5]: c became leader of term 2 at 5, though b had term 2 since 4",
		"more_than_one_leader critical 5-6 ×1 [5 6]: d became leader of term 1 at 6, though c had term 2 since 5",
	)
	calm := tell(t)
	calm.say(electionStream, election.LeaderChanged{Leader: "a", Term: 1}, election.LeaderChanged{Leader: "b", Previous: "a", Term: 2}, split(0, "a"), split(0, "b"), split(0))
	calm.want()
}

func TestHearsayFoldsPerNode(t *testing.T) {
	s := tell(t)
	s.say(electionStream, election.TermAdopted{Term: 5, Previous: 4, By: "mac"}, election.TermAdopted{Term: 9, Previous: 5, By: "mac"}, election.TermAdopted{Term: 9, Previous: 5, By: "box"})
	s.want(
		"term_by_hearsay critical 1-2 ×2 [1 2]: mac took over a higher term 2 times because another node mentioned it, the last one 9 after 5",
		"term_by_hearsay critical 3-3 ×1 [3]: box took over a higher term once because another node mentioned it, the last one 9 after 5",
	)
}

func TestItemsStuckLostInventedAndStarved(t *testing.T) {
	s := tell(t)
	blocked := spawned("child")
	blocked.DependsOn = []domain.TaskID{"parent"}
	elsewhere := spawned("kept")
	elsewhere.Origin = "added elsewhere"
	invented := spawned("ghostly")
	invented.Origin = election.OriginInvented + " by mac"
	s.say("task-parent", spawned("parent")).say("task-child", blocked).say("task-ghostly", invented).say("task-kept", elsewhere).say("task-old", spawned("old"))
	s.say("task-parent", work.Dead{TaskID: "parent", Attempts: 3, Reason: "spent"})
	s.say("task-kept", claimed(s, "kept"))
	s.say("task-old", work.Dropped{TaskID: "old", AgeSeconds: 7200, Reason: "stale"})
	s.say("task-nobody", claimed(s, "nobody"))
	s.after(59 * time.Second)
	s.say("task-late", spawned("late"))
	calm := []string{
		"item_stuck critical 2-6 ×1 [2 6]: selfplay child waits for parent, which is dead",
		"item_invented warning 3-3 ×1 [3]: 1 item invented by mac; first ghostly at 3",
		"item_lost critical 8-8 ×1 [8]: 1 item dropped from the queue unworked (stale); first old at 8",
		"item_lost critical 9-9 ×1 [9]: items were worked on that nobody had added, once; first nobody at 9",
	}
	s.want(calm...)
	s.after(time.Hour).say("task-late", work.Cancelled{TaskID: "late"})
	s.want(
		calm[0],
		calm[1],
		"item_starved warning 3-3 ×1 [3]: 1 selfplay item queued and never claimed, the oldest for 1h0m59s when the log ends",
		"item_stuck warning 7-7 ×1 [4 7]: selfplay kept was claimed by n1 and not heard of for 1h0m59s, up to where the log ends",
		calm[2],
		calm[3],
	)
	s.say("task-kept", work.Completed{TaskID: "kept", Lease: 1, NodeID: "n1"})
	for _, row := range s.findings(findingsview.Query{Kind: findingsview.FindingStuck}) {
		if row.Subject == "kept" {
			t.Errorf("want a completed item not stuck, found %+v", row)
		}
	}
}

// The number of items that are looked at is bounded for each type, so that the many items of
// one type do not hide those of another.
func TestStarvedItemsOfEachType(t *testing.T) {
	s := tell(t)
	for n := range 1_002 {
		id := fmt.Sprintf("item-%04d", n)
		s.say(domain.StreamID("task-"+id), spawned(id))
	}
	other := spawned("zz")
	other.TaskType = "training"
	s.say("task-zz", other)
	s.after(2*time.Hour).say("task-none", work.Cancelled{TaskID: "none"})
	var found []string
	for _, row := range s.findings(findingsview.Query{Kind: findingsview.FindingStarved}) {
		found = append(found, row.Summary)
	}
	want := []string{
		"at least 1000 selfplay items queued and never claimed, the oldest for at least 2h0m0s when the log ends",
		"1 training item queued and never claimed, the oldest for 2h0m0s when the log ends",
	}
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
}

func TestQueueOverItsLimit(t *testing.T) {
	s := tell(t)
	limits := work.DefaultPolicy()
	limits.RecoveryLimit, limits.SoftLimit, limits.HardLimit = 1, 2, 2
	s.say(domain.PolicyStream(domain.PolicyDefaultName), domain.PolicyChanged{Name: domain.PolicyDefaultName, Policy: domain.Policy{}.With(limits)})
	s.say("task-a", spawned("a")).say("task-b", spawned("b"))
	s.want()
	s.say("task-c", spawned("c")).say("task-d", spawned("d"))
	s.want("queue_over_limit critical 4-4 ×1 [4]: 3 items were pending, more than the hard limit of 2")
	s.say("task-e", work.Refused{TaskID: "e", Pending: 4, Limit: 2, Reason: "full"})
	s.want("queue_over_limit critical 4-6 ×2 [4 6]: the queue was full, seen 2 times; the last item refused was e with 4 pending of 2")
}

func TestWiringGhostsFlapsZombiesCursorsAndMeasurements(t *testing.T) {
	s := tell(t)
	s.say(adminStream, admin.EventUnhandled{Name: "READY", Reporter: "bus", Reason: "unknown"}, admin.EventUnhandled{Name: "READY", Reporter: "bus", Reason: "unknown"})
	s.say("task-a", spawned("a"), work.CompletionRejected{TaskID: "a", Verb: "complete", Reason: "never_leased", Lease: 3, NodeID: "n9", State: work.StateQueued})
	for i := range 6 {
		s.after(time.Minute)
		if i%2 == 0 {
			s.say("node-n2", nodes.HostOnline{NodeID: "n2"}).say("node-n3", nodes.HostOnline{NodeID: "n3"})
			s.after(10 * time.Minute)
		} else {
			s.say("node-n2", nodes.HostOffline{NodeID: "n2"})
		}
	}
	s.want(
		"dead_wiring warning 1-2 ×2 [1 2]: READY was published 2 times: unknown (reported by bus)",
		"ghost warning 4-4 ×1 [4]: n9 reported once on items it does not hold, last the complete of a under lease 3: never_leased",
	)
	for range 3 {
		s.after(time.Minute).say("node-n2", nodes.Unhealthy{NodeID: "n2", Reason: "disk"}, nodes.Recovered{NodeID: "n2"})
	}
	s.say("node-n4", nodes.ZombieDetected{NodeID: "n4", ZombieSeconds: 600, Jobs: 2})
	s.say(adminStream, gauntlet.PollerResumed{Poller: "p", NodeID: "n1", AfterID: 9}, gauntlet.PollerResumed{Poller: "p", NodeID: "n1", AfterID: 12}, gauntlet.PollerResumed{Poller: "p", NodeID: "n1", AfterID: 4})
	s.say("gauntlet-m", gauntlet.EvaluationDead{EvaluationID: "m", Model: "m.pth", Attempts: 3, Reason: "timeout"})
	var kinds []string
	for _, row := range s.findings(findingsview.Query{Severity: "warning"})[2:] {
		kinds = append(kinds, fmt.Sprintf("%s %d-%d ×%d %v", row.Kind, row.Position, row.LastPosition, row.Count, row.Evidence))
	}
	want := []string{
		"flapping_node 13-19 ×7 [13 14 15 16 17 18 19]",
		"zombie_processes 20-20 ×1 [20]",
		"cursor_went_back 23-23 ×1 [22 23]",
		"evaluation_lost 24-24 ×1 [24]",
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("want\n%s\nfound\n%s", strings.Join(want, "\n"), strings.Join(kinds, "\n"))
	}
}

func TestSilenceCountsOnlyWhileSomethingIsPending(t *testing.T) {
	s := tell(t)
	s.say("task-a", spawned("a"), claimed(s, "a"), work.Completed{TaskID: "a", Lease: 1, NodeID: "n1"})
	s.after(100*time.Hour).say("task-b", spawned("b"))
	s.after(23*time.Hour).say("node-n1", nodes.HostOnline{NodeID: "n1"})
	if found := s.findings(findingsview.Query{Kind: findingsview.FindingSilent}); len(found) != 0 {
		t.Fatalf("want no silence before anything was pending for a day, found %+v", found)
	}
	s.after(time.Hour).say("node-n1", nodes.HostOffline{NodeID: "n1"})
	s.after(30*time.Hour).say("task-b", claimed(s, "b"))
	found := s.findings(findingsview.Query{Kind: findingsview.FindingSilent})
	if len(found) != 1 || found[0].Position != 3 || found[0].LastPosition != 6 || !strings.HasPrefix(found[0].Summary, "nothing was claimed or finished for 24h0m0s behind 3 while 1 item was pending") {
		t.Fatalf("want one silence of a day behind 3, found %+v", found)
	}
}

func TestFindingsAreAskedForByKind(t *testing.T) {
	s := tell(t)
	err := s.models.View(func(v projections.View) error {
		_, err := findingsview.Findings(v, findingsview.Query{Kind: "nonsense", Severity: "x"})
		return err
	})
	if domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "more_than_one_leader") {
		t.Errorf("want the kinds named, found %v", err)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	s := tell(t)
	for range 200 {
		s.say(adminStream, admin.EventUnhandled{Name: "READY", Reporter: "bus", Reason: "unknown"})
	}
	found := s.findings(findingsview.Query{})
	if len(found) != 1 || found[0].Count != 200 || len(found[0].Evidence) != 32 || len(found[0].Sources) != 32 || found[0].LastPosition != 200 {
		t.Errorf("want 200 folded with 32 pieces of evidence, found %+v", found)
	}
}

func TestLeadersInTheOrderOfTime(t *testing.T) {
	s := tell(t)
	s.say(electionStream, election.LeaderChanged{Leader: "a", Term: 1})
	s.after(time.Minute).say(electionStream, election.LeaderChanged{Leader: "b", Previous: "a", Term: 2}, split(0, "a"))
	s.after(time.Minute).say(electionStream, split(2, "b", "a"), election.TermAdopted{Term: 5, Previous: 2, By: "mac"})
	s.after(time.Minute).say(electionStream, election.SplitBrainHealed{Observer: "mac"}, split(0, "b"), split(0))
	s.say(electionStream, election.VoterOnline{Voter: "v1", Alive: 2, Voters: 3, Quorum: 2}, election.VoterOffline{Voter: "v1", Alive: 1, Voters: 3, Quorum: 2})
	if err := s.models.View(func(v projections.View) error {
		answer, err := electionview.Leaders(v, electionview.LeadersQuery{})
		if err != nil {
			return err
		}
		var got []string
		for _, raw := range slices.Backward(answer.Reigns) {
			var row electionview.ReignRow
			if err := json.Unmarshal(raw, &row); err != nil {
				return err
			}
			until := "now"
			if row.Until != nil {
				until = row.Until.Format("15:04")
			}
			got = append(got, fmt.Sprintf("%s term %d elected %t by %q %s-%s %d-%d ×%d beside %v", row.Leader, row.Term, row.Elected, row.Observer,
				row.Since.Format("15:04"), until, row.Position, row.LastPosition, row.Observations, row.Overlaps))
		}
		want := []string{
			`a term 1 elected true by "" 12:00-12:01 1-2 ×1 beside []`,
			`b term 2 elected true by "" 12:01-now 2-2 ×1 beside []`,
			`a term 2 elected false by "mac" 12:01-12:03 3-6 ×2 beside [b]`,
			`b term 2 elected false by "mac" 12:02-12:03 4-6 ×1 beside [a]`,
			`b term 0 elected false by "mac" 12:03-12:03 7-8 ×1 beside []`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("want\n%s\nfound\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
		if got := string(answer.Terms[0]); got != `{"term":5,"leader":"","adopted":1,"alive":1,"voters":3,"quorum":2,"since":"2026-02-01T12:02:00Z","position":5}` {
			t.Errorf("want term 5 by hearsay, found %s", got)
		}
		if got := string(answer.Voters[0]); got != `{"voter":"v1","online":false,"since":"2026-02-01T12:03:00Z","changes":2,"position":10}` {
			t.Errorf("want v1 offline, found %s", got)
		}
		contested, err := electionview.Leaders(v, electionview.LeadersQuery{Overlapping: true, Limit: 1})
		if err != nil || len(contested.Reigns) != 1 || !strings.Contains(string(contested.Reigns[0]), `"leader":"b"`) {
			t.Errorf("want the newest that overlapped, found %s, %v", contested.Reigns, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
