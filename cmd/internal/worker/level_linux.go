package worker

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// loadPercent returns the load average of the last minute per processor.
func loadPercent() *float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil
	}
	return percent(load, float64(runtime.NumCPU()))
}

// memoryPercent returns the share of memory that is not available.
func memoryPercent() *float64 {
	total, available, ok := memory()
	if !ok {
		return nil
	}
	return percent(total-available, total)
}

// memory returns the machine's memory in KiB.
func memory() (total, available float64, ok bool) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, false
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemTotal:" && fields[0] != "MemAvailable:" {
			continue
		}
		number, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return 0, 0, false
		}
		if found++; fields[0] == "MemTotal:" {
			total = number
		} else {
			available = number
		}
	}
	return total, available, found == 2
}

// MemoryGiB returns the machine's memory; 0 if unknown.
func MemoryGiB() float64 {
	total, _, _ := memory()
	return total / (1 << 20)
}
