package states_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// What a step says that an event changes is the difference of the states before and
// after it.
func TestAStepIsTheDifferenceOfTwoStates(t *testing.T) {
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"work/retry_until_dead", "work/preemption", "nodes/silence_and_recovery", "training/the_loop", "elo/order", "handlers/*"} {
		files, err := filepath.Glob(filepath.Join("../../../testdata/scripts", name+".txt"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: want a script, found none (%v)", name, err)
		}
		for _, file := range files[:1] {
			t.Run(name, func(t *testing.T) {
				stepper, err := states.NewStepper(catalog)
				if err != nil {
					t.Fatal(err)
				}
				var sides [2]*states.Follower
				for i := range sides {
					if sides[i], err = states.New(catalog, nil); err != nil {
						t.Fatal(err)
					}
				}
				for e, err := range logOf(t, file).ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
					if err != nil {
						t.Fatal(err)
					}
					if err := sides[1].Apply(e); err != nil {
						t.Fatal(err)
					}
					if e.Position%5 == 3 { // and events in between that are not told
						if err := stepper.Skip(e); err != nil {
							t.Fatal(err)
						}
					} else {
						step, err := stepper.Apply(e)
						if err != nil {
							t.Fatal(err)
						}
						want, err := states.Diff(sides[0], sides[1])
						if err != nil {
							t.Fatal(err)
						}
						if a, b := tablesText(t, want), tablesText(t, step.Tables); a != b {
							t.Fatalf("%s\nwant\n%s\nfound\n%s", e, a, b)
						}
					}
					if err := sides[0].Apply(e); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func logOf(t *testing.T, file string) eventlog.Log {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	env, err := script.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	datadriven.RunTestFromString(t, string(text), func(t *testing.T, d *datadriven.TestData) string {
		d.Expected = env.Run(t.Context(), d)
		return d.Expected
	})
	return env.Log()
}

// tablesText is a difference without dead letters, which a handler does not write.
func tablesText(t *testing.T, tables []states.TableDiff) string {
	t.Helper()
	tables = slices.DeleteFunc(slices.Clone(tables), func(table states.TableDiff) bool { return table.Table == "admin.dead_letters" })
	text, err := json.MarshalIndent(tables, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A step has the commands of reactors, and the handlers that could not take the event;
// what these wrote before they failed is not there.
func TestStepsTellReactionsAndFailures(t *testing.T) {
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	stepper, err := states.NewStepper(catalog)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for i, event := range []struct{ stream, kind, data string }{
		{"task-t1", "TASK_SPAWNED", `{"task_id":"t1","task_type":"demo","priority":50,"timeout_seconds":60,"max_attempts":3}`},
		{"task-t1", "TASK_FAILED", `{"task_id":"t1","lease":1,"node_id":"gpu-1","error":"x","retryable":true,"attempts":1}`},
		{"task-t1", "TASK_FAILED", `{"task_id":"t1","lease":"one"}`},
	} {
		step, err := stepper.Apply(domain.Envelope{
			Position: domain.Position(i + 1), Revision: domain.Revision(i), Stream: domain.StreamID(event.stream), ID: domain.DeriveID("step", i), Type: event.kind, Version: 1,
			Time: time.Date(2026, 3, 6, 12, i, 0, 0, time.UTC), Data: []byte(event.data),
		})
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, c := range step.Commands {
			said = append(said, c.Reactor+" "+c.Command+" "+string(c.Body))
		}
		for _, f := range step.Failures {
			said = append(said, f.Handler)
		}
		items := slices.ContainsFunc(step.Tables, func(table states.TableDiff) bool { return table.Table == "work.items" })
		told = append(told, fmt.Sprintf("%d %t %s", step.Event.Position, items, strings.Join(said, "; ")))
	}
	want := []string{"1 true ", `2 true task_failed work.retry {"task_id":"t1"}`, "3 false decode"}
	if !slices.Equal(told, want) {
		t.Errorf("want\n%s\nfound\n%s", strings.Join(want, "\n"), strings.Join(told, "\n"))
	}
}

// A row that several handlers write is told as it was before the first and after the
// last of them. What a handler or a reactor that fails has written or said is not there.
func TestStepsOfHandlersThatMeet(t *testing.T) {
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	table := projections.Table[struct {
		N int `json:"n"`
	}]{Name: "test.rows"}
	adds := func(n int, key string, failure error) projections.Handler {
		return projections.On(func(tx projections.Tx, _ domain.Envelope, _ nodes.HostOnline) error {
			row, _, err := table.Get(tx, key)
			if err != nil {
				return err
			}
			row.N += n
			return errors.Join(table.Put(tx, key, row), failure)
		})
	}
	broken := errors.New("broken")
	stepper, err := states.StepperOf(catalog, []projections.Projection{{
		Name: "test", Version: 1, About: "a test", Tables: []string{table.Name},
		Handlers: []projections.Handler{adds(1, "a", nil).Named("one"), adds(10, "a", nil).Named("two"), adds(100, "a", broken).Named("three"), adds(1, "b", broken).Named("four")},
	}}, []projections.Reactor{
		projections.When("fifth", "fails", nil, func(projections.View, domain.Envelope, nodes.HostOnline) ([]domain.Command, error) {
			return nil, broken
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`a null {"n":11}`, `a {"n":11} {"n":22}`} {
		step, err := stepper.Apply(domain.Envelope{
			Position: domain.Position(i + 1), Stream: "node-a", ID: domain.DeriveID("meet", i), Type: nodes.HostOnline{}.EventType(), Version: 1, Data: []byte(`{"node_id":"a"}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, one := range step.Tables {
			for _, row := range one.Rows {
				found = append(found, fmt.Sprintf("%s %s %s", row.Key, cmp.Or(string(row.A), "null"), row.B))
			}
		}
		var failed []string
		for _, f := range step.Failures {
			failed = append(failed, f.Handler+" "+f.Error)
		}
		if strings.Join(found, "; ") != want || strings.Join(failed, "; ") != "three#3 broken; four#4 broken; fifth broken" {
			t.Errorf("want %s, found %q and %q", want, found, failed)
		}
	}
}
