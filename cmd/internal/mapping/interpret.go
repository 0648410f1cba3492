package mapping

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/ringrift/rift/domain"
)

// Reader applies a mapping to records, one after the other, and remembers what
// its rules say it should.
type Reader struct {
	mapping *Mapping
	catalog *domain.Catalog
	open    map[string]map[string]string
}

// NewReader makes a reader that remembers nothing yet.
func NewReader(m *Mapping, catalog *domain.Catalog) *Reader {
	return &Reader{mapping: m, catalog: catalog, open: map[string]map[string]string{}}
}

// Fact is an event that a record means.
type Fact struct {
	Rule   string
	Stream domain.StreamID
	Time   time.Time
	Event  domain.Event
}

// Skip is why a record that a rule took became no event.
type Skip struct {
	Rule   string
	Reason string
	Folded bool // it was no news
}

// Outcome is what became of a record: events, reasons for none, or neither, where
// it was only remembered. Rules is empty where no rule took it.
type Outcome struct {
	Rules []string
	Facts []Fact
	Skips []Skip
	Time  time.Time // that the record says by the mapping's time; zero: none
}

// Take applies the rules to a record. An error is a bound that was hit: nothing
// that comes after it can be trusted.
func (r *Reader) Take(record *Record) (Outcome, error) { return r.take(record, nil) }

// TimeOf reads the time of a record by the mapping's time, without its rules;
// zero where there is none.
func (r *Reader) TimeOf(record *Record) time.Time {
	head, _, _ := r.head(record)
	if r.mapping.time == nil {
		return time.Time{}
	}
	at, err := r.mapping.time.of(&fields{head: head, record: record})
	if err != nil {
		return time.Time{}
	}
	return at
}

// head applies the mapping's head and text: the groups, and what rules match.
func (r *Reader) head(record *Record) (groups map[string]string, text string, is bool) {
	m := r.mapping
	groups, text = map[string]string{}, record.Text
	if m.text != nil {
		text, _ = m.text.fill(&fields{record: record})
	}
	if m.head == nil {
		return groups, text, true
	}
	if !take(m.head, text, groups) {
		return groups, text, false
	}
	if rest, has := groups["text"]; has {
		text = rest
	}
	return groups, text, true
}

func (r *Reader) take(record *Record, explain *Explanation) (out Outcome, err error) {
	head, text, is := r.head(record)
	if !is {
		explain.say("the head of the mapping does not match %s; found %q", r.mapping.head, domain.Clip(text, 200))
		return out, nil
	}
	out.Time = r.TimeOf(record)
	for _, rule := range r.mapping.rules {
		f := &fields{groups: map[string]string{}, head: head, record: record}
		facts, skips := len(out.Facts), len(out.Skips)
		why, err := r.try(rule, f, text, &out)
		if err != nil {
			return out, domain.Errorf(domain.CodeOf(err), "rule %s: %w", rule.name, err)
		}
		if why != "" {
			explain.not(rule, why)
			continue
		}
		out.Rules = append(out.Rules, rule.name)
		explain.took(rule, f, out.Facts[facts:], out.Skips[skips:])
		if !rule.more {
			break
		}
	}
	return out, nil
}

// try applies a rule, for every element of its list if it has one, and says why
// it does not take the record; empty: it does.
func (r *Reader) try(rule *rule, f *fields, text string, out *Outcome) (why string, err error) {
	if rule.match != nil && !take(rule.match, text, f.groups) {
		return "does not match " + domain.Clip(rule.match.String(), 100), nil
	}
	if rule.each == nil {
		if why = r.fails(rule, f); why == "" {
			err = r.apply(rule, f, out)
		}
		return why, err
	}
	list, _ := rule.each.from.fill(f)
	elements, err := rule.each.split.apart(list)
	if err != nil {
		out.Skips = append(out.Skips, Skip{Rule: rule.name, Reason: "each: " + err.Error()})
		return "", nil
	}
	why = "each: " + rule.each.from.said + " is empty"
	taken := false
	for _, element := range elements {
		f.groups[rule.each.name] = element
		if why = r.fails(rule, f); why != "" {
			continue
		}
		taken = true
		if err := r.apply(rule, f, out); err != nil {
			return "", err
		}
	}
	if taken {
		why = ""
	}
	return why, nil
}

// fails says which condition of a rule does not hold; empty: all do.
func (r *Reader) fails(rule *rule, f *fields) string {
	f.recalled = nil
	for i, template := range rule.recall {
		key, _ := template.fill(f)
		if i > 0 {
			known := maps.Clone(f.recalled)
			if known == nil {
				known = map[string]string{}
			}
			maps.Copy(known, r.open[key])
			f.recalled = known
			continue
		}
		f.recalled = r.open[key]
	}
	for _, c := range rule.when {
		if why := c.fails(f); why != "" {
			return why
		}
	}
	return ""
}

func (c condition) fails(f *fields) string {
	text := f.get(c.field)
	holds := false
	if c.match != nil {
		holds = take(c.match, text, f.groups)
	} else {
		for _, word := range c.any {
			holds = holds || text == word
		}
	}
	if holds != c.negated {
		return ""
	}
	return "when " + c.field + ": want " + c.said + ", found " + quotedOrNothing(domain.Clip(text, 80))
}

func (r *Reader) apply(rule *rule, f *fields, out *Outcome) error {
	by := rule.time
	if by == nil {
		by = r.mapping.time
	}
	var at time.Time
	if by != nil {
		var err error
		if at, err = by.of(f); err != nil && rule.event != "" {
			out.Skips = append(out.Skips, Skip{Rule: rule.name, Reason: "time: " + err.Error()})
			return nil
		}
	}
	switch {
	case rule.skip != "":
		out.Skips = append(out.Skips, Skip{rule.name, rule.skip, rule.fold})
	case rule.event != "":
		fact, err := r.fact(rule, f, at, by)
		if err != nil {
			out.Skips = append(out.Skips, Skip{Rule: rule.name, Reason: err.Error()})
			return nil
		}
		out.Facts = append(out.Facts, fact)
	}
	return r.keep(rule, f, at, by, out)
}

func (r *Reader) fact(rule *rule, f *fields, at time.Time, by *moment) (Fact, error) {
	def, _ := r.catalog.Lookup(rule.event)
	made, err := payload(rule.values, f, at, by)
	if err != nil {
		return Fact{}, err
	}
	data, err := json.Marshal(made)
	if err != nil {
		return Fact{}, domain.Errorf(domain.Invalid, "%w", err)
	}
	event, err := r.catalog.Decode(rule.event, def.Version, data)
	if err != nil {
		return Fact{}, err
	}
	if err := domain.Faulty(rule.event, def.Faults(event)); err != nil {
		return Fact{}, err
	}
	fact := Fact{Rule: rule.name, Time: at, Event: event}
	if home, homed := event.(domain.Homed); homed && rule.stream == nil {
		fact.Stream = home.Home()
	} else if rule.stream != nil {
		stream, _ := rule.stream.fill(f)
		fact.Stream = domain.StreamID(stream)
	} else {
		id, _ := made[def.Stream+"_id"].(string)
		fact.Stream = domain.Stream(def.Stream, id)
	}
	if _, err := domain.ParseStreamID(string(fact.Stream)); err != nil {
		return Fact{}, domain.Errorf(domain.Invalid, "stream: %w", err)
	}
	return fact, nil
}

// keep remembers and forgets what the rule says.
func (r *Reader) keep(rule *rule, f *fields, at time.Time, by *moment, out *Outcome) error {
	if rule.remember != nil {
		key, _ := rule.remember.key.fill(f)
		made, err := payload(rule.remember.values, f, at, by)
		if err != nil {
			out.Skips = append(out.Skips, Skip{Rule: rule.name, Reason: "remember: " + err.Error()})
			return nil
		}
		known := maps.Clone(r.open[key])
		if known == nil {
			if len(r.open) >= r.mapping.remembered {
				return domain.Errorf(domain.TooMany, "want at most %d things remembered at a time, found more: raise remembers (up to %d), or forget what ended", r.mapping.remembered, maxRemembered)
			}
			known = map[string]string{}
		}
		for name, said := range made {
			known[name] = domain.Clip(plain(said), maxTemplate)
		}
		r.open[key] = known
	}
	if rule.forget != nil {
		key, _ := rule.forget.fill(f)
		delete(r.open, key)
	}
	return nil
}
