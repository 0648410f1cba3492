package sched_test

import (
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain/sched"
)

// Whatever the queue does, pressure is hard exactly from the hard limit, never
// none from the soft one, ends exactly below recovery, and rises only at a limit.
func TestPressureHasHysteresis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := sched.PressureLimits{Recovery: rapid.IntRange(1, 20).Draw(t, "recovery")}
		limits.Soft = limits.Recovery + rapid.IntRange(0, 20).Draw(t, "soft")
		limits.Hard = limits.Soft + rapid.IntRange(0, 20).Draw(t, "hard")
		level := sched.NoPressure
		for _, pending := range rapid.SliceOf(rapid.IntRange(0, 70)).Draw(t, "pending") {
			next := limits.Next(level, pending)
			if (next == sched.HardPressure) != (pending >= limits.Hard) {
				t.Fatalf("%+v: %d after %s is %s", limits, pending, level, next)
			}
			if pending >= limits.Soft && next == sched.NoPressure || pending < limits.Recovery && next != sched.NoPressure {
				t.Fatalf("%+v: %d after %s is %s", limits, pending, level, next)
			}
			if pending >= limits.Recovery && pending < limits.Soft && (next == sched.NoPressure) != (level == sched.NoPressure) {
				t.Fatalf("%+v: %d after %s is %s, between recovery and soft", limits, pending, level, next)
			}
			if again := limits.Next(next, pending); again != next {
				t.Fatalf("%+v: %d after %s is %s, and then %s", limits, pending, level, next, again)
			}
			level = next
		}
	})
}

// An item's games are a whole number of batches within the bounds, and take no
// longer than wanted by what was measured, unless a bound or one batch is more.
func TestSizesFitTheTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sched.Sizing{
			Target: time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "target")), Concurrency: rapid.IntRange(1, 1000).Draw(t, "concurrency"),
			Batch: rapid.IntRange(1, 100).Draw(t, "batch"), Least: rapid.IntRange(0, 1000).Draw(t, "least"), Unmeasured: 50,
		}
		if rapid.Bool().Draw(t, "bounded") {
			s.Most = s.Least + s.Batch + rapid.IntRange(0, 10000).Draw(t, "most")
		}
		perGame := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "per game"))
		measured := sched.Throughput{}.Measured(1, perGame, 1, 0)
		sized := s.Games(measured)
		if sized.Games < s.Batch || sized.Games%s.Batch != 0 || sized.Games < s.Least || s.Most > 0 && sized.Games > s.Most {
			t.Fatalf("%+v: %+v", s, sized)
		}
		wanted := new(big.Int).Mul(big.NewInt(int64(s.Target)), big.NewInt(int64(s.Concurrency)))
		takes := new(big.Int).Mul(big.NewInt(int64(sized.Games)), big.NewInt(int64(perGame)))
		atLeast := max(s.Batch, s.Least+s.Batch-1)
		if takes.Cmp(wanted) > 0 && sized.Games > atLeast {
			t.Fatalf("%+v at %v a game: %+v takes longer", s, perGame, sized)
		}
		more := new(big.Int).Mul(big.NewInt(int64(sized.Games+s.Batch)), big.NewInt(int64(perGame)))
		capped := s.Most > 0 && sized.Games+s.Batch > s.Most || sized.Games > 1<<30-1000
		if more.Cmp(wanted) <= 0 && !capped {
			t.Fatalf("%+v at %v a game: %+v is less than there is time for", s, perGame, sized)
		}
	})
}

// What is measured lies between what went in, and nothing that cannot be is taken.
func TestThroughputStaysWithinMeasurements(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var measured sched.Throughput
		slowest, fastest := time.Duration(0), time.Duration(1<<62)
		for range rapid.IntRange(1, 50).Draw(t, "measurements") {
			games, perGame := rapid.IntRange(1, 500).Draw(t, "games"), time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds a game"))*time.Second
			measured = measured.Measured(games, time.Duration(games)*perGame, 1, 24*time.Hour)
			slowest, fastest = max(slowest, perGame), min(fastest, perGame)
		}
		// Halving rounds games up, so the estimate may be quicker by up to half.
		if found := measured.PerGame(); !found.Known || found.Value > slowest || found.Value < fastest/2 {
			t.Fatalf("want %v to %v, found %+v of %+v", fastest, slowest, found, measured)
		}
		for _, impossible := range []sched.Throughput{
			measured.Measured(0, time.Second, 1, 0), measured.Measured(1, 0, 1, 0), measured.Measured(1, -time.Second, 1, 0),
			measured.Measured(1, time.Second, 0, 0), measured.Measured(1, 1<<62, 1000, 0), measured.Measured(-5, time.Second, 1, 0),
		} {
			if impossible != measured {
				t.Fatalf("want %+v unchanged, found %+v", measured, impossible)
			}
		}
	})
}

// Victims are items that the claim may displace. They have the slots together, none of
// them is superfluous, and a single one is the gentlest that is large enough.
func TestVictimsAreTheLeastLoss(t *testing.T) {
	rules := compile(t, sched.DefaultPolicy())
	rapid.Check(t, func(t *rapid.T) {
		var running []sched.Running
		for i := range rapid.IntRange(0, 8).Draw(t, "running") {
			running = append(running, sched.Running{
				ID: string(rune('a' + i)), Rank: rapid.IntRange(0, 2).Draw(t, "rank"), Priority: rapid.IntRange(0, 60).Draw(t, "priority"),
				Slots: rapid.IntRange(1, 3).Draw(t, "slots"), Leased: epoch.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "leased"))),
			})
		}
		claim := sched.Claim{ID: "new", Rank: rapid.IntRange(0, 2).Draw(t, "rank"), Priority: rapid.IntRange(0, 100).Draw(t, "priority"), Slots: rapid.IntRange(1, 4).Draw(t, "slots")}
		may := func(r sched.Running) bool { return claim.Priority > r.Priority+20 && r.Rank >= claim.Rank }
		victims := rules.Victims(claim, running)
		again := rules.Victims(claim, rapid.Permutation(running).Draw(t, "in another order"))
		if !slices.Equal(again, victims) {
			t.Fatalf("%+v in another order %+v", victims, again)
		}
		able, freed := 0, 0
		for _, other := range running {
			if may(other) {
				able += other.Slots
			}
			if may(other) && other.Slots >= claim.Slots && (len(victims) != 1 || other.Priority < victims[0].Priority || other.Priority == victims[0].Priority && other.Leased.After(victims[0].Leased)) {
				t.Fatalf("%+v: want %+v, found %+v", claim, other, victims)
			}
		}
		for _, victim := range victims {
			if freed += victim.Slots; !may(victim) {
				t.Fatalf("%+v may not displace %+v", claim, victim)
			}
		}
		if enough := able >= claim.Slots; enough != (freed >= claim.Slots) || !enough && len(victims) > 0 {
			t.Fatalf("%+v: %d slots may be freed, found %+v", claim, able, victims)
		}
		for _, victim := range victims {
			if freed-victim.Slots >= claim.Slots {
				t.Fatalf("%+v: %+v can stay, found %+v", claim, victim, victims)
			}
		}
	})
}
