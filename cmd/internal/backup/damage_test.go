package backup_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/domain"
)

// noise is data that does not pack.
func noise(seed uint64, length int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, 0, length+8)
	for len(data) < length {
		data = binary.LittleEndian.AppendUint64(data, random.Uint64())
	}
	return data[:length]
}

func read(t *testing.T, files vfs.FS, name string) []byte {
	t.Helper()
	file, err := files.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return text
}

func replace(t *testing.T, files vfs.FS, name string, text []byte) {
	t.Helper()
	file, err := files.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(bytes.Clone(text)) // the disk may change what it is given
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// frame is where a frame stands in a file, and what it has.
type frame struct {
	file        string
	from, to    int // bytes, the second not included
	first, last domain.Position
}

const headBytes = 36 // of a frame

// framesOf reads where the frames of a file begin.
func framesOf(file string, text []byte) (all []frame) {
	for at := 0; at < len(text); {
		head := text[at:]
		first := domain.Position(binary.LittleEndian.Uint64(head[8:]))
		size := headBytes + int(binary.LittleEndian.Uint32(head[24:]))
		all = append(all, frame{file, at, at + size, first, first + domain.Position(binary.LittleEndian.Uint32(head[16:])) - 1})
		at += size
	}
	return all
}

// damageable is a backup of two files, the first of several frames.
func damageable(t *testing.T) (files vfs.FS, frames []frame, events domain.Position) {
	t.Helper()
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	for i := range 9 {
		if _, err := log.Append(t.Context(), domain.Stream("task", fmt.Sprint(i%2)), domain.AnyRevision, event(fmt.Sprint(i), noise(uint64(i), 400<<10))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, log, "backup", disk)
	fill(t, log, "more", 20)
	report := write(t, log, "backup", disk)
	for _, p := range report.Parts {
		frames = append(frames, framesOf(p.File, read(t, disk, "backup/"+p.File))...)
	}
	if len(frames) != 4 || len(report.Parts) != 2 {
		t.Fatalf("want three frames and one, found %+v", frames)
	}
	return disk, frames, report.Events
}

// TestDamageOfAByte changes bytes of every region of every file: the stretch that is named
// is that of the frame, or from it to the end of the file if its head is damaged. Under the race
// detector it tries every eighth place.
func TestDamageOfAByte(t *testing.T) {
	disk, frames, events := damageable(t)
	random := rand.New(rand.NewPCG(1, 2))
	for i, f := range frames {
		name := "backup/" + f.file
		whole := read(t, disk, name)
		end := events
		if f.file == frames[0].file {
			end = frames[2].last
		}
		var places []int
		for at := range headBytes {
			places = append(places, f.from+at)
		}
		for range 20 {
			places = append(places, f.from+headBytes+random.IntN(f.to-f.from-headBytes))
		}
		places = append(places, f.from+headBytes, f.to-1)
		for _, at := range race.Some(places, 8) {
			changed := bytes.Clone(whole)
			changed[at] ^= 1 << random.IntN(8)
			replace(t, disk, name, changed)
			last := f.last
			if at < f.from+headBytes {
				last = end
			}
			found, err := backup.Verify(t.Context(), "backup", options(disk))
			if err != nil || len(found.Damage) != 1 || found.Damage[0].First != f.first || found.Damage[0].Last != last || found.Damage[0].File != f.file || found.Damage[0].Offset != int64(f.from) {
				t.Fatalf("byte %d of %s: want events %d to %d damaged at %d, found %v, %v", at, f.file, f.first, last, f.from, found.Damage, err)
			}
			if want := events - (last - f.first + 1); found.Whole != want {
				t.Fatalf("byte %d of %s: want the other %d events whole, found %d", at, f.file, want, found.Whole)
			}
		}
		wantRefused(t, disk, domain.Corrupt, fmt.Sprint("frame ", i))
		replace(t, disk, name, whole)
	}
	wantWhole(t, disk, "backup", events)
}

// wantRefused tries to restore, which must leave no log.
func wantRefused(t *testing.T, files vfs.FS, code domain.Code, what string) {
	t.Helper()
	_, err := backup.Restore(t.Context(), "backup", "again/log", options(files))
	if domain.CodeOf(err) != code {
		t.Fatalf("%s: want %s, found %v", what, code, err)
	}
	if _, err := files.Stat("again/log"); err == nil {
		t.Fatalf("%s: want nothing restored, found a log", what)
	}
}

// TestDamageOfTheManifest changes each of its bytes.
func TestDamageOfTheManifest(t *testing.T) {
	disk, _, events := damageable(t)
	whole := read(t, disk, "backup/MANIFEST.json")
	for at := range whole {
		for _, bit := range []byte{1, 2, 32} {
			changed := bytes.Clone(whole)
			changed[at] ^= bit
			replace(t, disk, "backup/MANIFEST.json", changed)
			if found, err := backup.Verify(t.Context(), "backup", options(disk)); domain.CodeOf(err) != domain.Corrupt && domain.CodeOf(err) != domain.Invalid {
				t.Fatalf("byte %d, bit %d: want it refused, found %+v, %v\n%s", at, bit, found, err, changed)
			}
			if _, err := backup.Restore(t.Context(), "backup", "again/log", options(disk)); err == nil {
				t.Fatalf("byte %d, bit %d: want it refused", at, bit)
			}
		}
	}
	for length := range len(whole) {
		replace(t, disk, "backup/MANIFEST.json", whole[:length])
		if _, err := backup.Open(disk, "backup"); domain.CodeOf(err) != domain.Corrupt {
			t.Fatalf("cut to %d bytes: want it corrupt, found %v", length, err)
		}
	}
	replace(t, disk, "backup/MANIFEST.json", append(whole, '\n'))
	if _, err := backup.Open(disk, "backup"); domain.CodeOf(err) != domain.Corrupt {
		t.Fatalf("a line more: want it corrupt, found %v", err)
	}
	replace(t, disk, "backup/MANIFEST.json", whole)
	wantWhole(t, disk, "backup", events)
}

// TestDamageOfAFile cuts, lengthens, exchanges and removes files, and puts whole frames
// out of their place.
func TestDamageOfAFile(t *testing.T) {
	disk, frames, events := damageable(t)
	one, two := "backup/"+frames[0].file, "backup/"+frames[3].file
	whole, second := read(t, disk, one), read(t, disk, two)
	join := func(parts ...[]byte) (all []byte) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	piece := func(i int) []byte { return whole[frames[i].from:frames[i].to] }
	end := frames[2].last
	for _, c := range []struct {
		what        string
		text        []byte
		first, last domain.Position
	}{
		{"cut within the first head", whole[:10], 1, end},
		{"empty", nil, 1, end},
		{"cut between frames", whole[:frames[1].from], frames[1].first, end},
		{"cut within the second head", whole[:frames[1].from+5], frames[1].first, end},
		{"cut within the third frame", whole[:frames[2].to-1], frames[2].first, end},
		{"lengthened", join(whole, []byte("x")), end, end},
		{"the last frame twice", join(whole, piece(2)), end, end},
		{"a frame is missing", join(piece(0), piece(2)), frames[1].first, end},
		{"a frame stands twice", join(piece(0), piece(0), piece(1), piece(2)), frames[1].first, end},
		{"the file of others", second, 1, end},
	} {
		replace(t, disk, one, c.text)
		found, err := backup.Verify(t.Context(), "backup", options(disk))
		if err != nil || len(found.Damage) != 1 || found.Damage[0].First != c.first || found.Damage[0].Last != c.last {
			t.Errorf("%s: want events %d to %d damaged, found %v, %v", c.what, c.first, c.last, found.Damage, err)
		}
		wantRefused(t, disk, domain.Corrupt, c.what)
	}
	replace(t, disk, one, whole)
	if err := disk.Remove(two); err != nil {
		t.Fatal(err)
	}
	found, err := backup.Verify(t.Context(), "backup", options(disk))
	if err != nil || len(found.Damage) != 1 || found.Damage[0].First != end+1 || found.Damage[0].Last != events {
		t.Errorf("a missing file: want events %d to %d damaged, found %v, %v", end+1, events, found.Damage, err)
	}
	wantRefused(t, disk, domain.Corrupt, "a missing file")
}

// TestOtherEvents replaces a file by a whole one of another log with as many events.
func TestOtherEvents(t *testing.T) {
	disk := vfs.NewMem()
	for _, name := range []string{"a", "b"} {
		log := open(t, disk, "log-"+name)
		fill(t, log, name, 7)
		write(t, log, "backup-"+name, disk)
		fill(t, log, name+"more", 7)
		write(t, log, "backup-"+name, disk)
	}
	const second = "/000000000008-000000000014.events"
	replace(t, disk, "backup-a"+second, read(t, disk, "backup-b"+second))
	found, err := backup.Verify(t.Context(), "backup-a", options(disk))
	if err != nil || len(found.Damage) != 1 || found.Damage[0].First != 8 || found.Damage[0].Last != 14 {
		t.Errorf("want events 8 to 14 refused, found %v, %v", found.Damage, err)
	}
	if _, err := backup.Restore(t.Context(), "backup-a", "again/log", options(disk)); domain.CodeOf(err) != domain.Corrupt {
		t.Errorf("want it corrupt, found %v", err)
	}
}

// TestAFrameOfTooMuch has a frame whose head is whole and wants more memory than any frame
// of a backup.
func TestAFrameOfTooMuch(t *testing.T) {
	disk, frames, _ := damageable(t)
	name := "backup/" + frames[1].file
	text := read(t, disk, name)
	head := text[frames[1].from:]
	binary.LittleEndian.PutUint32(head[20:], 1<<30)
	binary.LittleEndian.PutUint32(head[32:], crc32.Checksum(head[:32], crc32.MakeTable(crc32.Castagnoli)))
	replace(t, disk, name, text)
	found, err := backup.Verify(t.Context(), "backup", options(disk))
	if err != nil || len(found.Damage) != 1 || found.Damage[0].First != frames[1].first || !strings.Contains(found.Damage[0].Error(), "want a frame of at most") {
		t.Errorf("want the frame refused by its size, found %v, %v", found.Damage, err)
	}
}
