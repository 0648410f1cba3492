package nodes

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// meters is the number of values of a level that have limits.
const meters = 4

// limit is one of them: above one bound a node is in trouble, below the other it
// has recovered. In between nothing changes.
type limit struct {
	Name        string // the reason for being unhealthy
	value       *float64
	over, under float64 // over = 0: no limit
}

// limits returns the limits, the most serious trouble first.
func (p Policy) limits() [meters]limit {
	return [meters]limit{
		{Name: "disk", over: p.DiskUnhealthyPercent, under: p.DiskRecoveredPercent},
		{Name: "memory", over: p.MemoryUnhealthyPercent, under: p.MemoryRecoveredPercent},
		{Name: "gpu_memory", over: p.GPUMemoryUnhealthyPercent, under: p.GPUMemoryRecoveredPercent},
		{Name: "cpu", over: p.CPUUnhealthyPercent, under: p.CPURecoveredPercent},
	}
}

func (l Level) against(p Policy) [meters]limit {
	limits := p.limits()
	for i, value := range [meters]*float64{l.DiskPercent, l.MemoryPercent, l.GPUMemoryPercent, l.CPUPercent} {
		limits[i].value = value
	}
	return limits
}

// Readings counts how often in a row a node reported a value above a limit, and
// below the lower bound. A value missing from a report leaves its counts unchanged.
type Readings struct{ over, under [meters]int }

// Next applies a report.
func (r Readings) Next(l Level, p Policy) Readings {
	for i, limit := range l.against(p) {
		switch {
		case limit.value == nil:
		case limit.over > 0 && *limit.value >= limit.over:
			r.over[i], r.under[i] = r.over[i]+1, 0
		case limit.over == 0 || *limit.value < limit.under:
			r.over[i], r.under[i] = 0, r.under[i]+1
		default:
			r.over[i], r.under[i] = 0, 0
		}
	}
	return r
}

// Trouble returns why a node is unhealthy by its levels; empty for none.
func (r Readings) Trouble(p Policy) string {
	for i, limit := range p.limits() {
		if r.over[i] >= p.UnhealthyReadings {
			return limit.Name
		}
	}
	return ""
}

// Lifts reports whether trouble that levels showed is over.
func (r Readings) Lifts(reason string, p Policy) bool {
	for i, limit := range p.limits() {
		if limit.Name == reason {
			return r.under[i] >= p.RecoveredReadings
		}
	}
	return false
}

// Factor returns by how much the allowed silence of a node is extended: by its
// provider, by its last known load (nil: unknown), and by a jitter derived from its
// name, so that nodes that fell silent together are not given up at the same time.
func (p PatiencePolicy) Factor(id domain.NodeID, cpu *float64) float64 {
	provider, _, _ := strings.Cut(strings.ToLower(string(id)), "-")
	factor, known := p.Providers[provider]
	if !known {
		factor = p.UnknownProvider
	}
	switch {
	case cpu == nil:
	case *cpu >= p.FullCPUPercent:
		factor *= p.FullFactor
	case *cpu >= p.BusyCPUPercent:
		factor *= p.BusyFactor
	}
	sum := sha256.Sum256([]byte("patience\x00" + string(id)))
	spread := float64(binary.BigEndian.Uint64(sum[:8])>>11)/(1<<52) - 1 // -1 to 1
	return factor * (1 + spread*p.JitterPercent/100)
}

// Least returns a lower bound of all factors.
func (p PatiencePolicy) Least() float64 {
	least := p.UnknownProvider
	for _, provider := range slices.Sorted(maps.Keys(p.Providers)) {
		least = min(least, p.Providers[provider])
	}
	return least * min(1, p.BusyFactor, p.FullFactor) * (1 - p.JitterPercent/100)
}

// Stretched returns the silences after which a node is unhealthy and offline.
func (p Policy) Stretched(factor float64) (silent, offline time.Duration) {
	stretch := func(s domain.Seconds) time.Duration {
		return domain.Seconds(float64(s) * factor).Duration().Truncate(time.Millisecond)
	}
	return stretch(p.SilentSeconds), stretch(p.OfflineSeconds)
}

// Retirement: the node left in good order, was offline for too long, or was retired by
// an operator, and no longer counts as known. It counts again once it is back.
type Retirement struct {
	NodeID domain.NodeID `json:"node_id"`
	Reason string        `json:"reason"`
}

func (Retirement) EventType() string       { return "NODE_RETIRED" }
func (e Retirement) Home() domain.StreamID { return e.NodeID.Stream() }

func (e Retirement) Validate() []domain.Fault {
	faults := nodeFaults(e.NodeID)
	if e.Reason == "" {
		faults = append(faults, domain.Fault{Field: "reason", Reason: "required"})
	}
	return faults
}

// The reasons for a node that no operator retired. See State.Returns.
const (
	RetiredOffline = "offline" // it was offline for too long
	RetiredLeft    = "left"    // it said that it ends in good order
)
