package nodes

import (
	"slices"

	"github.com/ringrift/rift/domain/sched"
)

// For returns the scheduler's view of a claiming node.
func (f NodeFacts) For(claim Claim) sched.Node {
	node := sched.Node{ID: string(claim.Node), Wants: claim.Capabilities, Words: claim.Capabilities}
	if claim.Slots > 0 {
		node.Free = sched.Known(claim.Slots)
	}
	if !f.known {
		node.Slots = sched.Known(sched.Unbounded)
	} else {
		if len(f.row.Capabilities) > 0 {
			node.Words = slices.Concat(claim.Capabilities, f.row.Capabilities)
		}
		node.Slots, node.HasGPU, node.GPUName, node.GPUMemoryMB = f.hardware.Slots, f.hardware.HasGPU, f.hardware.GPUName, f.hardware.GPUMemoryMB
		node.Facts, node.Accepts = string(f.row.Facts), f.row.Accepts
	}
	if level := claim.Level; level != nil {
		node.GPUPercent, node.GPUMemoryPercent = sched.HundredthsOf(level.GPUPercent), sched.HundredthsOf(level.GPUMemoryPercent)
		node.DiskPercent = sched.HundredthsOf(level.DiskPercent)
	}
	return node
}
