package wiring

import (
	"slices"
	"testing"

	"github.com/ringrift/rift/projections"
)

// open are the documented handlers that this build does not have whole. One that
// it has must not stand here.
var open []int

func TestTheNineteenExist(t *testing.T) {
	catalog, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	all := Nineteen()
	if len(all) != 19 {
		t.Fatalf("want nineteen, found %d", len(all))
	}
	listed := map[string]string{} // names of handlers, by the event they take
	for _, model := range Projections() {
		for _, h := range model.Handlers {
			listed[h.Name] = h.Type
		}
	}
	for _, reactor := range Reactors() {
		listed[reactor.Name] = reactor.Type
	}
	for i, d := range all {
		if listed[d.Name] != d.Event {
			t.Errorf("%d %s: want a handler of %s under this name, found one of %q", d.Number, d.Name, d.Event, listed[d.Name])
		}
		if d.Number != i+1 {
			t.Errorf("%s: want number %d, found %d", d.Name, i+1, d.Number)
		}
		if _, known := catalog.Lookup(d.Event); !known {
			t.Errorf("%d %s: event %s is not in the catalogue", d.Number, d.Name, d.Event)
		}
		lacks := d.lacks()
		switch {
		case lacks == "" && slices.Contains(open, d.Number):
			t.Errorf("%d %s exists, and is listed as open: strike it off", d.Number, d.Name)
		case lacks != "" && !slices.Contains(open, d.Number):
			t.Errorf("%d %s: want %s", d.Number, d.Name, lacks)
		}
	}
}

// lacks returns what this build lacks of a documented handler; empty for nothing.
func (d Documented) lacks() string {
	if d.Projection != "" && !slices.ContainsFunc(Projections(), func(p projections.Projection) bool {
		return p.Name == d.Projection && len(p.Handle(d.Event)) > 0
	}) {
		return "a row in " + d.Projection
	}
	if d.Command != "" && !slices.ContainsFunc(Reactors(), func(r projections.Reactor) bool {
		return r.Type == d.Event && slices.Contains(r.Issues, d.Command)
	}) {
		return "a reactor that issues " + d.Command
	}
	return ""
}
