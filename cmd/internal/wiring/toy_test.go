package wiring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// toy is an example of a new area: a package in each top-level directory.
var toy = map[string]string{
	"domain/toy/toy.go": `// Package toy is about toys.
package toy

import "github.com/ringrift/rift/domain"

// Wound: a toy was wound up.
type Wound struct {
	ToyID string ` + "`json:\"toy_id\"`" + `
	Turns int    ` + "`json:\"turns\"`" + `
}

func (Wound) EventType() string       { return "TOY_WOUND" }
func (e Wound) Home() domain.StreamID { return domain.Stream("toy", e.ToyID) }

func Events() []domain.Def { return []domain.Def{domain.Define[Wound](1, "toy", "somebody wound a toy up")} }
`,
	"projections/toy/toy.go": `// Package toy counts how often toys were wound up.
package toy

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/toy"
	"github.com/ringrift/rift/projections"
)

type Row struct {
	Turns int ` + "`json:\"turns\"`" + `
}

var rows = projections.Table[Row]{Name: "toy.rows"}

func Projection() projections.Projection {
	return projections.Projection{Name: "toy", Version: 1, About: "how far toys are wound up", Tables: []string{rows.Name}, Handlers: []projections.Handler{
		projections.On(func(tx projections.Tx, _ domain.Envelope, e toy.Wound) error {
			row, _, err := rows.Get(tx, e.ToyID)
			if err != nil {
				return err
			}
			row.Turns += e.Turns
			return rows.Put(tx, e.ToyID, row)
		}),
	}}
}

type One struct {
	ID string ` + "`path:\"id\"`" + `
}

type Answer struct {
	Position domain.Position ` + "`json:\"position\"`" + `
	Toy      Row             ` + "`json:\"toy\"`" + `
}

func Find(v projections.View, q One) (Answer, error) {
	row, _, err := rows.Get(v, q.ID)
	return Answer{v.Position(), row}, err
}
`,
	"commands/toy/toy.go": `// Package toy decides about toys.
package toy

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/toy"
)

type Wind struct {
	ToyID string ` + "`json:\"toy_id\"`" + `
	Turns int    ` + "`json:\"turns\"`" + `
}

func (Wind) CommandType() string        { return "toy.wind" }
func (c Wind) Stream() domain.StreamID  { return domain.Stream("toy", c.ToyID) }
func (c Wind) Facts() []domain.Event    { return []domain.Event{toy.Wound{ToyID: c.ToyID, Turns: c.Turns}} }
func (Wind) Expect() domain.Revision    { return domain.AnyRevision }

func Specs() []commands.Spec { return []commands.Spec{commands.Record[Wind]("wind a toy up")} }
`,
	"transport/toy/area.go": `// Package toy registers the toys.
package toy

import (
	toycmd "github.com/ringrift/rift/commands/toy"
	"github.com/ringrift/rift/domain/toy"
	"github.com/ringrift/rift/projections"
	toyview "github.com/ringrift/rift/projections/toy"
	"github.com/ringrift/rift/transport"
)

func Area() transport.Area {
	return transport.Area{
		Name: "toy", Events: toy.Events(), Projections: []projections.Projection{toyview.Projection()}, Specs: toycmd.Specs(),
		Routes: []transport.Route{
			transport.Post[toycmd.Wind]("/toys/wind"),
			transport.Get("/toys/{id}", "toy.toy", toyview.Find, transport.About("how far a toy is wound up")),
		},
	}
}
`,
}

// An area is a package in each room and one line here, besides its import: the
// program built with a toy area has its event, handler, endpoints and commands.
func TestAnAreaIsFourFilesAndOneLine(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replaced := map[string]string{}
	write := func(name, source string) {
		t.Helper()
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[filepath.Join(root, name)] = file
	}
	for name, source := range toy {
		write(name, source)
	}
	source, err := os.ReadFile("wiring.go")
	if err != nil {
		t.Fatal(err)
	}
	const line, imported = "\t\twork.Area(),\n", "\t\"github.com/ringrift/rift/transport/training\"\n"
	registered := strings.Replace(string(source), line, line+"\t\ttoy.Area(),\n", 1)
	registered = strings.Replace(registered, imported, "\t\"github.com/ringrift/rift/transport/toy\"\n"+imported, 1)
	write("cmd/internal/wiring/wiring.go", registered)
	if added := strings.Count(registered, "\n") - strings.Count(string(source), "\n"); len(toy) != 4 || added != 2 {
		t.Errorf("want 4 files, a line and its import, found %d and %d lines", len(toy), added)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "rift")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./cmd/rift")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for listing, want := range map[string]string{"catalog": "TOY_WOUND", "handlers": "toy", "routes": "/toys/{id}"} {
		said, err := exec.CommandContext(t.Context(), program, listing, "-o", "table").CombinedOutput()
		if err != nil || !strings.Contains(string(said), want) {
			t.Errorf("rift %s: want %s in it, found %v\n%s", listing, want, err, said)
		}
	}
}
