package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The flag has the name that the golden scripts use. If their package is part of the test
// binary, it has defined the flag.
func init() {
	if flag.Lookup("rewrite") == nil {
		flag.Bool("rewrite", false, "write the golden files anew")
	}
}

func rewrite() bool { return flag.Lookup("rewrite").Value.String() == "true" }

// The listings of this build are golden files, because users see every change of them.
func TestListings(t *testing.T) {
	for name, words := range map[string][]string{
		"handlers": {"handlers", "-o", "wide"}, "routes": {"routes", "-o", "table"},
		"catalog": {"catalog", "-o", "wide"}, "retired": {"catalog", "--retired", "-o", "table"},
	} {
		t.Run(name, func(t *testing.T) {
			r := rift(t, words...)
			if r.code != exitDone {
				t.Fatalf("found %+v", r)
			}
			golden := filepath.Join("..", "..", "testdata", name+".txt")
			if rewrite() {
				if err := os.WriteFile(golden, []byte(r.stdout), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if r.stdout != string(want) {
				t.Errorf("rift %s lists something else than %s; if that is meant, run: go test ./cmd/rift -run TestListings -rewrite\n%s", name, golden, difference(string(want), r.stdout))
			}
			for _, form := range []string{"table", "json", "jsonl", "csv", "md"} {
				if got := rift(t, append(words[:len(words)-1:len(words)-1], form)...); got.code != exitDone || got.stdout == "" {
					t.Errorf("%s: found %+v", form, got)
				}
			}
		})
	}
}

// difference lists the lines that only one text has.
func difference(want, found string) string {
	var b strings.Builder
	only := func(mark, text, other string) {
		has := map[string]bool{}
		for line := range strings.Lines(other) {
			has[line] = true
		}
		for line := range strings.Lines(text) {
			if !has[line] {
				b.WriteString(mark + line)
			}
		}
	}
	only("- ", want, found)
	only("+ ", found, want)
	return b.String()
}

func TestOneEventType(t *testing.T) {
	rift(t, "catalog", "task_claimed", "-o", "table").want(t, exitDone, "type        TASK_CLAIMED\n", "")
	rift(t, "catalog", "TASK_CLAIMED").want(t, exitDone, `"stream": "task"`, "")
	rift(t, "catalog", "TASK_CLAIMD").want(t, exitError, "", "did you mean TASK_CLAIMED?")
	rift(t, "catalog", "new_games", "-o", "table").want(t, exitDone, "instead  DATA_SYNC_COMPLETED\n", "")
	rift(t, "catalog", "NEW_GAMES", "--retired").want(t, exitError, "", "want a name, or --retired for the list, not both")
	rift(t, "catalog", "A", "B").want(t, exitError, "", "see `rift catalog --help`")
}

func TestHandlersOfOneEvent(t *testing.T) {
	rift(t, "handlers", "--event", "TASK_FAILED", "--name", "task_failed", "-o", "table").want(t, exitDone, "TASK_FAILED  breaker_task_failed ", "")
	rift(t, "handlers", "--event", "TASK_DEAD", "-o", "csv").want(t, exitDone, "TASK_DEAD,training_dead,", "")
	rift(t, "handlers", "--ran").want(t, exitError, "", "want a node that tells what ran")
}

func TestLiveHandlers(t *testing.T) {
	live := newFakeNode(t, 200, nil, `{"position":9,"handlers":[{"name":"work","event":"TASK_CLAIMED","kind":"projection","runs":3,"failures":1,"dead_letters":1,"position":8,"lag":1}]}`)
	rift(t, "handlers", "--ran", "--addr", live.URL, "-o", "table").want(t, exitDone, "TASK_CLAIMED  work     projection     3         1             1         8    1\n", "")
}

// The example of every event fits the event's schema and can be imported.
func TestEveryEventShowsHowItLooks(t *testing.T) {
	lines, err := eventLines()
	if err != nil {
		t.Fatal(err)
	}
	var examples strings.Builder
	for _, line := range lines {
		examples.WriteString(line.Example + "\n")
		r := rift(t, "catalog", line.Type, "-o", "schema")
		compiler := jsonschema.NewCompiler()
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(r.stdout))
		if err != nil {
			t.Fatalf("%s: %v\n%s", line.Type, err, r.stdout)
		}
		if err := compiler.AddResource("event.json", document); err != nil {
			t.Fatalf("%s: %v", line.Type, err)
		}
		schema, err := compiler.Compile("event.json")
		if err != nil {
			t.Fatalf("%s: %v", line.Type, err)
		}
		var example struct{ Data any }
		if err := json.Unmarshal([]byte(line.Example), &example); err != nil {
			t.Fatalf("%s: %v", line.Type, err)
		}
		if err := schema.Validate(example.Data); err != nil {
			t.Errorf("%s: want its example to fit its schema: %v", line.Type, err)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "examples.jsonl")
	if err := os.WriteFile(file, []byte(examples.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	rift(t, "log", "import", "--data", filepath.Join(dir, "data"), file, "-o", "json").want(t, exitDone, fmt.Sprintf("\"appended\": %d", len(lines)), "")
	rift(t, "catalog", "task_claimed", "-o", "schema").want(t, exitDone, `"title": "TASK_CLAIMED"`, "")
	rift(t, "catalog", "TASK_CLAIMD", "-o", "schema").want(t, exitError, "", "no event type")
	rift(t, "catalog", "-o", "schema").want(t, exitError, "", "want one event type")
}
