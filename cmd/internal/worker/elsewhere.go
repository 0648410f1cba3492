//go:build !unix

package worker

import (
	"context"
	"io"
	"runtime"
	"syscall"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// Supported says why no worker runs on this system. A command's processes could not
// be ended together here: what it left behind would go on beside the next item.
func Supported() error {
	return domain.Errorf(domain.Unavailable, "worker: want a system with process groups, such as Linux, macOS or FreeBSD, found %s", runtime.GOOS)
}

// Run refuses to work on this system.
func Run(context.Context, <-chan struct{}, Config) (Summary, error) { return Summary{}, Supported() }

// Plan refuses to plan what would not be run.
func Plan(context.Context, Config) ([]Planned, error) { return nil, Supported() }

// Guard has nothing to end: no worker runs here.
func Guard(string, io.Reader) {}

// Become refuses to run a command without its limits.
func (Limits) Become([]string) error { return Supported() }

// OwnGroup changes nothing: there are no groups to be the leader of.
func OwnGroup() *syscall.SysProcAttr { return nil }

// MachineLevel is unknown here.
func MachineLevel(string) nodes.Level { return nodes.Level{} }

// MemoryGiB is the machine's memory; 0 when it cannot be told.
func MemoryGiB() float64 { return 0 }
