package recorded

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/eventlog"
)

// The order is time, rank, order of adding, however little a sorter may hold in memory.
func TestSorterOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			at    time.Time
			rank  int64
			value string
		}
		s := &sorter{bound: rapid.SampledFrom([]int{0, 1, 100, 1000, 1 << 20}).Draw(t, "bound")}
		defer s.close()
		var want, found []entry
		for i := range rapid.IntRange(0, 200).Draw(t, "values") {
			at := rapid.SampledFrom([]time.Time{{}, time.Unix(-5, 7).UTC(), time.Unix(100, 1).UTC(), time.Unix(100, 2).UTC(), time.Unix(1<<33, 0).UTC()}).Draw(t, "time")
			one := entry{at, rapid.Int64Range(-2, 2).Draw(t, "rank"), fmt.Sprint(i) + strings.Repeat("x", rapid.IntRange(0, 90).Draw(t, "length"))}
			if err := s.add(one.at, one.rank, []byte(one.value)); err != nil {
				t.Fatal(err)
			}
			want = append(want, one)
		}
		slices.SortStableFunc(want, func(a, b entry) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.rank, b.rank)) })
		for kept, err := range s.all() {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, entry{kept.key.time(), kept.key.rank, string(kept.value)})
		}
		if !slices.Equal(want, found) {
			t.Fatalf("want %v, found %v", want, found)
		}
	})
}

// A mapping that sorts by time gives the same events and report with and without scratch
// files, which are removed at the end.
func TestSortedRecordingsLieInScratchFiles(t *testing.T) {
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	for _, test := range shippedRecordings {
		path := filepath.Join("testdata", "mapped", test.file)
		var results []string
		for _, bytes := range []int{0, 1, 700} {
			log := eventlog.NewMemory()
			options := Options{Mapping: shippedMapping(t, test.mapping), sortBytes: bytes}
			options.Mapping.SortTimes = true
			report, err := Import(t.Context(), log, catalog(t), MappingFormat, []string{path}, options)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := report.WriteText(&text, 0); err != nil {
				t.Fatal(err)
			}
			var ids strings.Builder
			for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintln(&ids, e.ID)
			}
			results = append(results, said(t, log)+ids.String()+text.String())
		}
		if results[0] != results[1] || results[0] != results[2] || !strings.Contains(results[0], "TASK_") {
			t.Errorf("%s: want the same in memory and in files, found\n%s\nand\n%s\nand\n%s", test.file, results[0], results[1], results[2])
		}
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("want no scratch file left, found %v, %v", left, err)
	}
	t.Setenv("TMPDIR", filepath.Join(scratch, "missing"))
	_, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), MappingFormat, []string{filepath.Join("testdata", "mapped", "sacct.txt")},
		Options{Mapping: shippedMapping(t, "sacct"), sortBytes: 1})
	if err == nil || !strings.Contains(err.Error(), "scratch file") || !strings.Contains(err.Error(), "TMPDIR names another folder") {
		t.Errorf("want to be told of the scratch folder, found %v", err)
	}
}
