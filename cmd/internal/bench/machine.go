package bench

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine is where a run took place. What is not known is left out.
type Machine struct {
	Cores      int     `json:"cores"`
	CPU        string  `json:"cpu,omitempty"`
	MemoryMiB  int64   `json:"memory_mib,omitempty"`
	OS         string  `json:"os"`
	Kernel     string  `json:"kernel,omitempty"`
	Go         string  `json:"go"`
	Filesystem string  `json:"filesystem,omitempty"` // of the folder the cells wrote to
	LoadBefore float64 `json:"load_before"`          // one-minute average
	LoadAfter  float64 `json:"load_after"`
}

// thisMachine looks around once.
func thisMachine(dir string) Machine {
	m := Machine{Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), LoadBefore: load()}
	m.CPU = fieldOf("/proc/cpuinfo", "model name")
	if kib, err := strconv.ParseInt(strings.TrimSuffix(fieldOf("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.MemoryMiB = kib / 1024
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	m.Filesystem = filesystemOf(dir)
	return m
}

// OnDisk is false where a sync costs nothing, which makes durable figures idle.
func (m Machine) OnDisk() bool { return m.Filesystem != "tmpfs" }

func load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	value, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return value
}

// fieldOf finds the first "name : value" line of a file of /proc.
func fieldOf(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// filesystemOf is the type of the mount a folder lies in: the last of those with
// the longest path above it.
func filesystemOf(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return ""
	}
	found, longest := "", 0
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		point := fields[1]
		if (dir == point || point == "/" || strings.HasPrefix(dir, point+"/")) && len(point) >= longest {
			found, longest = fields[2], len(point)
		}
	}
	return found
}

// peakMemory is the largest resident size this process has had, 0 when the
// system does not say.
func peakMemory() int64 {
	kib, err := strconv.ParseInt(strings.TrimSuffix(fieldOf("/proc/self/status", "VmHWM"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib * 1024
}
