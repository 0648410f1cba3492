package store_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// program is an event that says what its handler does: whatever a handler may
// do to its tables, in any order.
type program struct {
	Steps []step `json:"steps"`
	Fail  bool   `json:"fail,omitempty"`
}

type step struct {
	Do      string `json:"do"` // put, delete, get, scan, sweep
	Table   int    `json:"table"`
	Key     string `json:"key"`
	Prefix  string `json:"prefix,omitempty"`
	Reverse bool   `json:"reverse,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

func (program) EventType() string { return "PROGRAM" }

// interpreter is a projection that writes everything it reads into a trace row,
// so that a read that differs is a row that differs.
func interpreter() projections.Projection {
	tables := []projections.Table[string]{{Name: "x.a"}, {Name: "x.b"}}
	trace := projections.Table[string]{Name: "x.trace"}
	return projections.Projection{
		Name: "x", Version: 1, Tables: []string{"x.a", "x.b", "x.trace"},
		Handlers: []projections.Handler{projections.On(func(tx projections.Tx, e domain.Envelope, p program) error {
			var seen strings.Builder
			for i, s := range p.Steps {
				table := tables[s.Table]
				var err error
				switch s.Do {
				case "put":
					err = table.Put(tx, s.Key, fmt.Sprint(e.Position, ".", i))
				case "delete":
					err = table.Delete(tx, s.Key)
				case "get":
					var row string
					var found bool
					row, found, err = table.Get(tx, s.Key)
					fmt.Fprint(&seen, "get ", s.Key, row, found, ";")
				default:
					err = s.scan(tx, table, &seen)
				}
				if err != nil {
					return err
				}
			}
			if err := trace.Put(tx, e.Position.String(), seen.String()); err != nil {
				return err
			}
			if p.Fail {
				return domain.Errorf(domain.Invalid, "as told")
			}
			return nil
		})},
	}
}

// scan goes over a span; a sweep changes the table while it does.
func (s step) scan(tx projections.Tx, table projections.Table[string], seen *strings.Builder) error {
	left := s.Limit
	for entry, err := range table.Scan(tx, projections.Span{Prefix: s.Prefix, From: s.Key, Reverse: s.Reverse}) {
		if err != nil {
			return err
		}
		fmt.Fprint(seen, "row ", entry.Key, entry.Row, ";")
		if s.Do == "sweep" {
			if err := table.Delete(tx, entry.Key); err != nil {
				return err
			}
			if err := table.Put(tx, entry.Key+"m", "swept"); err != nil {
				return err
			}
			if err := table.Delete(tx, "b"+entry.Key); err != nil {
				return err
			}
		}
		if left--; left <= 0 {
			break
		}
	}
	return nil
}

// TestStoreAndMemoryAgreeOnWhateverHandlersDo folds random programs with random
// batches and caches, reopening the store between, and in memory.
func TestStoreAndMemoryAgreeOnWhateverHandlersDo(t *testing.T) {
	catalog, err := domain.NewCatalog(nil, []domain.Def{domain.Define[program](1, "x", "what to do")})
	if err != nil {
		t.Fatal(err)
	}
	model := []projections.Projection{interpreter()}
	key := rapid.StringOfN(rapid.RuneFrom([]rune("abcm")), 1, 3, -1)
	prefix := rapid.StringOfN(rapid.RuneFrom([]rune("abcm")), 0, 2, -1)
	rapid.Check(t, func(r *rapid.T) {
		log := eventlog.NewMemory()
		for n := range rapid.IntRange(1, 60).Draw(r, "events") {
			event := program{Fail: rapid.IntRange(0, 5).Draw(r, "fail") == 0}
			for range rapid.IntRange(0, 6).Draw(r, "steps") {
				one := step{Do: rapid.SampledFrom([]string{"put", "put", "delete", "get", "scan", "sweep"}).Draw(r, "do"), Table: rapid.IntRange(0, 1).Draw(r, "table")}
				one.Key = key.Draw(r, "key")
				if one.Do == "scan" || one.Do == "sweep" {
					one.Prefix = prefix.Draw(r, "prefix")
					one.Reverse = rapid.Bool().Draw(r, "reverse")
					one.Limit = rapid.IntRange(1, 8).Draw(r, "limit")
					if rapid.Bool().Draw(r, "all") {
						one.Key = ""
					}
				}
				event.Steps = append(event.Steps, one)
			}
			addRaw(t, log, proposed(t, n, event))
		}
		head, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m, err := store.NewMemory(model, nil, catalog, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Replay(t.Context(), log, 0); err != nil {
			t.Fatal(err)
		}
		fs := vfs.NewMem()
		for at := domain.Position(0); at < head; {
			options := small(fs)
			options.BatchMax = rapid.IntRange(1, 20).Draw(r, "batch")
			options.CacheRows = rapid.IntRange(1, 12).Draw(r, "cache")
			s, err := store.Open("store", model, nil, catalog, options)
			if err != nil {
				t.Fatal(err)
			}
			at = min(at+domain.Position(rapid.IntRange(1, 40).Draw(r, "stop")), head)
			if err := s.Run(t.Context(), log, store.Until{Position: at}); err != nil {
				t.Fatal(err)
			}
			if at == head {
				got, want := digest(t, s), digest(t, m)
				letters, err := s.DeadLetters()
				if err != nil {
					t.Fatal(err)
				}
				wantLetters, err := m.DeadLetters()
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(letters, wantLetters) {
					r.Errorf("want the same rows\nstore  %s\nmemory %s", rowsOf(t, s), rowsOf(t, m))
				}
			}
			closeStore(t, s)
		}
	})
}

func rowsOf(t *testing.T, s interface {
	View(func(projections.View) error) error
},
) string {
	rows := map[string]json.RawMessage{}
	if err := s.View(func(v projections.View) error {
		for _, table := range []string{"x.a", "x.b", "x.trace", store.DeadLetterTable} {
			for row, err := range v.Scan(table, projections.Span{}) {
				if err != nil {
					return err
				}
				rows[table+" "+row.Key] = row.Value
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(rows, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
