package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// What claims took is remembered for as long as anybody tries again, and no
// longer: the rows of a day of claims are those of its last hour.
func TestClaimsAreForgottenWhenNobodyTriesAgain(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n := stepped(t, eventlog.NewMemory(), &now)
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	claim := func(name string) domain.TaskID {
		t.Helper()
		result := do(t, n, name, commands.ClaimTasks{NodeID: "gpu-1", Limit: 1})
		claimed, ok := result.Answer.(commands.TasksClaimed)
		if !ok || len(claimed.Items) != 1 {
			t.Fatalf("claim %s: want an item, found %+v", name, result.Answer)
		}
		return claimed.Items[0].TaskID
	}
	rows := func() (claims, ages int) {
		t.Helper()
		if err := n.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.store.View(func(v projections.View) error {
			for table, count := range map[string]*int{"work.claims": &claims, "work.claim_ages": &ages} {
				for _, err := range v.Scan(table, projections.Span{}) {
					if err != nil {
						return err
					}
					*count++
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return claims, ages
	}
	const every = 30 * time.Second
	most := 0
	for i := range 400 { // more than three hours
		do(t, n, fmt.Sprintf("add%d", i), commands.AddTask{TaskID: domain.TaskID(fmt.Sprintf("t%d", i)), TaskType: "selfplay"})
		name := fmt.Sprintf("claim%d", i)
		took := claim(name)
		if again := claim(name); again != took {
			t.Fatalf("%s took %s, and its repetition %s", name, took, again)
		}
		if back := int(projections.ClaimMemory/every) - 1; i >= back {
			old := i - back
			if again, want := claim(fmt.Sprintf("claim%d", old)), domain.TaskID(fmt.Sprintf("t%d", old)); again != want {
				t.Fatalf("claim%d took %s, and its repetition within the hour %s", old, want, again)
			}
		}
		do(t, n, fmt.Sprintf("cancel%d", i), commands.CancelTask{TaskID: took, Reason: "done with"})
		now = now.Add(every)
		if i%50 == 49 {
			claims, ages := rows()
			most = max(most, claims)
			if ages != claims+1 {
				t.Errorf("after %d claims: want an age for each of %d, found %d", i+1, claims, ages)
			}
		}
	}
	if window := int(projections.ClaimMemory / every); most < window/2 || most > window+64 {
		t.Errorf("want the claims of the last hour, some %d, found %d", window, most)
	}
}
