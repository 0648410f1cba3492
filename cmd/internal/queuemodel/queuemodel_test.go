package queuemodel_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/domain"
)

// The model itself, on histories short enough to check by hand. A line is an
// operation: its interval, the call, the answer.
func TestQueueModel(t *testing.T) {
	for name, c := range map[string]struct {
		want    porcupine.CheckResult
		history string
	}{
		"plain life":                         {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-5 start x 1|6-7 heartbeat x 1 → 1000|8-9 complete x 1`},
		"two claims, one lease":              {porcupine.Illegal, `0-1 add x|2-5 claim x → 1 1000|3-6 claim x → 1 1000`},
		"claimed while held":                 {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 claim x → 2 1000`},
		"claimed after the deadline":         {porcupine.Ok, `0-1 add x|2-3 claim x → 1 20|30-31 claim x → 2 1000`},
		"claimed before the deadline":        {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|18-19 claim x → 2 1000`},
		"completed twice":                    {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 complete x 1|6-7 complete x 1`},
		"completed twice, once refused":      {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-7 complete x 1|4-7 complete x 1 stale_lease`},
		"ghost completes":                    {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|30-31 claim x → 2 1000|32-33 complete x 1`},
		"ghost refused":                      {porcupine.Ok, `0-1 add x|2-3 claim x → 1 20|30-31 claim x → 2 1000|32-33 complete x 1 stale_lease`},
		"holder refused in time":             {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 complete x 1 stale_lease`},
		"holder refused late":                {porcupine.Ok, `0-1 add x|2-3 claim x → 1 20|30-31 complete x 1 stale_lease`},
		"refused late, then accepted":        {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|30-31 complete x 1 stale_lease|32-33 complete x 1`},
		"accepted late":                      {porcupine.Ok, `0-1 add x|2-3 claim x → 1 20|30-31 complete x 1`},
		"a heartbeat saves it":               {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|4-5 heartbeat x 1 → 1000|30-31 claim x → 2 1000`},
		"nothing although queued":            {porcupine.Illegal, `0-1 add x|2-3 claim|4-5 claim x → 1 1000`},
		"nothing although released":          {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 release x 1|6-7 claim`},
		"nothing while held":                 {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-5 claim`},
		"nothing after a failure":            {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-5 fail x 1|6-7 claim|8-9 claim x → 2 1000`},
		"nothing beside another claim":       {porcupine.Ok, `0-1 add x|2-5 claim|4-7 claim`},
		"nothing before it was there":        {porcupine.Ok, `0-5 add x|2-3 claim|6-7 claim x → 1 1000`},
		"done for ever":                      {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 20|4-5 complete x 1|30-31 claim x → 2 1000`},
		"cancelled for ever":                 {porcupine.Illegal, `0-1 add x|2-3 cancel x|4-5 claim x → 1 1000`},
		"the holder learns of the cancel":    {porcupine.Ok, `0-1 add x|2-3 claim x → 1 1000|4-5 cancel x|6-7 heartbeat x 1 cancel|8-9 complete x 1 stale_lease`},
		"the holder works on after a cancel": {porcupine.Illegal, `0-1 add x|2-3 claim x → 1 1000|4-5 cancel x|6-7 heartbeat x 1 → 1000`},
		"added twice":                        {porcupine.Illegal, `0-1 add x|2-3 add x`},
		"items do not mix":                   {porcupine.Ok, `0-1 add x|0-1 add y|2-3 claim x → 1 1000|4-5 claim y → 1 1000|6-7 complete x 1|8-9 complete y 1`},
	} {
		t.Run(name, func(t *testing.T) {
			var history []porcupine.Operation
			for line := range strings.SplitSeq(c.history, "|") {
				history = append(history, operation(t, line))
			}
			if got := porcupine.CheckOperationsTimeout(queuemodel.Queue, history, time.Minute); got != c.want {
				t.Errorf("found %s, want %s", got, c.want)
			}
		})
	}
}

// operation reads "CALL-RETURN VERB [ITEM [LEASE]] [cancel | CODE] [→ NUMBERS]":
// the lease and deadline of a claim, the deadline of a heartbeat.
func operation(t *testing.T, line string) porcupine.Operation {
	t.Helper()
	var o porcupine.Operation
	var in queuemodel.Asked
	var out queuemodel.Told
	question, answer, _ := strings.Cut(line, " → ")
	words := strings.Fields(question)
	scan := func(text, format string, into ...any) {
		if _, err := fmt.Sscanf(text, format, into...); err != nil {
			t.Fatalf("operation %q: %v", line, err)
		}
	}
	scan(words[0], "%d-%d", &o.Call, &o.Return)
	in.Verb, in.Returned = words[1], o.Return
	if len(words) > 2 {
		in.Item = domain.TaskID(words[2])
	}
	if len(words) > 3 {
		scan(words[3], "%d", &in.Lease)
	}
	if len(words) > 4 {
		if out.Cancel = words[4] == "cancel"; !out.Cancel {
			out.Code = domain.Code(words[4])
		}
	}
	switch {
	case answer == "":
	case in.Verb == "claim":
		scan(answer, "%d %d", &out.Lease, &out.Deadline)
	default:
		scan(answer, "%d", &out.Deadline)
	}
	o.Input, o.Output = in, out
	return o
}
