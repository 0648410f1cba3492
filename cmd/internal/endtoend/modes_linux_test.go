package endtoend

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// obeyModes has the processes that this test starts obey the modes of files, also
// where it runs as root: the thread that starts them may not hand on the right to
// override these. The thread ends with the test.
func obeyModes(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	for _, right := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, right, 0, 0, 0); err != nil && unix.Geteuid() == 0 {
			t.Fatalf("give up capability %d: %v", right, err)
		}
	}
}
