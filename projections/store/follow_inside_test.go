package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// What a live log brings while nobody waits for it is committed together, a
// little later; whoever waits for a position is not kept waiting.
func TestEventsThatNobodyWaitsForShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openFlights(t)
		log := eventlog.NewMemory()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, log, Until{}) }()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		come := func(n int) (head domain.Position) {
			for range n {
				id := domain.DeriveID("flight", int(head)+int(s.Position()))
				receipt, err := log.Append(ctx, "flight-1", domain.AnyRevision, eventlog.Proposed{ID: id, Type: "FLOWN", Version: 1, Time: time.Now(), Data: []byte(`{}`)})
				if err != nil {
					t.Fatal(err)
				}
				head = receipt.Last
				synctest.Wait()
			}
			return head
		}
		before := s.views.tables.begun()
		head := come(10)
		if s.Position() != 0 || s.views.tables.begun() != before {
			t.Errorf("want nothing committed yet, found %d commits, up to %d", s.views.tables.begun()-before, s.Position())
		}
		<-time.After(commitDelay)
		synctest.Wait()
		if s.Position() != head || s.views.tables.begun() != before+1 {
			t.Errorf("want one commit up to %d, found %d, up to %d", head, s.views.tables.begun()-before, s.Position())
		}
		head, asked := come(1), time.Now()
		if err := s.WaitFor(ctx, head); err != nil || time.Since(asked) > 0 {
			t.Errorf("want %d at once for whoever waits, found it %s later, %v", head, time.Since(asked), err)
		}
	})
}
