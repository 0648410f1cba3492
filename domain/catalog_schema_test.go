package domain_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/training"
)

// Three schema versions of one event, as a log that lived long holds them.
type (
	gaugeV1 struct {
		Host    string `json:"host"`
		Percent int    `json:"percent"`
	}
	gaugeV2 struct {
		NodeID  string `json:"node_id"`
		Percent int    `json:"percent"`
	}
	gaugeRead struct {
		NodeID string  `json:"node_id"`
		Share  float64 `json:"share"`
		Unit   string  `json:"unit,omitempty"`
	}
)

func (gaugeRead) EventType() string { return "GAUGE_READ" }

func gauge(options ...domain.Option) domain.Def {
	return domain.Define[gaugeRead](3, "node", "a gauge was read", options...)
}

func gaugeUp1() domain.Option {
	return domain.Up(1, func(old gaugeV1) gaugeV2 { return gaugeV2{NodeID: old.Host, Percent: old.Percent} })
}

func gaugeUp2() domain.Option {
	return domain.Up(2, func(old gaugeV2) gaugeRead { return gaugeRead{NodeID: old.NodeID, Share: float64(old.Percent) / 100} })
}

func TestOldVersionsAreReadableForEver(t *testing.T) {
	catalog, err := domain.NewCatalog(nil, []domain.Def{gauge(gaugeUp2(), gaugeUp1())})
	if err != nil {
		t.Fatal(err)
	}
	want := gaugeRead{NodeID: "gpu-1", Share: 0.25}
	for version, stored := range map[int]string{
		1: `{"host":"gpu-1","percent":25}`,
		2: `{"node_id":"gpu-1","percent":25}`,
		3: `{"node_id":"gpu-1","share":0.25}`,
	} {
		got, err := catalog.Decode("GAUGE_READ", version, []byte(stored))
		if err != nil || got != want {
			t.Errorf("version %d: want %+v, found %+v, %v", version, want, got, err)
		}
		e := domain.Envelope{Type: "GAUGE_READ", Version: version, Data: []byte(stored)}
		if err := catalog.Fill(&e); err != nil || e.Event != want || string(e.Data) != stored {
			t.Errorf("version %d: want the payload kept and %+v, found %+v, %v", version, want, e, err)
		}
	}
	if _, version, data, err := catalog.Encode(want); err != nil || version != 3 || string(data) != `{"node_id":"gpu-1","share":0.25}` {
		t.Errorf("want today's version written, found %d %s, %v", version, data, err)
	}
}

func TestFillLeavesADecodedEventAlone(t *testing.T) {
	catalog := wholeCatalog(t)
	e := domain.Envelope{Type: "KIND_RESUMED", Version: 1, Data: []byte("no JSON"), Event: admin.KindResumed{Kind: "x"}}
	if err := catalog.Fill(&e); err != nil || e.Event != (admin.KindResumed{Kind: "x"}) {
		t.Errorf("want the event kept, found %+v, %v", e.Event, err)
	}
}

func TestDecodeRefusesWhatItCannotRead(t *testing.T) {
	catalog, err := domain.NewCatalog(nil, []domain.Def{gauge(gaugeUp1(), gaugeUp2())})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		eventType string
		version   int
		data      string
		code      domain.Code
		says      string
	}{
		"unknown type":      {"GAUGE_LOST", 1, `{}`, domain.NotFound, `event type "GAUGE_LOST" is not in the catalogue`},
		"another case":      {"gauge_read", 3, `{}`, domain.NotFound, "is not in the catalogue"},
		"version of later":  {"GAUGE_READ", 4, `{}`, domain.Corrupt, "want a schema version from 1 to 3, found 4"},
		"version nought":    {"GAUGE_READ", 0, `{}`, domain.Corrupt, "found 0"},
		"version below":     {"GAUGE_READ", -1, `{}`, domain.Corrupt, "found -1"},
		"torn":              {"GAUGE_READ", 3, `{"node_id":"gp`, domain.Corrupt, "GAUGE_READ version 3"},
		"torn, old":         {"GAUGE_READ", 1, `{"host":`, domain.Corrupt, "GAUGE_READ version 1"},
		"wrong type, old":   {"GAUGE_READ", 2, `{"percent":"25"}`, domain.Corrupt, "percent"},
		"nothing":           {"GAUGE_READ", 3, ``, domain.Corrupt, "unexpected end"},
		"trailing document": {"GAUGE_READ", 3, `{}{}`, domain.Corrupt, "after top-level value"},
	} {
		t.Run(name, func(t *testing.T) {
			event, err := catalog.Decode(c.eventType, c.version, []byte(c.data))
			if event != nil || domain.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want %s saying %q, found %s %v with %v", c.code, c.says, domain.CodeOf(err), err, event)
			}
		})
	}
}

func TestEncodeRefusesWhatMustNotBeStored(t *testing.T) {
	catalog := wholeCatalog(t)
	if _, _, _, err := catalog.Encode(gaugeRead{}); domain.CodeOf(err) != domain.Internal {
		t.Errorf("want an event outside the catalogue refused, found %v", err)
	}
	_, _, _, err := catalog.Encode(training.Started{ConfigKey: "hex8_5p", TaskID: "t1"})
	if domain.CodeOf(err) != domain.Invalid || !slices.Equal(faultKeys(err), []string{"config_key", "node_id"}) {
		t.Errorf("want the faults of config_key and node_id, found %v", err)
	}
}

func faultKeys(err error) []string {
	var coded *domain.Error
	if !errors.As(err, &coded) {
		return nil
	}
	var keys []string
	for _, fault := range coded.Faults {
		keys = append(keys, fault.Field)
	}
	return keys
}

type otherGauge struct {
	Name string `json:"name"`
}

func (otherGauge) EventType() string { return "OTHER_GAUGE" }

func other(options ...domain.Option) domain.Def {
	return domain.Define[otherGauge](1, "node", "another gauge was read", options...)
}

func TestACatalogThatContradictsItselfIsRefused(t *testing.T) {
	whole := gauge(gaugeUp1(), gaugeUp2())
	for name, c := range map[string]struct {
		areas [][]domain.Def
		want  []string
	}{
		"a type twice in one area":    {[][]domain.Def{{other(), other()}}, []string{"OTHER_GAUGE: defined twice"}},
		"a type twice in two areas":   {[][]domain.Def{{other()}, {whole, other()}}, []string{"OTHER_GAUGE: defined twice"}},
		"a name of another type":      {[][]domain.Def{{whole, other(domain.AlsoNamed("gauge_read"))}}, []string{`OTHER_GAUGE: name "gauge_read" already means GAUGE_READ`}},
		"a type that is taken":        {[][]domain.Def{{other(domain.AlsoNamed("GAUGE_READ")), whole}}, []string{`GAUGE_READ: name "GAUGE_READ" already means OTHER_GAUGE`}},
		"an old name twice":           {[][]domain.Def{{gauge(gaugeUp1(), gaugeUp2(), domain.AlsoNamed("reading")), other(domain.AlsoNamed("READING"))}}, []string{`OTHER_GAUGE: name "READING" already means GAUGE_READ`}},
		"version nought":              {[][]domain.Def{{domain.Define[otherGauge](0, "node", "x")}}, []string{"OTHER_GAUGE: want a schema version of at least 1"}},
		"no upcaster from 2":          {[][]domain.Def{{gauge(gaugeUp1())}}, []string{"GAUGE_READ: want exactly one upcaster from version 2"}},
		"no upcaster at all":          {[][]domain.Def{{gauge()}}, []string{"GAUGE_READ: want exactly one upcaster from version 1", "GAUGE_READ: want exactly one upcaster from version 2"}},
		"an upcaster twice":           {[][]domain.Def{{gauge(gaugeUp1(), gaugeUp2(), gaugeUp2())}}, []string{"GAUGE_READ: want exactly one upcaster from version 2"}},
		"an upcaster from nowhere":    {[][]domain.Def{{other(gaugeUp1())}}, []string{"OTHER_GAUGE: more upcasters than versions below 1"}},
		"an alias of no key":          {[][]domain.Def{{other(domain.Alias("title", "label"))}}, []string{`OTHER_GAUGE: alias "title" means "label", which is no key`}},
		"an alias that is a key":      {[][]domain.Def{{gauge(gaugeUp1(), gaugeUp2(), domain.Alias("unit", "share"))}}, []string{`GAUGE_READ: alias "unit" is a key of its own`}},
		"a stream that cannot be":     {[][]domain.Def{{domain.Define[otherGauge](1, "no-de", "x")}, {domain.Define[gaugeRead](1, "", "x")}}, []string{`GAUGE_READ: stream category "": want the letters a to z`}},
		"every fault, not only first": {[][]domain.Def{{domain.Define[otherGauge](0, "", "x")}, {gauge()}}, []string{"OTHER_GAUGE: want a schema version of at least 1", `OTHER_GAUGE: stream category "": want the letters a to z`, "GAUGE_READ: want exactly one upcaster from version 1", "GAUGE_READ: want exactly one upcaster from version 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			catalog, err := domain.NewCatalog(nil, c.areas...)
			if catalog != nil || domain.CodeOf(err) != domain.Invalid || !slices.Equal(faultsOf(err), c.want) {
				t.Errorf("want\n%s\nfound %v\n%s", strings.Join(c.want, "\n"), catalog, strings.Join(faultsOf(err), "\n"))
			}
		})
	}
}

func TestANameMayBeSaidTwiceByItsOwnType(t *testing.T) {
	catalog, err := domain.NewCatalog(nil, []domain.Def{other(domain.AlsoNamed("other_gauge", "OTHER_GAUGE", "Gauge2"))})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"OTHER_GAUGE", "other_gauge", "Other_Gauge", "GAUGE2"} {
		if found, ok := catalog.Resolve(name); !ok || found != "OTHER_GAUGE" {
			t.Errorf("want %s understood, found %q", name, found)
		}
	}
	if found, ok := catalog.Resolve("gauge"); ok {
		t.Errorf("want an unknown name unknown, found %q", found)
	}
}

func TestTheCatalogListsByType(t *testing.T) {
	var listed []string
	total := 0
	for _, area := range areas() {
		total += len(area)
	}
	catalog := wholeCatalog(t)
	for _, def := range catalog.Defs() {
		listed = append(listed, def.Type)
		if found, ok := catalog.Lookup(def.Type); !ok || found.Type != def.Type {
			t.Errorf("want %s found, found %v", def.Type, found.Type)
		}
	}
	if len(listed) != total || !slices.IsSorted(listed) {
		t.Errorf("want all %d types in order, found %v", total, listed)
	}
}

// slowCodec counts, to show that a catalogue uses the codec it was given.
type slowCodec struct{ decoded, encoded *int }

func (c slowCodec) Marshal(v any) ([]byte, error) { *c.encoded++; return json.Marshal(v) }

func (c slowCodec) Unmarshal(data []byte, v any) error { *c.decoded++; return json.Unmarshal(data, v) }

func TestTheCatalogUsesItsCodec(t *testing.T) {
	var decoded, encoded int
	catalog, err := domain.NewCatalog(slowCodec{&decoded, &encoded}, []domain.Def{gauge(gaugeUp1(), gaugeUp2())})
	if err != nil {
		t.Fatal(err)
	}
	event, err := catalog.Decode("GAUGE_READ", 1, []byte(`{"host":"gpu-1","percent":25}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := catalog.Encode(event); err != nil {
		t.Fatal(err)
	}
	if decoded != 3 || encoded != 3 {
		t.Errorf("want two steps up, one decode and one encode through the codec, found %d and %d", decoded, encoded)
	}
}

// Adding an event or an area without extending the list fails here: every exported
// type with an EventType is defined once, in a list of events, and areas() above
// has the exported list of each package.
func TestEveryEventTypeIsListed(t *testing.T) {
	fset := token.NewFileSet()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	inAreas, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var types, defined, lists []string
	for _, source := range append(sources, inAreas...) {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		of := func(e ast.Expr) string { return qualified(file.Name.Name, e) }
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			switch {
			case !ok:
			case f.Name.Name == "EventType" && f.Recv != nil:
				if name, ok := f.Recv.List[0].Type.(*ast.Ident); ok && name.IsExported() {
					types = append(types, of(name))
				}
			case f.Recv == nil && strings.HasSuffix(strings.ToLower(f.Name.Name), "events"):
				if f.Name.IsExported() {
					lists = append(lists, of(f.Name))
				}
				ast.Inspect(f, func(node ast.Node) bool {
					if index, ok := node.(*ast.IndexExpr); ok && strings.HasSuffix(of(index.X), ".Define") {
						defined = append(defined, of(index.Index))
					}
					return true
				})
			}
		}
	}
	slices.Sort(types)
	slices.Sort(defined)
	slices.Sort(lists)
	if !slices.Equal(types, defined) {
		t.Errorf("want each event type in one list\ntypes  %v\nlisted %v", types, defined)
	}
	known, err := parser.ParseFile(fset, "catalog_test.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var called []string
	for _, decl := range known.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "areas" {
			ast.Inspect(f, func(node ast.Node) bool {
				if call, ok := node.(*ast.CallExpr); ok {
					called = append(called, qualified("domain", call.Fun))
				}
				return true
			})
		}
	}
	slices.Sort(called)
	if !slices.Equal(called, lists) {
		t.Errorf("want the tests to look at every area\nlists  %v\ntested %v", lists, called)
	}
}

// qualified returns a name with its package, by default the given one.
func qualified(pkg string, e ast.Expr) string {
	switch name := e.(type) {
	case *ast.Ident:
		return pkg + "." + name.Name
	case *ast.SelectorExpr:
		if from, ok := name.X.(*ast.Ident); ok {
			return from.Name + "." + name.Sel.Name
		}
	}
	return ""
}
