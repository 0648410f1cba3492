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

// Supported returns why workers do not run on this system. A command's processes
// cannot be ended together here: what it left behind would keep running beside the
// next item.
func Supported() error {
	return domain.Errorf(domain.Unavailable, "worker: want a system with process groups, such as Linux, macOS or FreeBSD, found %s", runtime.GOOS)
}

// Run returns an error on this system.
func Run(context.Context, <-chan struct{}, Config) (Summary, error) { return Summary{}, Supported() }

// Plan returns an error on this system.
func Plan(context.Context, Config) ([]Planned, error) { return nil, Supported() }

// Guard does nothing, since no worker runs here.
func Guard(string, io.Reader) {}

// Become returns an error: it does not run a command without its limits.
func (Limits) Become([]string) error { return Supported() }

// OwnGroup changes nothing: there are no process groups.
func OwnGroup() *syscall.SysProcAttr { return nil }

// MachineLevel returns an unknown level.
func MachineLevel(string) nodes.Level { return nodes.Level{} }

// MemoryGiB returns 0: unknown.
func MemoryGiB() float64 { return 0 }
