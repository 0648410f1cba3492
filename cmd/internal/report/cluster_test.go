package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

// anHour has an election, a second leader reported by an observer, a loss of the majority,
// and the next election.
var anHour = []told{
	{0, "LEADER_CHANGED", `{"leader":"a","term":1}`},
	{5, "SYNC_STALLED", `{}`},
	{10, "VOTER_OFFLINE", `{"voter":"b","alive":2,"voters":3,"quorum":2}`},
	{12, "VOTER_OFFLINE", `{"voter":"c","alive":1,"voters":3,"quorum":1}`},
	{20, "VOTER_ONLINE", `{"voter":"c","alive":2,"voters":3,"quorum":2}`},
	{25, "LEADERS_OBSERVED", `{"leaders":["b"],"observer":"mac","term":9}`},
	{27, "TERM_ADOPTED", `{"term":9,"previous":1,"by":"b"}`},
	{30, "LEADERS_OBSERVED", `{"leaders":["a"],"observer":"mac"}`},
	{40, "LEADER_CHANGED", `{"leader":"b","previous":"a","term":10}`},
	{45, "LEADERS_OBSERVED", `{"leaders":["b"],"observer":"mac"}`},
	{60, "VOTER_OFFLINE", `{"voter":"c","alive":2,"voters":3,"quorum":2}`},
}

func foldCluster(t *testing.T, window Window, events []told) *Fold {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewCluster(catalog, window)
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range events {
		e := domain.Envelope{
			Position: domain.Position(i + 1), Stream: "election-main", ID: domain.DeriveID("cluster", i), Type: one.kind, Version: 1,
			Time: began.Add(time.Duration(one.minute) * time.Minute), Data: []byte(one.data), Meta: domain.Meta{Node: "a"},
		}
		if _, err := f.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestWhoLed(t *testing.T) {
	c := foldCluster(t, Window{}, anHour).Cluster()
	var lines []string
	for _, r := range c.Reigns {
		lines = append(lines, fmt.Sprintf("%s %d %q %t %v", r.Leader, r.Term, r.By, r.Until == nil, r.Lasted/60))
	}
	if got, want := strings.Join(lines, "\n"), "a 1 \"\" false 40\nb 9 \"mac\" false 5\na 0 \"mac\" false 15\nb 10 \"\" true 20\nb 0 \"mac\" true 15"; got != want {
		t.Errorf("found\n%s\nwant\n%s", got, want)
	}
	lines = nil
	for _, d := range c.Disagreements {
		lines = append(lines, fmt.Sprintf("%s %v %v", d.Since.Format("15:04"), d.Lasted/60, d.Leaders))
	}
	if got, want := strings.Join(lines, "\n"), "12:25 5 [{a [the log]} {b [mac]}]\n12:40 5 [{a [mac]} {b [the log]}]"; got != want {
		t.Errorf("found\n%s\nwant\n%s", got, want)
	}
	if c.Disputed != 600 || c.Hearsay != 1 || c.Term != 10 || !c.NoMajority {
		t.Errorf("found %+v", c)
	}
	if len(c.Losses) != 1 || c.Losses[0].Lasted != 480 || c.Losses[0].Least != 1 || c.Losses[0].Majority != 2 || c.Losses[0].Reckoned != 1 || fmt.Sprint(c.Losses[0].Missing) != "[b c]" {
		t.Errorf("found %+v", c.Losses)
	}
	if len(c.Failovers) != 1 || c.Failovers[0].From != "a" || c.Failovers[0].To != "b" || c.Failovers[0].Gap == nil || *c.Failovers[0].Gap != 600 {
		t.Errorf("found %+v", c.Failovers)
	}
	if len(c.Voters) != 2 || c.Voters[0].Voter != "c" || c.Voters[0].Changes != 3 || c.Voters[0].Offline != 480 || c.Voters[1].Offline != 3000 {
		t.Errorf("found %+v", c.Voters)
	}
	var drawn, again bytes.Buffer
	if err := c.SVG(&drawn); err != nil {
		t.Fatal(err)
	}
	if err := foldCluster(t, Window{}, anHour).Cluster().SVG(&again); err != nil || !bytes.Equal(drawn.Bytes(), again.Bytes()) {
		t.Errorf("want the same drawing twice, found %v", err)
	}
	for _, want := range []string{"Who led when", "several led", "no majority", "elected on this log"} {
		if !strings.Contains(drawn.String(), want) {
			t.Errorf("want %q in the drawing", want)
		}
	}
}

// Events before the window are folded and not counted.
func TestWhoLedInAWindow(t *testing.T) {
	c := foldCluster(t, Window{FromTime: began.Add(28 * time.Minute), ToTime: began.Add(50 * time.Minute)}, anHour).Cluster()
	if c.Disputed != 420 || len(c.Losses) != 0 || c.Hearsay != 0 || len(c.Failovers) != 1 {
		t.Errorf("found %+v", c)
	}
	// Times are finite for any prefix of a log, and for a clock that runs backwards.
	for cut := range anHour {
		strange := append([]told{{90, "LEADERS_OBSERVED", `{"leaders":["x","y"],"observer":"far"}`}}, anHour[:cut+1]...)
		c := foldCluster(t, Window{}, strange).Cluster()
		for _, r := range c.Reigns {
			if r.Lasted < 0 || r.Lasted > 6*3600 {
				t.Errorf("cut %d: found %+v", cut, r)
			}
		}
		var drawn bytes.Buffer
		if err := c.SVG(&drawn); err != nil {
			t.Error(err)
		}
	}
}
