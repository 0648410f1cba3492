package script

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/clustersim"
)

// A seed that breaks a rule is shrunk to a much shorter script, which breaks the same rule
// when it is run.
func TestAFailingSeedIsPlayedFromItsScript(t *testing.T) {
	for mutation, seed := range map[string]uint64{"gossip-leads": 1, "fast-clock": 1} {
		t.Run(mutation, func(t *testing.T) {
			t.Parallel()
			plan := clustersim.Plan{Nodes: 9, Items: 6, Span: 24 * time.Hour, Breaks: mutation}
			summary, err := clustersim.Seeds(t.Context(), plan, seed, 1, func(clustersim.Report) {})
			if err != nil {
				t.Fatal(err)
			}
			if len(summary.Failures) != 1 {
				t.Fatalf("want a seed that fails, found %+v", summary)
			}
			failure := summary.Failures[0]
			if drawn := len(plan.With(seed).Faults); failure.Faults > drawn/4 {
				t.Errorf("want at most a quarter of %d faults left, found\n%s", drawn, failure.Script)
			}
			env, err := New(Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := env.Close(); err != nil {
					t.Error(err)
				}
			}()
			var audited string
			datadriven.RunTestFromString(t, failure.Script, func(t *testing.T, d *datadriven.TestData) string {
				out := env.Run(t.Context(), d)
				if d.Cmd == "audit" {
					audited = out
				}
				return d.Expected
			})
			for _, text := range failure.Broken {
				if !strings.Contains(audited, "broken: "+text+"\n") {
					t.Errorf("want %q seen again, found\n%s\nby\n%s", text, audited, failure.Script)
				}
			}
		})
	}
}
