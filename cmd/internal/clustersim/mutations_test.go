package clustersim

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/race"
)

var flagMutated = flag.Int("clustersim.mutated", 0, "number of seeds to play with each mutation, to count in how many it is found")

// rare are mutations that the first seed does not find, each with one that does. Where the
// log of the test says that more than one seed was played, a later seed belongs here.
var rare = map[string]uint64{
	"double-vote": 17, "stale-queue": 16, "deposed-reads": 23, "endless-appends": 12, "forgotten-commands": 10, "hasty-voters": 7, "unsaid-recovery": 2,
}

// mutatedMost bounds the seeds that are played with a mutation until one finds it.
const mutatedMost = 60

// found reports whether a violation is one that the mutation has to cause.
func (m *mutation) found(broken []string) bool {
	return slices.ContainsFunc(broken, func(text string) bool {
		return slices.ContainsFunc(m.seen, func(part string) bool { return strings.Contains(text, part) })
	})
}

// Each mutation is found by a check. Under the race detector, whose records of ended
// coroutines take 10 GB, the test plays one mutation of ten.
func TestTheSimulationFindsBrokenRules(t *testing.T) {
	for _, m := range race.Some(mutations, 10) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			played, found, otherwise := 0, 0, 0
			first, most := max(rare[m.name], 1), mutatedMost
			if *flagMutated > 0 {
				first, most = *flagFrom, *flagMutated
			}
			for played < most && (*flagMutated > 0 || found == 0) {
				plan := planned().With(first + uint64(played))
				plan.Breaks = m.name
				played++
				r, err := Run(t.Context(), plan)
				switch {
				case err != nil:
					t.Fatalf("seed %d: %v", plan.Seed, err)
				case m.found(r.Broken):
					found++
				case len(r.Broken) > 0:
					otherwise++
				}
			}
			t.Logf("%s | %s | found in %d of %d seeds, another rule in %d", m.does, m.rule, found, played, otherwise)
			if found == 0 {
				t.Errorf("%s: want it found as %q", m.does, m.seen)
			}
		})
	}
}
