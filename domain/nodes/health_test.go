package nodes

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

func percent(v float64) *float64 { return &v }

// Silence is stretched by provider, by load and by a little jitter.
func TestPatienceByProviderAndLoad(t *testing.T) {
	p := DefaultPolicy().Patience
	for _, want := range []struct {
		node   domain.NodeID
		cpu    *float64
		factor float64
	}{
		{"vast-29128356", nil, 2.5},
		{"VAST-7", percent(79.9), 2.5},
		{"lambda-gh200-3", percent(80), 2 * 1.2},
		{"hetzner-cpu1", percent(95), 1.4},
		{"mac-studio", percent(0), 1},
		{"gpu-1", nil, 1.2},
		{"nodash", nil, 1.2},
	} {
		factor := p.Factor(want.node, want.cpu)
		if off := math.Abs(factor/want.factor - 1); off > 0.05 {
			t.Errorf("%s: want about %v, found %v", want.node, want.factor, factor)
		}
		if factor != p.Factor(want.node, want.cpu) {
			t.Errorf("%s: the factor changes from one look to the next", want.node)
		}
		if factor < p.Least() {
			t.Errorf("%s: %v is below the least factor %v", want.node, factor, p.Least())
		}
	}
}

// The jitter uses its whole range, and is even enough that nodes which fall
// silent together are not given up together.
func TestJitterSpreadsNodes(t *testing.T) {
	p := DefaultPolicy().Patience
	below := 0
	low, high := math.Inf(1), math.Inf(-1)
	const nodes = 1000
	for i := range nodes {
		f := p.Factor(domain.NodeID(fmt.Sprintf("hetzner-%d", i)), nil)
		low, high = min(low, f), max(high, f)
		if f < 1 {
			below++
		}
	}
	if low < 0.95 || high > 1.05 || low > 0.952 || high < 1.048 || below < 400 || below > 600 {
		t.Errorf("want 0.95 to 1.05, half of them below 1, found %v to %v, %d of %d below", low, high, below, nodes)
	}
}

// Row 26: whatever fails, and whenever, a breaker lets the next item through
// within the policy's longest open time; and quiet takes the doublings back.
func TestRow26BreakersExcludeNobodyForEver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := DefaultPolicy()
		policy.BreakerOpenSeconds = domain.Seconds(rapid.IntRange(1, 100).Draw(t, "open"))
		policy.BreakerMaxOpenSeconds = policy.BreakerOpenSeconds + domain.Seconds(rapid.IntRange(0, 5000).Draw(t, "most"))
		policy.BreakerDecaySeconds = domain.Seconds(rapid.IntRange(1, 2000).Draw(t, "decay"))
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		var b Breaker
		for range rapid.IntRange(1, 200).Draw(t, "failures") {
			until, opens := b.Reopen(now, policy)
			open := until.Sub(now)
			if open < policy.BreakerOpenSeconds.Duration() || open > policy.BreakerMaxOpenSeconds.Duration() {
				t.Fatalf("opening %d: want %v to %v, found %v", opens, policy.BreakerOpenSeconds.Duration(), policy.BreakerMaxOpenSeconds.Duration(), open)
			}
			b = b.Evolve(domain.Envelope{Time: now, Event: BreakerOpened{Until: until, Opens: opens}})
			now = until.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "later")) * time.Second)
		}
		now = now.Add(time.Duration(b.Opens) * policy.BreakerDecaySeconds.Duration())
		if _, opens := b.Reopen(now, policy); opens != 1 {
			t.Fatalf("after as much quiet as openings: want the first open time again, found opening %d", opens)
		}
	})
}

// Between the two limits nothing changes, and unknown is neither.
func TestReadingsHaveHysteresis(t *testing.T) {
	p := DefaultPolicy()
	var r Readings
	disk := func(v float64) Level { return Level{DiskPercent: &v} }
	for range p.UnhealthyReadings - 1 {
		r = r.Next(disk(93), p)
	}
	if r.Trouble(p) != "" {
		t.Fatalf("want no trouble after %d readings", p.UnhealthyReadings-1)
	}
	r = r.Next(Level{}, p).Next(disk(93), p)
	if r.Trouble(p) != "disk" {
		t.Fatal("want an unknown level to neither count nor interrupt")
	}
	r = r.Next(disk(92.9), p)
	if r.Trouble(p) != "" || r.Lifts("disk", p) {
		t.Fatal("want a reading between the limits to be neither trouble nor its end")
	}
	r = r.Next(disk(87), p).Next(Level{}, p)
	if r.Lifts("disk", p) {
		t.Fatalf("want the trouble over after %d readings, not one", p.RecoveredReadings)
	}
	if r = r.Next(disk(87), p); !r.Lifts("disk", p) || r.Lifts("memory", p) || r.Lifts("GPU errors", p) {
		t.Fatal("want the trouble with the disk over, and no other lifted")
	}
}

// A policy that an older rift wrote has the defaults of what it did not know.
func TestOldPolicyDocumentsKeepNewDefaults(t *testing.T) {
	var e domain.PolicyChanged
	if err := (domain.StandardCodec{}).Unmarshal([]byte(`{"name":"default","policy":{"nodes":{"silent_seconds":7}}}`), &e); err != nil {
		t.Fatal(err)
	}
	whole, err := domain.Sections{work.DefaultPolicy(), DefaultPolicy()}.Read(e.Policy)
	if faults := whole.Faults(); err != nil || len(faults) > 0 {
		t.Fatalf("want a document that works, found %v, %v", faults, err)
	}
	for _, document := range []domain.Policy{e.Policy, whole} {
		found := PolicyOf(document)
		if found.BreakerDecaySeconds != DefaultPolicy().BreakerDecaySeconds || found.SilentSeconds != 7 || work.PolicyOf(document).LeaseSeconds != 60 {
			t.Fatalf("want what it said and the defaults of the rest, found %+v", found)
		}
	}
}
