//go:build unix && !linux

package worker

// What cannot be measured cheaply here is unknown.

func loadPercent() *float64   { return nil }
func memoryPercent() *float64 { return nil }

// MemoryGiB returns 0: unknown.
func MemoryGiB() float64 { return 0 }
