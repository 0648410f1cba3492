package domain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
)

func TestLeadershipAndMeasurementsNameTheirFaults(t *testing.T) {
	catalog, err := domain.NewCatalog(nil, domain.ElectionEvents(), domain.SwimEvents(), domain.GauntletEvents())
	if err != nil {
		t.Fatal(err)
	}
	swim := domain.SwimMemberChanged{Member: "10.0.0.1:7947", From: domain.SwimAlive, To: domain.SwimSuspect, Observer: "a"}
	asleep, nowhere := swim, swim
	asleep.To, nowhere.Member = "asleep", ""
	for _, test := range []struct {
		event domain.Event
		want  string // the fields at fault, empty for none
	}{
		{domain.LeaderChanged{Leader: "a", Term: 1}, ""},
		{domain.LeaderChanged{Term: 1}, ""},
		{domain.LeaderChanged{Leader: "a b"}, "leader term"},
		{domain.LeadersObserved{Leaders: []domain.NodeID{}, Observer: "a"}, ""},
		{domain.LeadersObserved{Leaders: []domain.NodeID{"b", ""}}, "observer leaders[1]"},
		{domain.LeadersObserved{Observer: "a"}, "leaders"},
		{domain.SplitBrainHealed{Observer: "a", DurationSeconds: 3}, ""},
		{domain.SplitBrainHealed{}, "observer"},
		{domain.TermAdopted{Term: 2, Previous: 1, By: "a"}, ""},
		{domain.TermAdopted{Term: 2, Previous: 2}, "by term"},
		{domain.VoterOnline{Voter: "v", Alive: 1, Voters: 3, Quorum: 2}, ""},
		{domain.VoterOnline{Alive: 4, Voters: 3, Quorum: 0}, "voter alive quorum"},
		{domain.VoterOffline{Voter: "v", Alive: -1, Voters: 0, Quorum: 1}, "voters alive quorum"},
		{swim, ""},
		{asleep, "to"},
		{nowhere, "member"},
		{domain.EvaluationQueued{EvaluationID: "m", Model: "m.pth"}, ""},
		{domain.EvaluationQueued{}, "evaluation_id model"},
		{domain.EvaluationClaimed{EvaluationID: "m", Model: "m.pth"}, "node_id"},
		{domain.EvaluationReset{EvaluationID: "a/b"}, "evaluation_id"},
		{domain.EvaluationDead{EvaluationID: "m", Attempts: -1}, "model attempts"},
		{domain.PollerResumed{Poller: "p", NodeID: "n", AfterID: 0}, ""},
		{domain.PollerResumed{}, "poller node_id"},
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
