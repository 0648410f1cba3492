package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
)

// Reading a log makes much garbage and keeps little: with the collector's usual
// pace a third of a scan is collection. Tools let garbage pile up, to a bound
// that keeps a rebuild of any length small; a node trades memory for less work
// as well, and has no bound that could make it collect without end.
const (
	toolsPace  = 1600
	toolsBound = 128 << 20
	nodePace   = 200
)

// paceCollection sets the garbage collector for a command, unless GOGC or
// GOMEMLIMIT say what the operator wants.
func paceCollection(c *cobra.Command) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if c.Name() == "serve" {
		debug.SetGCPercent(nodePace)
		return
	}
	debug.SetGCPercent(toolsPace)
	debug.SetMemoryLimit(toolsBound)
}

// memoryPlan is how the memory of a node is shared out; zero values are the usual
// sizes. The caches of blocks lie outside of the collector's heap.
type memoryPlan struct {
	limit      int64 // of the whole process; 0 is none
	collector  int64 // the heap
	log        int64 // blocks and buffers of the log
	models     int64 // blocks and buffers of the read models; views of the past take four fifths more
	aggregates int64 // the cache of aggregates
	callers    int64 // bodies, answers and streams
	queue      int64 // live items

	connections int // how many may be open; 0 is no bound
}

// memoryOf shares a limit out. The queue is in memory twice while a command is tried
// on another one, or the queue of a moment is asked. What the plan does not name is
// the program itself, and on the heap the rows in use and the connections.
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

// past is what views of the past have for blocks.
func (m memoryPlan) past() int64 { return m.models / 5 * 4 }

// program is what code, stacks of the system's threads and the gaps of its
// allocator take.
func (m memoryPlan) program() int64 { return min(m.limit/4, 96<<20) }

// calls is how many calls of EventStoreDB clients may be open; 0 is the usual number.
func (m memoryPlan) calls() int { return int(m.callers / 4 / callBytes) }

// callBytes is about what an open call takes that nothing is sent on.
const callBytes = 64 << 10

// connectionBytes is about what an open connection takes that asks for nothing.
const connectionBytes = 16 << 10

// ownFiles is how many files the log and the read models may have open.
const ownFiles = 2200

// boundConnections is how many connections may be open of those that are asked
// for, where memory allows so many (0: any number) and the system so many files.
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

// memoryLimit is what a node stays under: what was asked for, else nine tenths of
// what the control group allows, whose kernel needs some as well. 0 is no limit.
func memoryLimit(asked int64, allowed func() (uint64, error)) (limit int64, from string) {
	if asked > 0 {
		return asked, "memory_limit"
	}
	// Where there are no control groups, or no limit, the answer is an error.
	if most, err := allowed(); err == nil && most < 1<<50 {
		return int64(most / 10 * 9), "control group"
	}
	return 0, ""
}

// planMemory decides what a node gives to whom and sets the collector's limit,
// unless GOMEMLIMIT says what the operator wants.
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
