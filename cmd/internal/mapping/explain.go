package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Explanation says of every rule why it took a record or not, a line each.
type Explanation struct {
	Lines []string
	Took  bool
}

// Explain is Take with an account of every rule up to the one that took it.
func (r *Reader) Explain(record *Record) (Explanation, error) {
	var e Explanation
	_, err := r.take(record, &e)
	if err == nil && !e.Took {
		e.say("no rule takes it: it counts as not understood")
	}
	return e, err
}

func (e *Explanation) say(format string, args ...any) {
	if e != nil {
		e.Lines = append(e.Lines, fmt.Sprintf(format, args...))
	}
}

func (e *Explanation) not(rule *rule, why string) {
	if e != nil {
		e.say("rule %s: no: %s", rule.name, why)
	}
}

func (e *Explanation) took(rule *rule, f *fields, facts []Fact, skips []Skip) {
	if e == nil {
		return
	}
	e.Took = true
	e.say("rule %s: takes it", rule.name)
	for _, known := range []struct {
		what   string
		values map[string]string
	}{{"group", f.groups}, {"recalled", f.recalled}, {"head", f.head}, {"column", f.record.Columns}} {
		for _, name := range slices.Sorted(maps.Keys(known.values)) {
			if text := known.values[name]; text != "" && !(known.what == "head" && name == "text") {
				e.say("  %s %s = %s", known.what, name, strconv.Quote(domain.Clip(text, 200)))
			}
		}
	}
	for _, fact := range facts {
		data, err := json.Marshal(fact.Event)
		if err != nil {
			data = []byte(err.Error())
		}
		e.say("  event %s in %s at %s: %s", fact.Event.EventType(), fact.Stream, fact.Time.Format(domain.Timestamp), data)
	}
	for _, skip := range skips {
		if skip.Folded {
			e.say("  no news: %s", skip.Reason)
		} else {
			e.say("  skipped: %s", skip.Reason)
		}
	}
	if len(facts)+len(skips) == 0 {
		e.say("  no event: it explains other lines")
	}
}

func quotedOrNothing(text string) string {
	if strings.TrimSpace(text) == "" {
		return "nothing"
	}
	return strconv.Quote(text)
}
