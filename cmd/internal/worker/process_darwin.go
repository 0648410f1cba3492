package worker

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// bornAt returns the start time of a process, which distinguishes it from earlier
// and later ones with the same id; empty if there is none.
func bornAt(pid int) string {
	state, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || state.Proc.P_stat == zombie {
		return ""
	}
	return fmt.Sprintf("%d.%06d", state.Proc.P_starttime.Sec, state.Proc.P_starttime.Usec)
}
