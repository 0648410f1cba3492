//go:build unix && !linux

package worker

// What cannot be told cheaply here is unknown.

func loadPercent() *float64   { return nil }
func memoryPercent() *float64 { return nil }

// MemoryGiB is the machine's memory; 0 when it cannot be told.
func MemoryGiB() float64 { return 0 }
