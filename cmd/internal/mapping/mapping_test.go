package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
)

func catalog(t testing.TB) *domain.Catalog {
	t.Helper()
	c, err := domain.NewCatalog(nil, work.Events(), nodes.Events())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFaultsNameRuleAndKey(t *testing.T) {
	for _, test := range []struct {
		rules string
		want  []string
	}{
		{"rules: [{match: '(', skip: x}]", []string{"rules[1].match: error parsing regexp: missing closing ): `(`"}},
		{"rules: [{name: a, event: NODE_GONE}]", []string{`rules[1] (a).event: the catalogue has no event "NODE_GONE"`}},
		{"rules: [{name: a, event: HOST_ONLINE, values: {node: x}}]", []string{"rules[1] (a).values.node: HOST_ONLINE has no such key; want node_id", "rules[1] (a).values.node_id: required by HOST_ONLINE", "rules[1] (a).time: required"}},
		{"rules: [{skip: x, matches: y}]", []string{"rules[1].matches: no such key (line 2); want each, event"}},
		{"rules: [{skip: x}, {skip: y, name: 'rules[1]'}]", []string{"rules[2] (rules[1]).name: is that of another rule"}},
		{"rules: [{skip: x, fold: y}]", []string{"rules[1].fold: want either fold or skip"}},
		{"rules: [{match: x}]", []string{"rules[1].event: want an event, or skip or fold"}},
		{"rules: [{skip: x, forget: '{'}]", []string{"rules[1].forget: \"{\": want a name between { and }"}},
		{"rules: [{skip: x, remember: {values: {a: {from: '{b}', type: date, add: 1}}}}]", []string{"rules[1].remember.key: required", "rules[1].remember.values.a.type: want one of string", "rules[1].remember.values.a.add: want it where"}},
		{"rules: [{skip: x, each: {name: a, from: b}}]", []string{"rules[1].each.split: required"}},
		{"rules: [{skip: x, time: {from: '{a}', layouts: [hh:mm], zone: Moon}}]", []string{"rules[1].time.layouts: want unix", "rules[1].time.zone: want UTC"}},
		{"rules: [{skip: x, when: {a: '~['}}]", []string{"rules[1].when.a: error parsing regexp"}},
		{"rules: [{skip: &a x}, {skip: *a}]", []string{"rules[2].skip: want text, found an alias"}},
		{"rules: [{skip: x, skip: y}]", []string{"rules[1].skip: is there twice"}},
		{"rules: []", []string{"rules: want 1 to 500 rules, found 0"}},
		{"rules: [{skip: x}]\nremembers: 0", []string{"remembers: want a whole number from 1 to 1000000"}},
		{"rules: [{skip: x}]\nseparator: ';'", []string{"separator: want one character of csv"}},
		{"rules: [{skip: x}]\ninclude: ../x", []string{`include: mapping "../x": want one of slurm`}},
		{"rules: [{skip: x, match: '" + strings.Repeat("a", maxPattern+1) + "'}]", []string{"rules[1].match: want at most 4096 bytes, found 4097"}},
	} {
		_, err := Parse([]byte("lines: text\n"+test.rules), catalog(t))
		var coded *domain.Error
		if !errors.As(err, &coded) {
			t.Errorf("%s: want faults, found %v", test.rules, err)
			continue
		}
		var found []string
		for _, fault := range coded.Faults {
			found = append(found, fault.Field+": "+fault.Reason)
		}
		for _, want := range test.want {
			if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, want) }) {
				t.Errorf("%s: want %q, found %q", test.rules, want, found)
			}
		}
	}
	for _, document := range []string{"", "a", "- a", "lines: xml\nrules: [{skip: x}]", "lines: text\nrules: [{skip: x}]\n---\nlines: text", ":\n:", strings.Repeat("#", MaxDocument+1)} {
		if _, err := Parse([]byte(document), catalog(t)); err == nil {
			t.Errorf("%.40q: want an error, found none", document)
		}
	}
}

func TestShippedMappingsAreSound(t *testing.T) {
	for _, name := range Shipped() {
		if _, err := LoadShipped(name, catalog(t)); err != nil {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestHosts(t *testing.T) {
	for text, want := range map[string]string{
		"node-1":                "node-1",
		"node[1-3,7],gpu":       "node1 node2 node3 node7 gpu",
		"n[08-11]":              "n08 n09 n10 n11",
		"rack[1-2]-n[1,3].site": "rack1-n1.site rack1-n3.site rack2-n1.site rack2-n3.site",
		"a,,b":                  "a b",
		"":                      "",
	} {
		found, err := hosts(text)
		if err != nil || strings.Join(found, " ") != want {
			t.Errorf("%s: want %s, found %v, %v", text, want, found, err)
		}
	}
	for _, text := range []string{"n[1-", "n]1", "n[2-1]", "n[a]", "n[1-100000]", "n[1-200]m[1-200]", "n[1[2]]", "n[]"} {
		if found, err := hosts(text); err == nil {
			t.Errorf("%s: want an error, found %d hosts", text, len(found))
		}
	}
}

func TestTimes(t *testing.T) {
	for _, test := range []struct{ layouts, zone, text, want string }{
		{"[unix]", "UTC", "1772438400", "2026-03-02T08:00:00Z"},
		{"[unix]", "UTC", "1772438400.25", "2026-03-02T08:00:00.25Z"},
		{"[unix_ms]", "UTC", "1772438400250", "2026-03-02T08:00:00.25Z"},
		{"[unix_us]", "UTC", "1772438400000250", "2026-03-02T08:00:00.00025Z"},
		{"[rfc3339]", "UTC", "2026-03-02T09:00:00+01:00", "2026-03-02T08:00:00Z"},
		{"['2006-01-02 15:04']", "Europe/Berlin", "2026-07-02 10:00", "2026-07-02T08:00:00Z"},
		{"['2006-01-02 15:04', unix]", "-06:00", "2026-03-02 02:00", "2026-03-02T08:00:00Z"},
		{"[unix]", "UTC", "1e300", ""},
		{"[unix]", "UTC", "-1", ""},
		{"[unix]", "UTC", "NaN", ""},
		{"[unix]", "UTC", "99999999999999", ""},
		{"[rfc3339]", "UTC", "1066-10-14T09:00:00Z", ""},
	} {
		m, err := Parse([]byte(fmt.Sprintf("lines: text\ntime: {from: '{t}', layouts: %s, zone: '%s'}\nhead: '(?P<t>.*)'\nrules: [{skip: x}]", test.layouts, test.zone)), catalog(t))
		if err != nil {
			t.Fatal(err)
		}
		at := NewReader(m, catalog(t)).TimeOf(&Record{Text: test.text})
		found := ""
		if !at.IsZero() {
			found = at.Format(domain.Timestamp)
		}
		if found != test.want {
			t.Errorf("%s as %s: want %q, found %q", test.text, test.layouts, test.want, found)
		}
	}
}

// What is remembered is bounded, and given free by forget.
func TestMemoryIsBounded(t *testing.T) {
	document := "lines: text\nremembers: 2\nrules:\n- {match: '^open (?P<k>.+)', remember: {key: '{k}', values: {v: '{k}'}}}\n- {match: '^close (?P<k>.+)', forget: '{k}'}\n"
	m, err := Parse([]byte(document), catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(m, catalog(t))
	for _, text := range []string{"open a", "open b", "open b", "close a", "open c"} {
		if _, err := r.Take(&Record{Text: text}); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if _, err := r.Take(&Record{Text: "open d"}); domain.CodeOf(err) != domain.TooMany {
		t.Errorf("want a third thing to be refused, found %v", err)
	}
}

// FuzzMapping reads any mapping and applies it to any file: the same input gives
// the same events twice, and the catalogue accepts every event.
func FuzzMapping(f *testing.F) {
	f.Add([]byte("lines: text\nhead: '(?P<at>\\d+) (?P<text>.*)'\ntime: {from: '{at}', layouts: [unix]}\nrules:\n- {match: 'up (?P<l>.*)', each: {name: n, from: '{l}', split: hostlist}, recall: '{n}', when: {v: '!1'}, event: HOST_ONLINE, values: {node_id: '{n}'}, remember: {key: '{n}', values: {v: 1}}}"), []byte("1 up n[1-3],x\n2 up n1\n"))
	f.Add([]byte("lines: csv\nseparator: '|'\ntime: '{t|u}'\nrules:\n- {event: TASK_COMPLETED, values: {task_id: '{a}', lease: {from: '{b}', type: int, add: 1, default: 1}, node_id: n, result: {object: {l: {from: '{c}', type: list, split: ','}}}}}"), []byte("t|a|b|c\n2026-03-02T08:00:00Z|x|1|q,r\n"))
	f.Add([]byte("lines: json\nrecords: items\nrules: [{skip: x, when: {a: '~.'}}, {fold: y}]"), []byte("{\"items\":[{\"a\":[1,2]},{}]}\n{\"a\":1}{"))
	c := catalog(f)
	f.Fuzz(func(t *testing.T, document, text []byte) {
		m, err := Parse(document, c)
		if err != nil {
			return
		}
		readTwice(t, m, c, text)
	})
}

// FuzzShipped reads any file by the mappings that come with rift.
func FuzzShipped(f *testing.F) {
	c := catalog(f)
	mappings := make([]*Mapping, len(Shipped()))
	for i, name := range Shipped() {
		m, err := LoadShipped(name, c)
		if err != nil {
			f.Fatal(err)
		}
		mappings[i] = m
	}
	f.Add(0, []byte("[2026-03-02T08:00:00.001] sched: Allocate JobId=1 NodeList=n[1-3]\n"))
	f.Add(1, []byte("JobID|State|Submit\n1|FAILED|2026-03-02T08:00:00\n"))
	f.Add(2, []byte(`{"items":[{"reason":"NodeReady","involvedObject":{"kind":"Node","name":"n"},"lastTimestamp":"2026-03-02T08:00:00Z"}]}`))
	f.Add(3, []byte(`{"Events":[{"Topic":"Node","Payload":{"Node":{"ID":"n","Status":"down","StatusUpdatedAt":1}}}]}`))
	f.Add(4, []byte(`{"MESSAGE":[110],"__REALTIME_TIMESTAMP":"1772438400000250"}`))
	f.Fuzz(func(t *testing.T, which int, text []byte) {
		if which >= 0 && which < len(mappings) {
			readTwice(t, mappings[which], c, text)
		}
	})
}

func readTwice(t *testing.T, m *Mapping, c *domain.Catalog, text []byte) {
	t.Helper()
	read := func() (said []string) {
		r := NewReader(m, c)
		for piece, err := range m.Records(strings.NewReader(string(text)), "file") {
			if err != nil {
				return append(said, err.Error())
			}
			if piece.Blank || piece.Broken != nil {
				continue
			}
			out, err := r.Take(&piece.Record)
			said = append(said, fmt.Sprint(out, err))
			for _, fact := range out.Facts {
				if _, _, _, err := c.Encode(fact.Event); err != nil {
					t.Fatal(err)
				}
				if fact.Time.IsZero() {
					t.Fatal("want every event to have a time")
				}
			}
		}
		return said
	}
	if a, b := read(), read(); !slices.Equal(a, b) {
		t.Fatalf("want the same twice, found\n%q\nand\n%q", a, b)
	}
}
