package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	edge "github.com/ringrift/rift/transport/backup"
)

// told is a log of given events, which no engine would have stored so.
type told struct {
	eventlog.Log
	events []domain.Envelope
}

func (l told) Frontier() (pebblelog.Frontier, error) {
	return pebblelog.Frontier{Head: l.events[len(l.events)-1].Position}, nil
}

func (l told) Head(context.Context) (domain.Position, error) {
	return l.events[len(l.events)-1].Position, nil
}

func (l told) ReadAll(_ context.Context, from domain.Position, _ eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for _, e := range l.events {
			if e.Position >= from && e.Position <= filter.To && !yield(e, nil) {
				return
			}
		}
	}
}

func envelopes(data []byte, places ...domain.Position) (all []domain.Envelope) {
	for i, at := range places {
		e := event(fmt.Sprint(at), data)
		all = append(all, domain.Envelope{Position: at, Stream: "task-a", Revision: domain.Revision(i), ID: e.ID, Type: e.Type, Version: 1, Time: e.Time, Data: data})
	}
	return all
}

// TestAGapIsNotBackedUp has logs that lack events at their beginning and in between.
func TestAGapIsNotBackedUp(t *testing.T) {
	for _, places := range [][]domain.Position{{1, 2, 4, 5}, {3, 4, 5}} {
		disk := vfs.NewMem()
		_, err := backup.Write(t.Context(), backup.Of(told{events: envelopes([]byte("{}"), places...)}), "backup", options(disk))
		if domain.CodeOf(err) != domain.Corrupt || !strings.Contains(err.Error(), "the log has a gap, and a backup has every position") {
			t.Errorf("positions %v: want it refused, found %v", places, err)
		}
		if found, err := backup.Verify(t.Context(), "backup", options(disk)); err != nil || found.Events != 0 {
			t.Errorf("positions %v: want no event backed up, found %d, %v", places, found.Events, err)
		}
	}
}

// TestWhatIsNoLogIsNotRestored has whole backups of what no log would have: the restoration
// fails for the event, or because the log reads back another one.
func TestWhatIsNoLogIsNotRestored(t *testing.T) {
	large := envelopes(noise(1, 1<<20), 1, 2, 3, 4, 5, 6, 7, 8)
	twice := slices.Clone(large)
	twice[2].ID = twice[1].ID
	jumps := slices.Clone(large)
	jumps[5].Revision = 9
	changes := slices.Clone(large)
	changes[3].Meta.Request = "a\nb"
	for what, c := range map[string]struct {
		events []domain.Envelope
		code   domain.Code
		want   string
	}{
		"an event that stands twice":        {twice, domain.Corrupt, "event 3 of stream task-a: the backup has it twice"},
		"a revision too high":               {jumps, domain.Conflict, "event 6 of stream task-a: stream task-a: want revision 8, found 4"},
		"metadata that the log keeps apart": {changes, domain.Corrupt, "read back one with"},
	} {
		disk := vfs.NewMem()
		if _, err := backup.Write(t.Context(), backup.Of(told{events: c.events}), "backup", options(disk)); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, disk, "backup", 8)
		_, err := backup.Restore(t.Context(), "backup", "again/log", options(disk))
		if domain.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("%s: want %q, found %v", what, c.want, err)
		}
		if _, err := disk.Stat("again/log"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: want no log, found one, %v", what, err)
		}
	}
}

// TestLimitsAlone backs up a log of which only the limits of streams have changed.
func TestLimitsAlone(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	fill(t, log, "a", 5)
	write(t, log, "backup", disk)
	want := eventlog.StreamMeta{MaxCount: 1}
	if err := log.SetStreamMeta(t.Context(), "task-a0", want); err != nil {
		t.Fatal(err)
	}
	if report := write(t, log, "backup", disk); report.Added != 0 || report.Limits["task-a0"] != want {
		t.Errorf("want the limits and no event, found %+v", report)
	}
	if found := wantWhole(t, disk, "backup", 5); found.Limits["task-a0"] != want || len(found.Parts) != 1 {
		t.Errorf("want the limits kept, found %+v", found)
	}
}

// TestLeftoversAreRemoved has files of backups that were interrupted, of another length
// than the next one.
func TestLeftoversAreRemoved(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	fill(t, log, "a", 5)
	write(t, log, "backup", disk)
	for _, name := range []string{"000000000006-000000000007.events", "000000000006-000000000008.events.new", "MANIFEST.json.new"} {
		replace(t, disk, "backup/"+name, []byte("half"))
	}
	wantWhole(t, disk, "backup", 5)
	fill(t, log, "b", 4)
	write(t, log, "backup", disk)
	names, err := disk.List("backup")
	slices.Sort(names)
	if want := []string{"000000000001-000000000005.events", "000000000006-000000000009.events", "LOCK", "MANIFEST.json"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("want %v, found %v, %v", want, names, err)
	}
}

// overtaken is a source that another backup is made of after it told where it ends.
type overtaken struct {
	backup.Source
	meanwhile func()
}

func (s *overtaken) Frontier(ctx context.Context) (edge.Frontier, error) {
	frontier, err := s.Source.Frontier(ctx)
	if s.meanwhile != nil {
		s.meanwhile()
		s.meanwhile = nil
	}
	return frontier, err
}

// TestAnotherBackupMeanwhile has a backup overtaken by another one, which has more.
func TestAnotherBackupMeanwhile(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	fill(t, log, "a", 5)
	report, err := backup.Write(t.Context(), &overtaken{backup.Of(log), func() {
		fill(t, log, "b", 5)
		write(t, log, "backup", disk)
	}}, "backup", options(disk))
	if err != nil || report.Added != 0 || report.Events != 10 {
		t.Errorf("want nothing added to the 10 events there, found %d of %d, %v", report.Added, report.Events, err)
	}
}
