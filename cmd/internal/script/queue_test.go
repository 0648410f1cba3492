package script

import (
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// At every position of every golden script, the queue that is folded from the log, the one
// loaded from the read models and the one of the node that decided are equal. The race
// detector tries one script of ten.
func TestTheQueueIsTheSameFoldedLoadedAndKept(t *testing.T) {
	for _, path := range race.Some(scriptFiles(t), 10) {
		t.Run(strings.TrimPrefix(path, scripts+"/"), func(t *testing.T) {
			sameQueues(t, played(t, path))
		})
	}
}

// sameQueues compares the queues of an Env.
func sameQueues(t *testing.T, env *Env) {
	t.Helper()
	ctx := t.Context()
	if err := env.node.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	ended := map[domain.TaskID]bool{}
	folded, err := work.New(nil, func(id domain.TaskID) bool { return ended[id] })
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	digest := func(q *work.Queue) string {
		t.Helper()
		text, err := q.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var last string
	for e, err := range env.log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if catalog.Fill(&e) != nil || !work.Concerns(e) {
			continue
		}
		if err := folded.Apply(e); err != nil {
			t.Fatal(err)
		}
		id := domain.TaskID(e.Stream.ID())
		if _, live := folded.Find(id); !live && e.Stream.Category() == work.Category {
			ended[id] = true
		}
		last = digest(folded)
		if err := env.node.Store().At(ctx, env.log, e.Position, func(v projections.View) error {
			loaded, err := workview.LoadQueue(v, nil)
			if err != nil {
				return err
			}
			if got := digest(loaded); got != last {
				t.Fatalf("at %d, after %s: folded %s\n%+v\nloaded %s\n%+v", e.Position, e, last, folded.Snapshot(), got, loaded.Snapshot())
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := env.node.Queue(ctx, func(kept *work.Queue) error {
		if got := digest(kept); last != "" && got != last {
			t.Fatalf("folded %s\n%+v\nkept %s\n%+v", last, folded.Snapshot(), got, kept.Snapshot())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
