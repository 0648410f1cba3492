//go:build amd64 || arm64 || riscv64

package worker

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Offsets in struct kinfo_proc, whose layout is kept stable for compiled programs
// (sys/user.h).
const (
	kinfoSize  = 1088
	kinfoPID   = 72
	kinfoStart = 336 // seconds, followed by microseconds
	kinfoStat  = 388
)

// bornAt returns the start time of a process, which distinguishes it from earlier
// and later ones with the same id; empty if there is none.
func bornAt(pid int) string {
	state, err := unix.SysctlRaw("kern.proc.pid", pid)
	if err != nil {
		return ""
	}
	return bornIn(state, pid)
}

// bornIn parses the start time of a process.
func bornIn(state []byte, pid int) string {
	at := binary.LittleEndian
	if len(state) < kinfoSize || at.Uint32(state) != kinfoSize || at.Uint32(state[kinfoPID:]) != uint32(pid) || state[kinfoStat] == zombie {
		return ""
	}
	return fmt.Sprintf("%d.%06d", at.Uint64(state[kinfoStart:]), at.Uint64(state[kinfoStart+8:]))
}
