package store_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections/store"
)

// Damage that any reader meets ends Run with an error that says so, and what is
// made anew is the same as what never broke.
func TestDamagedRowsAreGivenUpAndMadeAnew(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 3000)
	s := open(t, small(fs), models(), nil)
	catchUp(t, s, log)
	closeStore(t, s)
	for name := range tablesOf(t, fs) {
		damageTable(t, fs, name)
	}
	s, err := store.Open("store", models(), nil, shopCatalog(t), small(fs))
	if err == nil {
		err = s.Run(t.Context(), log, store.Until{})
		_ = s.Close() // what it says of damage was said
	}
	wantDamaged(t, err)
	if err := store.Discard(fs, "store"); err != nil {
		t.Fatal(err)
	}
	s = open(t, small(fs), models(), nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	if digest(t, s).Total != digest(t, reference(t, log)).Total {
		t.Error("want the same rows as those that never broke")
	}
}

// Tables without the file that names their list are not taken for nothing.
func TestRowsWithoutTheirMarkerAreNotDeleted(t *testing.T) {
	for _, marker := range []string{"marker.manifest.", "marker.format-version."} {
		fs := vfs.NewMem()
		s := open(t, small(fs), models(), nil)
		catchUp(t, s, shopLog(t, 3000))
		closeStore(t, s)
		names, err := fs.List("store/rows")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasPrefix(name, marker) {
				if err := fs.Remove("store/rows/" + name); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := len(tablesOf(t, fs))
		_, err = store.Open("store", models(), nil, shopCatalog(t), small(fs))
		wantDamaged(t, err)
		if after := len(tablesOf(t, fs)); before == 0 || after != before {
			t.Errorf("want the %d tables left alone, found %d", before, after)
		}
	}
}

func wantDamaged(t *testing.T, err error) {
	t.Helper()
	var broken *store.Broken
	if !errors.As(err, &broken) || !broken.Damaged || !errors.Is(err, domain.ErrCorrupt) || !strings.Contains(err.Error(), "rift serve --rebuild") {
		t.Fatalf("want damaged read models and how to go on, found %v", err)
	}
}

func tablesOf(t *testing.T, fs *vfs.MemFS) map[string]bool {
	t.Helper()
	names, err := fs.List("store/rows")
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			tables["store/rows/"+name] = true
		}
	}
	return tables
}

// damageTable flips a byte of the first block of a table.
func damageTable(t *testing.T, fs *vfs.MemFS, name string) {
	t.Helper()
	file, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	data[10] ^= 1
	out, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = out.Write(data)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}
