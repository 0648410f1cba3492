package main

import (
	"log/slog"
	"os"
	"runtime/debug"
	"slices"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
)

// Reading a log makes much garbage and keeps little: at Go's default GOGC a third of a
// scan is garbage collection. Tools collect rarely, up to a memory limit that is enough
// for a rebuild of any length. A node collects less often than the default too, but has no
// limit here, because it would collect all the time if its live memory were above the
// limit. Simulations keep more memory than other tools: with the limit for tools, 30 seeds
// of clusters took 59 s instead of 22 s. Tools that keep the state of a log have no limit
// either: with it, `rift whatif` of 250,000 events took 57 s of processor time, not 11 s.
const (
	toolsPace       = 1600
	toolsBound      = 128 << 20
	simulationPace  = 400
	simulationBound = 4 << 30
	nodePace        = 200
)

// keepState are the tools that keep the state of a log in memory.
var keepState = []string{"rift bisect", "rift diff", "rift step", "rift whatif"}

// paceCollection sets the garbage collector for a command, unless the operator set GOGC
// or GOMEMLIMIT.
func paceCollection(c *cobra.Command) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	switch {
	case c.Name() == "serve", slices.Contains(keepState, c.CommandPath()):
		debug.SetGCPercent(nodePace)
	case c.Name() == "simulate", c.Parent() != nil && c.Parent().Name() == "simulate":
		debug.SetGCPercent(simulationPace)
		debug.SetMemoryLimit(simulationBound)
	default:
		debug.SetGCPercent(toolsPace)
		debug.SetMemoryLimit(toolsBound)
	}
}

// memoryPlan divides the memory of a node; zero means the default size. The block
// caches are outside the heap of the garbage collector.
type memoryPlan struct {
	limit      int64 // of the whole process; 0: none
	collector  int64 // the heap
	log        int64 // blocks and buffers of the log
	models     int64 // blocks and buffers of the read models; views of the past take four fifths more
	aggregates int64 // the cache of aggregates
	callers    int64 // bodies, answers and streams
	queue      int64 // live items

	connections int // open connections; 0: no bound
}

// memoryOf divides a limit. It counts the queue twice, because a dry run and a query of
// the past copy it. What the plan does not name is for the program itself and, on the
// heap, for the rows in use and the connections.
func memoryOf(limit int64) memoryPlan {
	if limit == 0 {
		return memoryPlan{}
	}
	m := memoryPlan{
		limit:      limit,
		log:        min(limit/8, 128<<20),
		models:     min(limit/16, 40<<20),
		aggregates: min(limit/16, 128<<20),
		callers:    min(limit/4, 1<<30),
	}
	m.connections = int(limit / 8 / connectionBytes)
	m.collector = limit - m.program() - m.log - m.models - m.past()
	m.queue = (m.collector/4*3 - m.callers - m.aggregates) / 2
	return m
}

// past is the size of the block caches of views of the past.
func (m memoryPlan) past() int64 { return m.models / 5 * 4 }

// program is the memory for code, for stacks of system threads, and for fragmentation
// of the allocator.
func (m memoryPlan) program() int64 { return min(m.limit/4, 96<<20) }

// clients is the memory that calls of EventStoreDB clients may hold; 0 is no bound.
func (m memoryPlan) clients() int64 { return m.callers / 4 }

// calls returns how many calls of EventStoreDB clients may be open; 0 is the default.
func (m memoryPlan) calls() int { return int(m.clients() / callBytes) }

// callBytes is the approximate memory of an open call without traffic.
const callBytes = 64 << 10

// connectionBytes is the approximate memory of an open connection without requests.
const connectionBytes = 16 << 10

// ownFiles is how many files the log and the read models may have open.
const ownFiles = 2200

// boundConnections reduces the requested number of connections to what memory allows
// (0: any number) and to what the limit of open files allows.
func boundConnections(asked, memory int, files uint64) int {
	if memory > 0 {
		asked = min(asked, memory)
	}
	left := files / 2
	if files > 2*ownFiles {
		left = files - ownFiles
	}
	return int(min(uint64(asked), max(left, 1)))
}

// memoryLimit returns the limit of a node's memory: the one in the settings, otherwise
// nine tenths of what the control group allows, because the kernel needs a part of that.
// 0: no limit.
func memoryLimit(asked int64, allowed func() (uint64, error)) (limit int64, from string) {
	if asked > 0 {
		return asked, "memory_limit"
	}
	// Without control groups, or without a limit in them, allowed returns an error.
	if most, err := allowed(); err == nil && most < 1<<50 {
		return int64(most / 10 * 9), "control group"
	}
	return 0, ""
}

// planMemory divides the memory of a node and sets the limit of the garbage collector,
// unless the operator set GOMEMLIMIT.
func planMemory(settings config.Serve, logger *slog.Logger) memoryPlan {
	limit, from := memoryLimit(int64(settings.MemoryLimit), memlimit.FromCgroup)
	m := memoryOf(limit)
	if m.limit == 0 {
		return m
	}
	logger.Info("memory is shared out", "from", from, "limit_mib", limit>>20, "heap_mib", m.collector>>20,
		"log_mib", m.log>>20, "read_models_mib", (m.models+m.past())>>20, "aggregates_mib", m.aggregates>>20, "callers_mib", m.callers>>20, "queue_mib", m.queue>>20)
	if limit < int64(config.LeastMemory) {
		logger.Warn("the control group allows less than a node needs for its buffers, its caches and some callers", "want", config.LeastMemory.String())
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(m.collector)
	}
	return m
}
