package election_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/swim"
)

func TestLeadershipAndMeasurementsNameTheirFaults(t *testing.T) {
	catalog, err := domain.NewCatalog(nil, election.Events(), swim.Events(), gauntlet.Events())
	if err != nil {
		t.Fatal(err)
	}
	swim := swim.MemberChanged{Member: "10.0.0.1:7947", From: swim.SwimAlive, To: swim.SwimSuspect, Observer: "a"}
	asleep, nowhere := swim, swim
	asleep.To, nowhere.Member = "asleep", ""
	for _, test := range []struct {
		event domain.Event
		want  string // the fields with faults; empty: none
	}{
		{election.LeaderChanged{Leader: "a", Term: 1}, ""},
		{election.LeaderChanged{Term: 1}, ""},
		{election.LeaderChanged{Leader: "a b"}, "leader term"},
		{election.LeadersObserved{Leaders: []domain.NodeID{}, Observer: "a"}, ""},
		{election.LeadersObserved{Leaders: []domain.NodeID{"b", ""}}, "observer leaders[1]"},
		{election.LeadersObserved{Observer: "a"}, "leaders"},
		{election.SplitBrainHealed{Observer: "a", DurationSeconds: 3}, ""},
		{election.SplitBrainHealed{}, "observer"},
		{election.TermAdopted{Term: 2, Previous: 1, By: "a"}, ""},
		{election.TermAdopted{Term: 2, Previous: 2}, "by term"},
		{election.VoterOnline{Voter: "v", Alive: 1, Voters: 3, Quorum: 2}, ""},
		{election.VoterOnline{Alive: 4, Voters: 3, Quorum: 0}, "voter alive quorum"},
		{election.VoterOffline{Voter: "v", Alive: -1, Voters: 0, Quorum: 1}, "voters alive quorum"},
		{swim, ""},
		{asleep, "to"},
		{nowhere, "member"},
		{gauntlet.EvaluationQueued{EvaluationID: "m", Model: "m.pth"}, ""},
		{gauntlet.EvaluationQueued{}, "evaluation_id model"},
		{gauntlet.EvaluationClaimed{EvaluationID: "m", Model: "m.pth"}, "node_id"},
		{gauntlet.EvaluationReset{EvaluationID: "a/b"}, "evaluation_id"},
		{gauntlet.EvaluationDead{EvaluationID: "m", Attempts: -1}, "model attempts"},
		{gauntlet.PollerResumed{Poller: "p", NodeID: "n", AfterID: 0}, ""},
		{gauntlet.PollerResumed{}, "poller node_id"},
	} {
		t.Run(fmt.Sprintf("%s/%s", test.event.EventType(), test.want), func(t *testing.T) {
			validator, can := test.event.(domain.Validator)
			if !can {
				t.Fatal("want an event that validates itself")
			}
			var fields []string
			for _, fault := range validator.Validate() {
				fields = append(fields, fault.Field)
				if fault.Reason == "" {
					t.Errorf("want a reason for %s", fault.Field)
				}
			}
			if got := strings.Join(fields, " "); got != test.want {
				t.Errorf("want faults in %q, found %q", test.want, got)
			}
			eventType, version, data, err := catalog.Encode(test.event)
			if (err == nil) != (test.want == "") {
				t.Fatalf("want the catalogue to agree, found %v", err)
			}
			if err != nil {
				return
			}
			again, err := catalog.Decode(eventType, version, data)
			if err != nil || fmt.Sprint(again) != fmt.Sprint(test.event) {
				t.Errorf("want %v read back, found %v, %v", test.event, again, err)
			}
		})
	}
}
