package node

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// onDisk is a node whose log and read models are on a disk, with the function that ends
// it.
func onDisk(t *testing.T, disk *crashdisk.Disk) (*Node, func()) {
	t.Helper()
	log, err := pebblelog.Open("log", pebblelog.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(Config{Node: "n1", Log: log, StoreDir: "models", Store: store.Options{FS: disk, Small: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var actors sync.WaitGroup
	for _, actor := range []func(context.Context) error{n.Follow, n.Drain, n.Tick} {
		actors.Go(func() {
			if err := actor(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return n, func() {
		stop()
		actors.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
}

// crewOf runs workers until their node is to end.
type crewOf struct {
	mu     sync.Mutex
	told   map[string]Outcome
	orders map[string]Order
	all    sync.WaitGroup
}

func (c *crewOf) work(t *testing.T, n *Node, round int, seed uint64, stop <-chan struct{}) {
	for i := range uint64(6) {
		c.all.Go(func() {
			w := worker{fmt.Sprintf("r%dw%d", round, i), rand.New(rand.NewPCG(seed, uint64(round)*10+i)), map[domain.TaskID]uint64{}}
			for at := 0; ; at++ {
				select {
				case <-stop:
					return
				default:
				}
				order := Order{ID: fmt.Sprintf("%s/%d", w.name, at), Command: w.next()}
				c.mu.Lock()
				c.orders[order.ID] = order
				c.mu.Unlock()
				result, err := n.Do(t.Context(), order)
				w.heard(result)
				c.mu.Lock()
				c.told[order.ID] = Outcome{result, err}
				c.mu.Unlock()
			}
		})
	}
}

// Power is lost at a random moment under concurrent commands. Afterwards everything that
// was answered is in the log, the queue equals the fold of the log, and repeated commands
// get the same answers or happen once.
func TestPowerIsLostUnderLoad(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 99))
	disk := crashdisk.New()
	earlier := map[string]Outcome{}
	for round := range 4 {
		n, end := onDisk(t, disk)
		crew := &crewOf{told: map[string]Outcome{}, orders: map[string]Order{}}
		stop := make(chan struct{})
		crew.work(t, n, round, seed, stop)
		enough := 50 + random.IntN(200)
		waitsFor(t, func() bool {
			crew.mu.Lock()
			defer crew.mu.Unlock()
			return len(crew.told) >= enough
		})
		crew.mu.Lock()
		acknowledged := maps.Clone(crew.told)
		crew.mu.Unlock()
		disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
		close(stop)
		crew.all.Wait()
		end()
		n, end = onDisk(t, disk)
		a := audit(t, n, true)
		maps.Copy(earlier, acknowledged)
		for id, outcome := range earlier {
			a.answered(t, id, outcome.Result)
		}
		isTheFold(t, n)
		for _, id := range slices.Sorted(maps.Keys(crew.orders)) {
			order, before := crew.orders[id], acknowledged[id]
			was := idsOf(before.Result)
			again, err := n.Do(t.Context(), order)
			if len(was) == 0 {
				continue
			}
			if first, second := fmt.Sprint(before.Err), fmt.Sprint(err); first != second {
				t.Errorf("%s: want the answer %s again, found %s", id, first, second)
			}
			is := idsOf(again)
			if !again.Duplicate || slices.ContainsFunc(was, func(e string) bool { return !slices.Contains(is, e) }) {
				t.Errorf("%s %+v: want the events %v again, found %v", id, order.Command, was, is)
			}
		}
		quiet(t, n)
		audit(t, n, true)
		isTheFold(t, n)
		end()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// isTheFold checks that the queue of a node equals a fold of its log.
func isTheFold(t *testing.T, n *Node) {
	t.Helper()
	ended := map[domain.TaskID]bool{}
	folded, err := work.New(nil, func(id domain.TaskID) bool { return ended[id] })
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Queue(t.Context(), func(kept *work.Queue) error {
		for e, err := range n.log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{To: kept.Position()}) {
			if err != nil {
				return err
			}
			if err := n.catalog.Fill(&e); err != nil {
				return err
			}
			if err := folded.Apply(e); err != nil {
				return err
			}
			id := domain.TaskID(e.Stream.ID())
			if _, live := folded.Find(id); !live && e.Stream.Category() == work.Category {
				ended[id] = true
			}
		}
		want, err := folded.Digest()
		if err != nil {
			return err
		}
		if found, err := kept.Digest(); err != nil || found != want {
			t.Errorf("the queue is\n%+v\nand its fold\n%+v; %v", kept.Snapshot(), folded.Snapshot(), err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
