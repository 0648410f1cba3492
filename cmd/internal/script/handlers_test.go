package script

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// storyParts are the parts that the script of each documented handler must have, and what
// each part must show.
var storyParts = []struct {
	heading string
	shows   []string // one of these
}{
	{"Plain", []string{"@", "\"events\":[{"}},
	{"Duplicate", []string{"\"events\":[]", "\"duplicate\":true", "again ", "\ndrain\n----\nok\n"}},
	{"Out of order", []string{"----\n"}},
	{"Legacy payload", []string{"\"translated\":[", "\"translated\": [", "\n403\n"}},
	{"Bad payload", []string{"\n400\n"}},
	{"Crash and replay", []string{"\ncrash "}},
}

// Each of the nineteen handlers has a script of six parts, in which its event happens and
// its commands are issued.
func TestEveryDocumentedHandlerHasItsStory(t *testing.T) {
	for _, documented := range wiring.Nineteen() {
		t.Run(documented.Name, func(t *testing.T) {
			path := fmt.Sprintf("%s/handlers/%02d_%s.txt", scripts, documented.Number, documented.Name)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, rest, found := strings.Cut(string(text), "\n# "+storyParts[0].heading+".\n")
			for i, part := range storyParts {
				if !found {
					t.Fatalf("%s: want the part %q", path, part.heading)
				}
				told := "\n" + rest
				if i+1 < len(storyParts) {
					told, rest, found = strings.Cut(told, "\n# "+storyParts[i+1].heading+".\n")
				}
				if !slices.ContainsFunc(part.shows, func(shown string) bool { return strings.Contains(told, shown) }) {
					t.Errorf("%s: want one of %q in the part %q, found\n%s", path, part.shows, part.heading, told)
				}
				if last := strings.LastIndex(told, "\ncrash "); part.heading == "Crash and replay" && strings.Count(told[last:], "----\n") < 3 {
					t.Errorf("%s: want what follows on the crash, and the read model", path)
				}
			}
			ran := map[string]bool{}
			env, err := New(Options{done: func(c domain.Command, _ commands.Result) { ran[c.CommandType()] = true }})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = env.Close() }()
			datadriven.RunTestFromString(t, string(text), func(t *testing.T, d *datadriven.TestData) string {
				env.Run(t.Context(), d)
				return d.Expected
			})
			if documented.Command != "" && !ran[documented.Command] {
				t.Errorf("%s: nobody commands %s", path, documented.Command)
			}
			if !slices.ContainsFunc(allOf(t, env.Log()), func(e domain.Envelope) bool { return e.Type == documented.Event }) {
				t.Errorf("%s: %s never happens", path, documented.Event)
			}
		})
	}
}
