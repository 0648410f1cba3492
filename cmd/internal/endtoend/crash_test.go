//go:build unix

package endtoend

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const crowd = 8

// Whatever a node acknowledged survives kill -9 at any moment, nothing else
// appears, and asking again about what was in flight has one effect.
func TestKill(t *testing.T) {
	rounds := int(number(t, "RIFT_CRASH_ROUNDS", 6))
	seed := number(t, "RIFT_CRASH_SEED", uint64(time.Now().UnixNano()))
	t.Logf("%d rounds, RIFT_CRASH_SEED=%d", rounds, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data := filepath.Join(t.TempDir(), "data")
	ledger := newLedger()
	unanswered, had, lateKills := 0, 0, 0
	for round := range rounds {
		if round > 0 && random.IntN(3) == 0 {
			lateKills++
			killWhileStarting(t, data, random)
		}
		node := serve(t, data)
		c := node.caller()
		if round == 0 {
			ledger.must(t, c, quickly(0.3))
		}
		had += settle(t, ledger, c)
		repeat(t, ledger, c, random, round)
		if round%3 == 1 { // the read models reach the disk; the next kill leaves them behind the log
			node.stop(syscall.SIGTERM)
			node = serve(t, data)
			c = node.caller()
		}
		load := begin(t.Context(), ledger, c, fmt.Sprintf("r%d", round), crowd, random.Uint64())
		moment, enough := time.After(time.Duration(random.IntN(500))*time.Millisecond), random.Int64N(200)
		eventually(t, "some commands are answered", func() bool { return load.settled.Load() > enough || node.gone() })
		<-moment
		if node.gone() {
			t.Fatalf("round %d: the node ended by itself", round)
		}
		node.kill()
		load.stop()
		unanswered += len(ledger.pick((*entry).open))
		audit(t, ledger, data, fmt.Sprintf("after kill %d", round))
		if t.Failed() {
			t.FailNow()
		}
	}
	node := serve(t, data)
	had += settle(t, ledger, node.caller())
	node.stop(syscall.SIGTERM)
	total := audit(t, ledger, data, "at the end")
	rift(t, "log", "verify", "--data", data).must(t)
	if err := ledger.unexpected(); err != nil {
		t.Error(err)
	}
	if unanswered == 0 {
		t.Error("no kill interrupted a command; want at least one")
	}
	t.Logf("%d commands, %d events; %d commands in flight at kills, %d of them had taken effect; %d kills while starting", len(ledger.entries), total, unanswered, had, lateKills)
}

// killWhileStarting starts a node and kills it before or just after it is ready.
func killWhileStarting(t *testing.T, data string, random *rand.Rand) {
	t.Helper()
	node, _ := launch(t, nil, data)
	<-time.After(time.Duration(random.IntN(60)) * time.Millisecond)
	node.kill()
}

// settle asks again about every command whose fate is open, and tells how many
// had happened.
func settle(t *testing.T, l *ledger, c *caller) int {
	t.Helper()
	happened := 0
	for _, open := range l.pick((*entry).open) {
		a, err := l.do(t.Context(), c, open.order)
		if err != nil || a.Status >= 500 {
			t.Fatalf("%s %s again: found %v, %v", open.path, open.key, a, err)
		}
		if a.Duplicate {
			happened++
		}
	}
	return happened
}

// repeat sends some commands again that were answered; the audits compare the
// answers.
func repeat(t *testing.T, l *ledger, c *caller, random *rand.Rand, round int) {
	t.Helper()
	answered := l.pick(func(e *entry) bool { return e.settled() && len(e.answers[0].Events) > 0 })
	for range min(20, len(answered)) {
		again := answered[random.IntN(len(answered))]
		a, err := l.do(t.Context(), c, again.order)
		if err != nil || again.answers[0].ok() && !a.Duplicate {
			t.Errorf("round %d, %s %s repeated: found %v, %v, want it called a duplicate", round, again.path, again.key, a, err)
		}
	}
}

// audit checks a folder that nobody has open, and counts its events.
func audit(t *testing.T, l *ledger, data, when string) int {
	t.Helper()
	events := inspect(t, data)
	l.check(events).tell(t, when)
	sameModels(t, data)
	return len(events)
}
