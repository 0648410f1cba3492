//go:build amd64 || arm64 || riscv64

package worker

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// The places of what is read of a struct kinfo_proc, whose layout the system keeps
// for programs that are compiled already (sys/user.h).
const (
	kinfoSize  = 1088
	kinfoPID   = 72
	kinfoStart = 336 // seconds, and microseconds behind them
	kinfoStat  = 388
)

// bornAt tells a process from all others that have its number at other times;
// empty when there is none.
func bornAt(pid int) string {
	state, err := unix.SysctlRaw("kern.proc.pid", pid)
	if err != nil {
		return ""
	}
	return bornIn(state, pid)
}

// bornIn reads when a process of a number began.
func bornIn(state []byte, pid int) string {
	at := binary.LittleEndian
	if len(state) < kinfoSize || at.Uint32(state) != kinfoSize || at.Uint32(state[kinfoPID:]) != uint32(pid) || state[kinfoStat] == zombie {
		return ""
	}
	return fmt.Sprintf("%d.%06d", at.Uint64(state[kinfoStart:]), at.Uint64(state[kinfoStart+8:]))
}
