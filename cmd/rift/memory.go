package main

import (
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
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

// memoryPlan is what a node under --memory-limit gives to whom; zero values are
// the usual sizes.
type memoryPlan struct {
	collector int64 // the collector's limit: what is left besides the program itself
	logCache  int64 // blocks and buffers of the log
	callers   int64 // bodies, answers and streams
}

func memoryOf(limit int64) memoryPlan {
	if limit == 0 {
		return memoryPlan{}
	}
	return memoryPlan{
		collector: limit - min(limit/8, 64<<20),
		logCache:  min(limit/8, 128<<20),
		callers:   min(limit/4, 1<<30),
	}
}

// limit sets the collector's limit, unless GOMEMLIMIT says what the operator wants.
func (m memoryPlan) limit() {
	if m.collector > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(m.collector)
	}
}
