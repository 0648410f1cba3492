//go:build unix

package endtoend

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A node whose log is another node's, by the protocol of EventStoreDB, loses
// nothing and doubles nothing, whichever of the two is killed.
func TestKillOnAnotherNodesLog(t *testing.T) {
	seed := number(t, "RIFT_CRASH_SEED", uint64(time.Now().UnixNano()))
	t.Logf("RIFT_CRASH_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	hubData, data := filepath.Join(t.TempDir(), "hub"), filepath.Join(t.TempDir(), "node")
	hub := serve(t, hubData, "--insecure-esdb", "--node-id", "hub")
	ledger := newLedger()
	start := func() *process { return serve(t, data, "--log", "esdb://"+hub.address+"?tls=false") }
	const rounds = 5
	happened := 0
	for round := range rounds {
		node := start()
		c := node.caller()
		if round == 0 {
			ledger.must(t, c, quickly(0.3))
		}
		happened += settle(t, ledger, c)
		repeat(t, ledger, c, random, round)
		load := begin(t.Context(), ledger, c, fmt.Sprintf("r%d", round), crowd, random.Uint64())
		enough := 40 + random.Int64N(100)
		eventually(t, "some commands are answered", func() bool { return load.settled.Load() > enough || node.gone() })
		if round%2 == 1 { // the log goes away and comes back below a node that runs
			hub.kill()
			hub = serve(t, hubData, "--insecure-esdb", "--node-id", "hub", "--listen", hub.address)
			more := load.settled.Load() + 20
			eventually(t, "commands are answered again", func() bool { return load.settled.Load() > more || node.gone() })
		}
		if node.gone() {
			t.Fatalf("round %d: the node ended by itself", round)
		}
		if round == rounds-1 {
			load.stop()
			node.stop(syscall.SIGTERM)
		} else {
			node.kill()
			load.stop()
		}
		if folder := rift(t, "log", "stat", "--data", data); !strings.Contains(folder.stderr, "its log is at esdb://"+hub.address) {
			t.Errorf("want a folder that says where its log is, found %v", folder)
		}
	}
	node := start()
	happened += settle(t, ledger, node.caller())
	rebuilt := serve(t, filepath.Join(t.TempDir(), "rebuilt"), "--log", "esdb://"+hub.address+"?tls=false", "--read-only")
	eventually(t, "read models made anew say the same", func() bool {
		kept, fresh := rift(t, "work", "status", "--addr", node.address, "-o", "json"), rift(t, "work", "status", "--addr", rebuilt.address, "-o", "json")
		return kept.code == 0 && fresh.code == 0 && kept.stdout == fresh.stdout
	})
	for _, p := range []*process{rebuilt, node, hub} {
		p.stop(syscall.SIGTERM)
	}
	events := inspect(t, hubData)
	if len(events) < 2 || events[1].Type != "$User" {
		t.Fatalf("want the database's own two events first, found %v", events[:min(len(events), 2)])
	}
	var found faults
	byCommand := checkOrder(events, &found)
	ledger.checkAnswers(events, byCommand, &found)
	ledger.checkOrigins(events[2:], byCommand, &found)
	checkQueue(events, &found)
	found.tell(t, "at the end")
	sameModels(t, hubData)
	if err := ledger.unexpected(); err != nil {
		t.Error(err)
	}
	t.Logf("%d commands, %d events; %d commands without an answer had taken effect", len(ledger.entries), len(events), happened)
}
