package pebblelog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// places is the number of places at which a folder is damaged, one at a time: 40, or
// RIFT_DAMAGE_PLACES.
func places(t *testing.T) int {
	text := os.Getenv("RIFT_DAMAGE_PLACES")
	if text == "" {
		return 40
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDamageAnywhere changes, zeroes, cuts and removes files of a folder at random. After
// each, everything that was acknowledged is found, or the error says what is missing. A
// folder that is refused does not change, no position is used twice, and a salvage finds
// every event that has an undamaged copy.
func TestDamageAnywhere(t *testing.T) {
	lives := []*life{firstLife(t), laterLife(t)}
	outcomes := map[string]int{}
	for seed := range places(t) {
		random := rand.New(rand.NewPCG(uint64(seed), 11))
		l := lives[seed%len(lives)]
		disk := l.clone(t)
		d := damageSomewhere(t, disk, random)
		if !t.Run(fmt.Sprintf("%d %s %s", seed, l.name, d), func(t *testing.T) {
			outcome := l.checkOpen(t, disk)
			outcomes[d.what+", "+kindOf(d.file)+": "+outcome]++
			again := l.clone(t)
			d.do(t, again)
			l.checkSalvage(t, again, d)
		}) {
			break
		}
	}
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%5d %s", outcomes[outcome], outcome)
	}
}

// cloneFS copies the files of a folder. A log that uses them may remove one that it does not
// need any more between the listing and the copying; then they are listed again.
func cloneFS(t *testing.T, from *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	for {
		to := vfs.NewMem()
		if err := to.MkdirAll(lifeFolder, 0o755); err != nil {
			t.Fatal(err)
		}
		names, err := from.List(lifeFolder)
		if err != nil {
			t.Fatal(err)
		}
		whole := true
		for _, name := range names {
			data, err := readFile(from, name)
			if whole = !errors.Is(err, fs.ErrNotExist); !whole {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			replaceFile(t, to, name, data)
		}
		if whole {
			return to
		}
	}
}

func contents(t *testing.T, disk vfs.FS, name string) []byte {
	t.Helper()
	data, err := readFile(disk, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readFile(disk vfs.FS, name string) ([]byte, error) {
	file, err := disk.Open(disk.PathJoin(lifeFolder, name))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}

func replaceFile(t *testing.T, disk vfs.FS, name string, data []byte) {
	t.Helper()
	file, err := disk.Create(disk.PathJoin(lifeFolder, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// damage is one change of one file.
type damage struct {
	what, file string
	from, to   int64
	mask       byte
}

func (d damage) String() string { return fmt.Sprintf("%s %s %d-%d", d.what, d.file, d.from, d.to) }

// kindOf returns the kind of a file, because the numbers in names differ between runs.
func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".log"):
		return "write-ahead log"
	case strings.HasSuffix(name, ".sst"):
		return "table"
	}
	kind, _, _ := strings.Cut(name, "-0")
	return strings.TrimRight(kind, ".0123456789")
}

// damageSomewhere chooses the kind of file first, so that small files are damaged too.
func damageSomewhere(t *testing.T, disk *vfs.MemFS, random *rand.Rand) damage {
	t.Helper()
	names, err := disk.List(lifeFolder)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	kinds := map[string][]string{}
	for _, name := range names {
		kinds[kindOf(name)] = append(kinds[kindOf(name)], name)
	}
	// Most of the damage is in files that have events.
	choice := append(slices.Sorted(maps.Keys(kinds)), "write-ahead log", "write-ahead log", "write-ahead log", "table", "table", "table")
	var from []string
	for len(from) == 0 {
		from = kinds[choice[random.IntN(len(choice))]]
	}
	d := damage{file: from[random.IntN(len(from))], mask: byte(1 + random.IntN(255))}
	data := contents(t, disk, d.file)
	used := int64(len(bytes.TrimRight(data, "\x00"))) // the rest are zeros written ahead
	if used == 0 || random.IntN(12) == 0 {
		d.what, d.to = "remove", int64(len(data))
	} else {
		d.from = random.Int64N(used)
		switch random.IntN(4) {
		case 0:
			d.what, d.to = "cut", int64(len(data))
		case 1:
			d.what, d.to = "zero", min(d.from+1+random.Int64N(4096), int64(len(data)))
		default:
			d.what, d.to = "flip", d.from+1
		}
	}
	d.do(t, disk)
	return d
}

func (d damage) do(t *testing.T, disk *vfs.MemFS) {
	t.Helper()
	data := contents(t, disk, d.file)
	switch d.what {
	case "remove":
		if err := disk.Remove(disk.PathJoin(lifeFolder, d.file)); err != nil {
			t.Fatal(err)
		}
		return
	case "cut":
		data = data[:d.from]
	case "zero":
		clear(data[d.from:d.to])
	case "flip":
		data[d.from] ^= d.mask
	}
	replaceFile(t, disk, d.file, data)
}
