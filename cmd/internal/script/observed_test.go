package script

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// The listings name who emits an event and which tables a reactor reads, as seen in the
// scripts. A pair that a script shows and the listings lack is a failure; `make golden`
// removes a pair that no script shows any more. The race detector tries one script of ten.
func TestObservations(t *testing.T) {
	emits, reads := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, path := range race.Some(scriptFiles(t), 10) {
		env, err := New(Options{
			done: func(c domain.Command, result commands.Result) {
				for _, e := range result.Events {
					put(emits, e.Type, c.CommandType())
				}
			},
			read: func(reactor, table string) { put(reads, reactor, table) },
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		datadriven.RunTestFromString(t, string(text), func(t *testing.T, d *datadriven.TestData) string {
			env.Run(t.Context(), d)
			return d.Expected
		})
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	for _, event := range slices.Sorted(maps.Keys(emits)) {
		delete(emits[event], commands.AppendEvent{}.CommandType())
		if len(emits[event]) > 0 {
			b.WriteString("emits " + event + " " + strings.Join(slices.Sorted(maps.Keys(emits[event])), " ") + "\n")
		}
	}
	for _, reactor := range slices.Sorted(maps.Keys(reads)) {
		b.WriteString("reads " + reactor + " " + strings.Join(slices.Sorted(maps.Keys(reads[reactor])), " ") + "\n")
	}
	if flag.Lookup("rewrite").Value.String() == "true" {
		if err := os.WriteFile("../wiring/observed.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	known := wiring.Observations()
	for event, commands := range emits {
		for command := range commands {
			if !slices.Contains(known.Emits[event], command) {
				t.Errorf("%s leads to %s, and the listings do not say so: run make golden", command, event)
			}
		}
	}
	for reactor, tables := range reads {
		for table := range tables {
			if !slices.Contains(known.Reads[reactor], table) {
				t.Errorf("%s reads %s, and the listings do not say so: run make golden", reactor, table)
			}
		}
	}
}

func put(sets map[string]map[string]bool, key, value string) {
	if sets[key] == nil {
		sets[key] = map[string]bool{}
	}
	sets[key][value] = true
}
