package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
)

var noon = time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)

// incidentLog makes events that are written as "minute stream TYPE data".
func incidentLog(lines ...string) []domain.Envelope {
	var events []domain.Envelope
	revisions := map[string]domain.Revision{}
	for i, line := range lines {
		parts := strings.SplitN(line, " ", 4)
		minute, _ := time.ParseDuration(parts[0])
		events = append(events, domain.Envelope{
			Position: domain.Position(i + 1), Stream: domain.StreamID(parts[1]), ID: domain.DeriveID("incident", i), Type: parts[2], Version: 1,
			Revision: revisions[parts[1]], Time: noon.Add(minute), Data: []byte(parts[3]),
		})
		revisions[parts[1]]++
	}
	return events
}

var twoLeaders = incidentLog(
	`-60m node-a HOST_ONLINE {"node_id":"a"}`,
	`-50m election-main TERM_ADOPTED {"term":3,"previous":2,"by":"a"}`,
	`-9m election-main LEADERS_OBSERVED {"leaders":["a"],"observer":"a","reason":"x"}`,
	`-8m node-b HOST_ONLINE {"node_id":"b"}`,
	`-7m node-c HOST_ONLINE {"node_id":"c"}`,
	`-6m node-b HOST_OFFLINE {"node_id":"b"}`,
	`0m election-main LEADERS_OBSERVED {"leaders":["a","b"],"observer":"a","reason":"x"}`,
	`1m task-t TASK_SPAWNED {"task_id":"t","task_type":"demo","priority":50,"timeout_seconds":60,"max_attempts":3}`,
	`2m election-main LEADERS_OBSERVED {"leaders":["b","a"],"observer":"a","reason":"again"}`,
	`3m election-main LEADERS_OBSERVED {"leaders":["b"],"observer":"a","reason":"x"}`,
	`4m task-t TASK_CLAIMED {"task_id":"t","lease":1,"node_id":"a","deadline":"2026-03-06T13:00:00Z","attempt":1}`,
	`5m task-t TASK_COMPLETED {"task_id":"t","lease":1,"node_id":"a"}`,
	`6m task-t TASK_COMPLETED {"task_id":"t","lease":1,"node_id":"b"}`,
	`40m node-c HOST_OFFLINE {"node_id":"c"}`,
)

func incidentOf(t *testing.T, events []domain.Envelope, at time.Time, span time.Duration) *report.Incident {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	fold, err := report.NewIncident(catalog, at, span)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if more, err := fold.Apply(e); err != nil || !more {
			t.Fatalf("position %d: more %t, %v", e.Position, more, err)
		}
	}
	return fold
}

// A report tells what its window shows, with what was before it folded and what is behind
// it left out.
func TestIncident(t *testing.T) {
	told, err := incidentOf(t, twoLeaders, noon, 10*time.Minute).Report()
	if err != nil {
		t.Fatal(err)
	}
	var found, counts, led, happened []string
	for _, one := range told.Findings {
		by := "before"
		if one.By != nil {
			by = fmt.Sprint(one.By.Type, " ", one.By.Position)
		}
		found = append(found, one.Kind+" "+by)
	}
	for _, one := range told.Counts {
		if one.Most > 0 {
			counts = append(counts, fmt.Sprint(one.Name, " ", one.Before, one.Least, one.Most, one.After))
		}
	}
	for _, one := range told.Leaders {
		until := "open"
		if one.Until != nil {
			until = one.Until.Sub(noon).String()
		}
		led = append(led, fmt.Sprint(one.Leader, " ", one.Since.Sub(noon), " ", until))
	}
	for _, one := range told.Timeline {
		happened = append(happened, fmt.Sprint(one.Position, "-", one.Last, " ", one.Type, " ", one.Count, one.Subjects))
	}
	for _, check := range []struct{ name, want, found string }{
		{"findings", "more_than_one_leader LEADERS_OBSERVED 7, item_done_twice TASK_COMPLETED 12", strings.Join(found, ", ")},
		{"counts", "findings.critical 1 1 3 3, len(leaders) 0 0 2 1, term 3 3 3 3, nodes.online 1 1 3 2, nodes.down 0 0 1 1, work.pending 0 0 1 0, work.held 0 0 1 0, work.done 0 0 1 1", strings.Join(counts, ", ")},
		{"leaders", "a -9m0s 3m0s, b 0s open", strings.Join(led, ", ")},
		{"timeline", "3-3 LEADERS_OBSERVED 1 [], 4-5 HOST_ONLINE 2 [b c], 6-6 HOST_OFFLINE 1 [], 7-9 LEADERS_OBSERVED 2 [], 10-10 LEADERS_OBSERVED 1 [], 12-12 TASK_COMPLETED 1 [], 13-13 TASK_COMPLETED 1 []", strings.Join(happened, ", ")},
		{"log", "3 13", fmt.Sprint(told.Log.First, " ", told.Log.Last)},
	} {
		if check.want != check.found {
			t.Errorf("%s: want\n%s\nfound\n%s", check.name, check.want, check.found)
		}
	}
	if incidentOf(t, twoLeaders, noon.Add(20*time.Minute), time.Minute).Empty() != true {
		t.Error("want nothing in a minute in which nothing happened")
	}
}

// A finding that lasts into the window is there with the first of its events that is.
func TestIncidentFindingsFromBefore(t *testing.T) {
	told, err := incidentOf(t, twoLeaders, noon.Add(3*time.Minute), time.Minute).Report()
	if err != nil || len(told.Findings) != 1 {
		t.Fatalf("want one finding, found %+v, %v", told.Findings, err)
	}
	if one := told.Findings[0]; one.Kind != "more_than_one_leader" || one.Position != 7 || one.By == nil || one.By.Position != 9 {
		t.Errorf("want two leaders from 7 on, shown by 9, found %+v", one)
	}
}

// Who led before the window is not told of.
func TestIncidentLeadersOfTheWindow(t *testing.T) {
	told, err := incidentOf(t, twoLeaders, noon.Add(6*time.Minute), time.Minute).Report()
	if err != nil || len(told.Leaders) != 1 || told.Leaders[0].Leader != "b" {
		t.Errorf("want b alone, found %+v, %v", told.Leaders, err)
	}
}

// The worst finding is one that is critical, of the worst kind, and with most evidence.
func TestWorstFinding(t *testing.T) {
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	of := func(events []domain.Envelope) (worst *findingsview.FindingRow) {
		models, err := states.New(catalog, []string{"work", "findings"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if err := models.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := models.View(func(v projections.View) error {
			worst, err = report.WorstFinding(v)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return worst
	}
	if worst := of(twoLeaders); worst == nil || worst.Kind != "more_than_one_leader" || worst.Position != 7 {
		t.Errorf("want the two leaders, found %+v", worst)
	}
	more := incidentLog(
		`0m election-main LEADERS_OBSERVED {"leaders":["a","b"],"observer":"a","reason":"x"}`, `1m election-main SPLIT_BRAIN_HEALED {"observer":"a"}`,
		`9h election-main LEADERS_OBSERVED {"leaders":["a","c"],"observer":"a","reason":"x"}`, `9h1m election-main LEADERS_OBSERVED {"leaders":["a","c"],"observer":"a","reason":"x"}`,
	)
	if worst := of(more); worst == nil || worst.Position != 3 {
		t.Errorf("want the one with most evidence, found %+v", worst)
	}
	if worst := of(twoLeaders[:1]); worst != nil {
		t.Errorf("want none, found %+v", worst)
	}
}

// A timeline is cut to the events that matter most and, of these, to the nearest.
func TestIncidentTimelineIsBounded(t *testing.T) {
	lines := []string{}
	for i := range 300 {
		node := fmt.Sprintf("n%d", i)
		lines = append(lines,
			fmt.Sprintf(`%dm node-%s HOST_ONLINE {"node_id":"%s"}`, i-150, node, node),
			fmt.Sprintf(`%dm node-%s NODE_UNHEALTHY {"node_id":"%s","reason":"x"}`, i-150, node, node))
	}
	lines = append(lines, `151m election-main TERM_ADOPTED {"term":3,"previous":2,"by":"a"}`)
	told, err := incidentOf(t, incidentLog(lines...), noon, 200*time.Minute).Report()
	if err != nil {
		t.Fatal(err)
	}
	if len(told.Timeline) != 200 || told.LeftOut != 401 || told.Timeline[199].Type != "TERM_ADOPTED" || told.Timeline[0].Type != "NODE_UNHEALTHY" || told.Timeline[0].Time.Before(noon.Add(-101*time.Minute)) {
		t.Errorf("want the term and the nearest of what matters, found %d and %d left out, from %+v to %+v", len(told.Timeline), told.LeftOut, told.Timeline[0], told.Timeline[len(told.Timeline)-1])
	}
	few, left := report.Nearest(told.Timeline, noon, 3, 5)
	if positions := []domain.Position{few[0].Position, few[1].Position, few[2].Position}; left != 5+197 || !slices.Equal(positions, []domain.Position{300, 302, 601}) {
		t.Errorf("want the nearest two and the term, found %v, %d left out", positions, left)
	}
}

// Of the periods in which somebody led, the nearest are kept, in their order.
func TestNearestLeaders(t *testing.T) {
	until := func(minutes int) *time.Time { at := noon.Add(time.Duration(minutes) * time.Minute); return &at }
	all := []report.IncidentLeader{
		{Leader: "far", Since: noon.Add(-time.Hour), Until: until(-50), Position: 1},
		{Leader: "covers", Since: noon.Add(-40 * time.Minute), Until: until(10), Position: 2},
		{Leader: "before", Since: noon.Add(-20 * time.Minute), Until: until(-1), Position: 3},
		{Leader: "open", Since: noon.Add(-5 * time.Minute), Position: 4},
		{Leader: "later", Since: noon.Add(30 * time.Minute), Position: 5},
	}
	var names []string
	for _, one := range report.NearestLeaders(all, noon, 3) {
		names = append(names, string(one.Leader))
	}
	if !slices.Equal(names, []string{"covers", "before", "open"}) || len(report.NearestLeaders(all, noon, 9)) != 5 {
		t.Errorf("found %v", names)
	}
}
