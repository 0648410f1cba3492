package work

import (
	"fmt"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// Pressure is the length of the queue and its level.
type Pressure struct {
	Pending  int    `json:"pending"`
	Level    string `json:"level"` // none, soft, hard
	Soft     int    `json:"soft_limit"`
	Hard     int    `json:"hard_limit"`
	Recovery int    `json:"recovery_limit"`
	Edges    uint64 `json:"edges,omitempty"` // number of level changes
	Told     string `json:"told,omitempty"`  // the last announced level
}

// NewPressure returns the pressure of an empty queue.
func NewPressure(policy Policy) Pressure {
	return Pressure{Level: string(sched.NoPressure), Soft: policy.SoftLimit, Hard: policy.HardLimit, Recovery: policy.RecoveryLimit}
}

// Add applies a change of the queue's length.
func (p Pressure) Add(change int) Pressure {
	p.Pending += change
	return p.leveled()
}

// Limit applies other limits.
func (p Pressure) Limit(policy Policy) Pressure {
	p.Soft, p.Hard, p.Recovery = policy.SoftLimit, policy.HardLimit, policy.RecoveryLimit
	return p.leveled()
}

func (p Pressure) leveled() Pressure {
	limits := sched.PressureLimits{Soft: p.Soft, Hard: p.Hard, Recovery: p.Recovery}
	if level := string(limits.Next(sched.Pressure(p.Level), p.Pending)); level != p.Level {
		p.Level = level
		p.Edges++
	}
	return p
}

// announcement is the id prefix of the commands that announce a level.
const announcement = "clock/pressure/"

// Announcement returns the id of the command that announces the current level;
// empty if it was announced.
func (p Pressure) Announcement() string {
	told := p.Told
	if told == "" {
		told = string(sched.NoPressure)
	}
	if p.Level == told {
		return ""
	}
	return fmt.Sprintf("%s%d/%s", announcement, p.Edges, p.Level)
}

// Announce records an announcement, unless it comes from the recording of another
// cluster.
func (p Pressure) Announce(e domain.Envelope, level string) Pressure {
	if strings.HasPrefix(e.Meta.Command, announcement) {
		p.Told = level
	}
	return p
}

// Pressure returns the pressure of the queue.
func (q *Queue) Pressure() Pressure { return q.pressure }
