package election_test

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/ringrift/rift/domain/election"
)

var seeds = flag.Int("election.seeds", 200, "worlds that the simulation of elections plays")

// Under any faults of network, clocks and processes a voter grants one vote a term, terms
// only grow, two nodes never hold the lease, and the log has one leader a term. After the
// faults one node leads.
func TestNeverTwoLead(t *testing.T) {
	var failed []string
	elections := 0
	for seed := range *seeds {
		w := newWorld(uint64(seed), []int{1, 2, 3, 3, 4, 5, 5, 7}[seed%8])
		w.after(0, w.trouble)
		w.play(40 * worldLease)
		w.faults = false
		clear(w.cut)
		w.play(60 * worldLease)
		leads := 0
		for _, v := range w.voters {
			if phase, _ := v.member.Phase(); phase == election.Leading && v.member.Holds(w.clock(v)) {
				leads++
			}
		}
		if leads != 1 {
			w.fail("want one leader once all is well, found %d", leads)
		}
		if !slices.IsSortedFunc(w.log, func(a, b election.LeaderChanged) int { return cmp.Compare(a.Term, b.Term) }) {
			w.fail("terms on the log went back: %v", w.log)
		}
		elections += w.elected
		if w.wrong != "" {
			failed = append(failed, fmt.Sprintf("seed %d: %s", seed, w.wrong))
		}
	}
	t.Logf("%d elections in %d worlds", elections, *seeds)
	if len(failed) > 0 {
		t.Errorf("%d of %d worlds went wrong, the first:\n%s", len(failed), *seeds, failed[0])
	}
	if elections < 2**seeds {
		t.Errorf("want a world in which much is elected, found %d elections in %d worlds", elections, *seeds)
	}
}

// A voter that was cut off and returns finds the leader and the term unchanged.
func TestWhoReturnsDisturbsNobody(t *testing.T) {
	for seed := range uint64(30) {
		w := newWorld(seed, 3)
		w.faults = false
		w.play(10 * worldLease)
		if len(w.log) == 0 {
			t.Fatalf("seed %d: want a leader after ten leases", seed)
		}
		before := len(w.log)
		var away *simVoter
		for _, v := range w.voters {
			if v.id != w.log[before-1].Leader {
				away = v
			}
		}
		for b := range w.voters {
			w.cut[[2]int{away.at, b}], w.cut[[2]int{b, away.at}] = true, true
		}
		w.play(30 * worldLease)
		clear(w.cut)
		w.play(60 * worldLease)
		if w.wrong != "" || len(w.log) != before {
			t.Errorf("seed %d: want the election of before, found %v %s", seed, w.log, w.wrong)
		}
	}
}

// A minority elects no leader, however long it waits.
func TestAMinorityElectsNobody(t *testing.T) {
	for _, voters := range []int{2, 3, 4, 5, 8} {
		w := newWorld(uint64(voters), voters)
		w.faults = false
		for i := range (voters + 1) / 2 { // half of the voters or more are stopped
			w.voters[i].up = false
		}
		w.play(100 * worldLease)
		if len(w.log) > 0 || w.wrong != "" {
			t.Errorf("%d voters, %d of them up: want nobody elected, found %v %s", voters, voters/2, w.log, w.wrong)
		}
	}
}
