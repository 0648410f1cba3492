package node

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// rowsOf is a view of rows in memory, of one reader.
type rowsOf struct {
	tables map[string]map[string]string
	reads  int
}

func (r *rowsOf) Position() domain.Position { return 1 }
func (r *rowsOf) Codec() domain.Codec       { return plainCodec{} }

func (r *rowsOf) Get(table, key string) (*projections.Cell, bool, error) {
	r.reads++
	value, found := r.tables[table][key]
	if !found {
		return nil, false, nil
	}
	return &projections.Cell{JSON: []byte(value)}, true, nil
}

func (r *rowsOf) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		r.reads++
		keys := slices.Sorted(maps.Keys(r.tables[table]))
		if span.Reverse {
			slices.Reverse(keys)
		}
		for _, key := range keys {
			beyond := span.From != "" && (key < span.From) != span.Reverse
			if beyond || span.Reverse && key == span.From || !strings.HasPrefix(key, span.Prefix) {
				continue
			}
			if !yield(projections.Row{Key: key, Value: []byte(r.tables[table][key])}, nil) {
				return
			}
		}
	}
}

type plainCodec struct{}

func (plainCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (plainCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// lender is a view on a shelf, as a desk is.
type lender struct {
	*rowsOf
	shelf *shelf
}

func (l lender) GetShared(table, key string) (projections.Shared, bool, error) {
	row, found, err := l.shelf.get(l.rowsOf, table, key)
	if err != nil || !found {
		return nil, false, err
	}
	return row, true, nil
}

func (l lender) ScanShared(table string, span projections.Span) iter.Seq2[projections.Shared, error] {
	return l.shelf.scan(l.rowsOf, table, span)
}

type numbered struct {
	N int `json:"n"`
}

// What is read by way of a shelf is what is there, for readers at once and
// whatever they asked before.
func TestAShelfHoldsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables := map[string]map[string]string{"short": {}, "long": {}, "none": {}}
		for i := range rapid.IntRange(0, 40).Draw(t, "short") {
			tables["short"][fmt.Sprintf("%c%02d", 'a'+i%3, i)] = fmt.Sprintf(`{"n":%d}`, i)
		}
		for i := range rapid.SampledFrom([]int{70, 300, 1500}).Draw(t, "long") {
			tables["long"][fmt.Sprintf("%c%04d", 'a'+i%3, i)] = fmt.Sprintf(`{"n":%d}`, i)
		}
		type question struct {
			table, key string
			scan       bool
			span       projections.Span
			most       int
		}
		var questions []question
		for range 8 {
			prefix := rapid.SampledFrom([]string{"", "a", "b", "a0", "z"}).Draw(t, "prefix")
			q := question{
				table: rapid.SampledFrom([]string{"short", "long", "none"}).Draw(t, "table"),
				key:   fmt.Sprintf("%c%04d", 'a'+rapid.IntRange(0, 2).Draw(t, "c"), rapid.IntRange(0, 80).Draw(t, "n")),
				scan:  rapid.Bool().Draw(t, "scan"), most: rapid.SampledFrom([]int{1, 5, 100, 5000}).Draw(t, "most"),
				span: projections.Span{Prefix: prefix, Reverse: rapid.IntRange(0, 4).Draw(t, "reverse") == 0},
			}
			if rapid.Bool().Draw(t, "from") {
				q.span.From = prefix + fmt.Sprintf("%02d", rapid.IntRange(0, 50).Draw(t, "from"))
			}
			questions = append(questions, q)
		}
		ask := func(v projections.View, q question) string {
			table := projections.Table[numbered]{Name: q.table}
			if !q.scan {
				row, found, err := table.Get(v, q.key)
				return fmt.Sprint(row, found, err)
			}
			var b strings.Builder
			n := 0
			for entry, err := range table.Scan(v, q.span) {
				fmt.Fprintln(&b, entry, err)
				if n++; n == q.most {
					break
				}
			}
			return b.String()
		}
		shared := newShelf(nil)
		var readers sync.WaitGroup
		faults := make(chan string, 4*len(questions))
		for reader := range 4 {
			readers.Go(func() {
				for i := range questions {
					q := questions[(i+reader)%len(questions)]
					want := ask(&rowsOf{tables: tables}, q)
					if found := ask(lender{&rowsOf{tables: tables}, shared}, q); found != want {
						faults <- fmt.Sprintf("%+v: want\n%s\nfound\n%s", q, want, found)
					}
				}
			})
		}
		readers.Wait()
		close(faults)
		for fault := range faults {
			t.Fatal(fault)
		}
		if shared.count > maxShelved {
			t.Fatalf("want at most %d things shared, found %d", maxShelved, shared.count)
		}
	})
}

// The second reader of the same finds it read and decoded.
func TestAShelfIsReadOnce(t *testing.T) {
	tables := map[string]map[string]string{"t": {"a1": `{"n":1}`, "b1": `{"n":2}`, "b2": `{"n":3}`}}
	shared := newShelf(nil)
	table := projections.Table[numbered]{Name: "t"}
	for reader, most := range []int{4, 0, 0} {
		rows := &rowsOf{tables: tables}
		v := lender{rows, shared}
		if row, found, err := table.Get(v, "b1"); row.N != 2 || !found || err != nil {
			t.Fatal(row, found, err)
		}
		if _, found, err := table.Get(v, "c"); found || err != nil {
			t.Fatal(found, err)
		}
		for _, prefix := range []string{"a", "b", "c"} {
			for _, err := range table.Scan(v, projections.Span{Prefix: prefix}) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if rows.reads > most {
			t.Errorf("reader %d: want at most %d reads, found %d", reader, most, rows.reads)
		}
	}
}
