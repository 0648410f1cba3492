package worker

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// bornAt tells a process from all others that have its number at other times;
// empty when there is none.
func bornAt(pid int) string {
	state, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || state.Proc.P_stat == zombie {
		return ""
	}
	return fmt.Sprintf("%d.%06d", state.Proc.P_starttime.Sec, state.Proc.P_starttime.Usec)
}
