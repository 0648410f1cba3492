package esdbserver_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
)

// round is a period in which some consumers take events of a group.
type round struct {
	mu       sync.Mutex
	received int
	want     int
	enough   chan struct{} // closed when so many were received
	handled  map[string]bool
	parked   map[string]bool
}

func (r *round) took(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.parked, id)
	if r.received++; r.received == r.want {
		close(r.enough)
	}
}

// consume takes events until the round is over, and handles, refuses, parks or forgets
// each. It always has room for one more.
func (r *round) consume(m *member, room int, random *rand.Rand) {
	for forgotten := 0; ; {
		message, err := m.call.Recv()
		if err != nil {
			return
		}
		e := message.GetEvent()
		id := e.GetEvent().GetId()
		action := persistent.ReadReq_Nack_Unknown
		switch random.IntN(12) {
		case 0:
			action = persistent.ReadReq_Nack_Park
		case 1:
			action = persistent.ReadReq_Nack_Retry
		case 2:
			if forgotten < room-1 {
				forgotten++
				r.took(id.GetString_())
				continue
			}
		}
		err = m.answer(id, action)
		r.took(id.GetString_())
		if err != nil {
			return
		}
		r.mu.Lock()
		switch {
		case action == persistent.ReadReq_Nack_Unknown:
			r.handled[id.GetString_()] = true
		case action == persistent.ReadReq_Nack_Park, e.GetRetryCount() >= groupRetries:
			r.parked[id.GetString_()] = true
		}
		r.mu.Unlock()
	}
}

const groupRetries = 3

// Every event is handled in the end, though consumers join, are killed, refuse and forget
// events at random, and the node restarts.
func TestGroupsLoseNothing(t *testing.T) {
	t.Parallel()
	for seed, strategy := range []string{"RoundRobin", "DispatchToSingle", "Pinned", "PinnedByCorrelation"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			random := rand.New(rand.NewPCG(uint64(seed), 1))
			const events = 200
			if got := w.script(t, fmt.Sprintf("group do=create stream=s group=g retries=%d history=50 strategy=%s", groupRetries, strategy)); got != "ok\n" {
				t.Fatal(got)
			}
			w.fill(t, "s", events)
			handled, parked := map[string]bool{}, map[string]bool{}
			rounds := 0
			for ; len(handled) < events; rounds++ {
				available := events
				for i := range events {
					if id := uuidNamed(fmt.Sprint("s", i)).GetString_(); handled[id] || parked[id] {
						available--
					}
				}
				r := &round{want: 1 + random.IntN(max(min(available, 40), 1)), enough: make(chan struct{}), handled: handled, parked: parked}
				var members []*member
				var running sync.WaitGroup
				for range 1 + random.IntN(3) {
					room := 2 + random.IntN(20)
					m, mine := w.join(t, "s", int32(room)), rand.New(rand.NewPCG(random.Uint64(), 1))
					members = append(members, m)
					running.Go(func() { r.consume(m, room, mine) })
				}
				giveUp := time.After(2 * time.Minute)
				for waiting := true; waiting; {
					if available == 0 || random.IntN(4) == 0 { // only what is parked is left
						if got := w.script(t, "group do=replay stream=s group=g"); got != "ok\n" {
							t.Fatal(got)
						}
					}
					select {
					case <-r.enough:
						waiting = false
					case <-time.After(20 * time.Millisecond):
					case <-giveUp:
						t.Fatalf("round %d: want %d of %d events, found %d: %v", rounds, r.want, available, r.received, w.info(t))
					}
				}
				for _, m := range members {
					m.stop()
				}
				running.Wait()
				if random.IntN(4) == 0 {
					w.stop()
					w.start(t)
				}
			}
			t.Logf("%d rounds", rounds)
		})
	}
}
