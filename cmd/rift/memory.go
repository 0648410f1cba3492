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
