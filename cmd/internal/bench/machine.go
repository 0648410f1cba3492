package bench

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
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

// thisMachine describes where a run takes place, before it begins.
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

// processorTime is what a process has used so far.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, domain.Errorf(domain.Unavailable, "bench: processor time of a child: %w", err)
	}
	return parseProcessorTime(string(text))
}

// parseProcessorTime reads a line of /proc/<pid>/stat. The name of the program,
// in brackets, may hold anything; then utime and stime are the fields 12 and 13,
// in ticks of USER_HZ, which is 100 wherever Go runs.
func parseProcessorTime(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, domain.Errorf(domain.Internal, "bench: want a line of /proc/<pid>/stat, found %q", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err, err2); err != nil {
		return 0, domain.Errorf(domain.Internal, "bench: want a line of /proc/<pid>/stat, found %q: %w", stat, err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}
