package bench

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// shape is what a key and its value weigh, by the prefix of the key.
type shape struct {
	prefix     byte
	key, value int
}

func shapes(t *testing.T, db *pebble.DB) []shape {
	t.Helper()
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var found []shape
	for valid := it.First(); valid; valid = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, shape{it.Key()[0], len(it.Key()), len(value)})
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b shape) int { return int(a.prefix) - int(b.prefix) })
	return found
}

// The bound writes exactly what the log writes: as many keys of the same size,
// with values of the same size, under the same options.
func TestRawWritesWhatTheLogWrites(t *testing.T) {
	payload := text(1024)
	logDir := t.TempDir()
	log, err := pebblelog.Open(logDir, pebblelog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const events = 40
	for n := range events {
		if _, err := log.Append(t.Context(), own(7), expecting(n), appended(7, n, payload)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	options, err := rawOptions(logDir)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := openRaw(logDir, options, true)
	if err != nil {
		t.Fatal(err)
	}
	want := shapes(t, stored)
	if err := stored.Close(); err != nil {
		t.Fatal(err)
	}

	raw, err := openRaw(filepath.Join(t.TempDir(), "raw"), options, false)
	if err != nil {
		t.Fatal(err)
	}
	w := rawWriter{db: raw}
	for n := range events {
		event := appended(7, n, payload)
		if err := w.write(own(7), domain.Revision(n), &event); err != nil {
			t.Fatal(err)
		}
	}
	found := shapes(t, raw)
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found, want) {
		t.Errorf("want %v, found %v", want[:3], found[:3])
	}
	if len(want) < 3*events {
		t.Errorf("want at least three keys an event, found %d", len(want))
	}
}

// What is read back from an OPTIONS file is what the log was opened with.
func TestRawOptionsSurvive(t *testing.T) {
	dir := t.TempDir()
	log, err := pebblelog.Open(dir, pebblelog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	once, err := rawOptions(dir)
	if err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	db, err := openRaw(again, once, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	twice, err := rawOptions(again)
	if err != nil {
		t.Fatal(err)
	}
	if once.String() != twice.String() {
		t.Errorf("want\n%s\nfound\n%s", once, twice)
	}
	if once.Levels[0].BlockSize != 32<<10 || once.Levels[0].FilterPolicy == pebble.NoFilterPolicy {
		t.Errorf("want the log's blocks and filters, found %+v", once.Levels[0])
	}
	if _, err := rawOptions(t.TempDir()); err == nil {
		t.Error("want an error for a folder without a database")
	}
}
