//go:build unix

package worker

import (
	"math"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/ringrift/rift/domain"
)

// arguments returns the flags of the limiter for these limits.
func (l Limits) arguments() []string {
	var args []string
	for _, limit := range []struct {
		flag  string
		value uint64
	}{{"processes", l.Processes}, {"memory", l.Memory}, {"file-size", l.FileSize}, {"files", l.Files}, {"cpu", l.CPU}} {
		if limit.value > 0 {
			args = append(args, "--"+limit.flag+"="+strconv.FormatUint(limit.value, 10))
		}
	}
	return args
}

// Become irrevocably sets the limits of this process and executes a command in its
// place. It returns only if that fails.
func (l Limits) Become(argv []string) error {
	if len(argv) == 0 {
		return domain.Errorf(domain.Invalid, "limits: want a command")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return domain.Errorf(domain.NotFound, "command %s: %w", argv[0], err)
	}
	env := os.Environ()
	// The address space is limited last, because nothing may need more of it
	// afterwards.
	for _, limit := range []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_NPROC, l.Processes},
		{unix.RLIMIT_FSIZE, l.FileSize},
		{unix.RLIMIT_NOFILE, l.Files},
		{unix.RLIMIT_CPU, l.CPU},
		{unix.RLIMIT_AS, l.Memory},
	} {
		if limit.value == 0 && limit.resource != unix.RLIMIT_CORE {
			continue
		}
		var bound unix.Rlimit
		bothTo(&bound.Cur, &bound.Max, limit.value)
		if err := unix.Setrlimit(limit.resource, &bound); err != nil {
			return domain.Errorf(domain.Forbidden, "limit %d of resource %d: %w", limit.value, limit.resource, err)
		}
	}
	err = unix.Exec(path, argv, env)
	return domain.Errorf(domain.Unavailable, "run %s: %w", path, err)
}

// bothTo sets both values of a limit, which are signed on some systems.
func bothTo[N int64 | uint64](soft, hard *N, value uint64) {
	*soft = N(min(value, math.MaxInt64))
	*hard = *soft
}
