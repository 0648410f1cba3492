package work

import (
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
)

// SizingPolicy sets how large items of a type should be, in the units that they
// report when done (mostly games).
type SizingPolicy struct {
	TargetSeconds domain.Seconds `json:"target_seconds" doc:"how long an item is to take on the node that claims it"`
	Batch         int            `json:"batch" doc:"a size is a multiple of this, for example for pairs of games"`
	Least         int            `json:"least" doc:"smallest size"`
	Most          int            `json:"most" doc:"largest size; 0: none"`
	Unmeasured    int            `json:"unmeasured" doc:"size before the first measurement; 0: as in the item"`
	WindowSeconds domain.Seconds `json:"window_seconds" doc:"time spent on items over which measurements count in full; older ones count less"`
}

// defaultSizing sizes selfplay items to half an hour, in pairs of games.
func defaultSizing() map[string]SizingPolicy {
	return map[string]SizingPolicy{"selfplay": {TargetSeconds: 1800, Batch: 2, Least: 10, Most: 10000, WindowSeconds: 12 * 3600}}
}

// NodeClass returns the class of a node: the name of the first node policy that
// matches it, empty for none.
func (p Policy) NodeClass(node domain.NodeID) string {
	for i := range p.Scheduling.NodePolicies {
		if p.Scheduling.NodePolicies[i].Matches(string(node)) {
			return p.Scheduling.NodePolicies[i].Name
		}
	}
	return ""
}

const mostUnits = 1 << 30

func (p Policy) checkSizing(c *domain.PolicyChecks) {
	for _, taskType := range slices.Sorted(maps.Keys(p.Sizing)) {
		s, at := p.Sizing[taskType], "work.sizing."+taskType
		c.Positive(at+".target_seconds", float64(s.TargetSeconds))
		c.Positive(at+".window_seconds", float64(s.WindowSeconds))
		if s.TargetSeconds > 30*24*3600 || s.WindowSeconds > 365*24*3600 {
			c.Fault(at, "want a target of at most 30 days and a window of at most a year, found %v and %v", s.TargetSeconds, s.WindowSeconds)
		}
		if s.Batch < 1 || s.Batch > mostUnits {
			c.Fault(at+".batch", "want 1 to %d, found %d", mostUnits, s.Batch)
		}
		if s.Least < 0 || s.Most < 0 || s.Unmeasured < 0 || s.Most > mostUnits || s.Unmeasured > mostUnits || s.Most > 0 && s.Least > s.Most || s.Least > mostUnits {
			c.Fault(at+".least", "want 0 ≤ least ≤ most ≤ %d, found %d, %d, and %d unmeasured", mostUnits, s.Least, s.Most, s.Unmeasured)
		}
	}
}
