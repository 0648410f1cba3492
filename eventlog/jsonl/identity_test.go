package jsonl_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// Two equal lines of one moment are two events, wherever they are in their run; the same
// two in another file are the same events.
func TestEqualLinesOfARunAreTheirNumber(t *testing.T) {
	line := func(second int) string {
		return fmt.Sprintf(`{"stream":"node-a","type":"NOTED","time":"2026-03-01T12:%02d:%02dZ","data":{}}`+"\n", second/60, second%60)
	}
	ids := func(seconds ...int) (ids []domain.EventID) {
		var text strings.Builder
		for _, second := range seconds {
			text.WriteString(line(second))
		}
		for _, e := range collect(t, jsonl.Read(strings.NewReader(text.String()), "run", jsonl.ReadOptions{})) {
			ids = append(ids, e.ID)
		}
		return ids
	}
	pair, single := ids(10, 10), ids(10)
	if pair[0] == pair[1] || pair[0] != single[0] {
		t.Error("want two events, the first that of a single line")
	}
	if apart := ids(10, 9, 40, 10); apart[0] != pair[0] || apart[3] != pair[1] {
		t.Error("want equal lines of a run told apart where others stand between them")
	}
	if begun := ids(10, 200, 10); begun[0] != begun[2] {
		t.Error("want a new run where time goes back by more than a minute")
	}
	if later := ids(10, 10, 200, 201, 300, 301); !slices.Equal(later[:2], pair) || later[2] != ids(200)[0] {
		t.Error("want ids that do not depend on what follows or came before")
	}
}

// An incomplete last line of a file that is still being written is not an error.
func TestALineThatIsCutOffIsLeftOut(t *testing.T) {
	good := `{"stream":"task-a","type":"ONE","time":"2026-03-01T12:00:00Z","data":{}}`
	var told []string
	options := jsonl.ReadOptions{OnSkip: func(_ string, _ int64, fault error) { told = append(told, fault.Error()) }}
	if events := collect(t, jsonl.Read(strings.NewReader(good+"\n"+good[:40]), "growing", options)); len(events) != 1 || len(told) != 1 || !strings.Contains(told[0], "growing:2: the line is cut off") {
		t.Errorf("want one event and a word on the rest, found %v, %v", events, told)
	}
	for _, text := range []string{good[:40] + "\n" + good, good + "\n" + `{"stream":"task-a"}`} {
		failed := false
		for _, err := range jsonl.Read(strings.NewReader(text), "broken", options) {
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("want an error of %s", text)
		}
	}
}
