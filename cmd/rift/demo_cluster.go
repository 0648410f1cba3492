package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/worker"
	"github.com/ringrift/rift/domain"
)

// demoCluster is one or several nodes with workers. Each is a process with a data
// folder below a common one.
type demoCluster struct {
	program  string
	folder   string
	address  string // of the node; empty until it serves
	nodes    []*demoProcess
	workers  []*demoProcess
	promoted domain.Position // the first promotion
	broken   func(error)     // called when a process ends by itself
}

// demoProcess is a node or a worker.
type demoProcess struct {
	name    string
	log     string // path of its output
	command *exec.Cmd
	ended   chan struct{}
	err     error // valid once it ended
	killed  atomic.Bool
}

// How long processes may take to start and to end.
const (
	demoStart = 30 * time.Second
	demoStop  = 15 * time.Second
)

// ownProgram is the path by which this program was called, so that a link is kept as a
// link; if that is unknown, the path of the executable.
func ownProgram() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	called, err := exec.LookPath(os.Args[0])
	if err != nil || !sameFile(called, own) {
		return own, nil //nolint:nilerr // called by a name that is not on the PATH
	}
	return filepath.Abs(called)
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// newDemoCluster makes a cluster without processes in a folder (demoFolder), and the
// context that it runs in, which ends when one of its processes ends by itself.
func newDemoCluster(ctx context.Context, data string) (context.Context, *demoCluster, error) {
	folder, err := demoFolder(data)
	if err != nil {
		return nil, nil, err
	}
	program, err := ownProgram()
	if err != nil {
		return nil, nil, domain.Errorf(domain.Unavailable, "this program's own path: %w", err)
	}
	running, broken := context.WithCancelCause(ctx)
	return running, &demoCluster{program: program, folder: folder, broken: broken}, nil
}

// open starts the node, sets its policy, and makes a client of it.
func (d *demoCluster) open(ctx context.Context, a *app, policy []string) (*client, error) {
	if err := d.serveAlone(ctx); err != nil {
		return nil, err
	}
	a.note("a node serves %s with its log in %s", d.address, d.folder)
	asked, err := a.newClient(config.Client{Addr: d.address, Timeout: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	return asked, a.quietly().runs(ctx, slices.Concat([]string{"policies", "set"}, policy, []string{"--reason", "demonstration", "--addr", d.address})...)
}

// show runs command lines against the node, and prints each before its output.
func (d *demoCluster) show(ctx context.Context, a *app, lines ...[]string) error {
	for _, words := range lines {
		words = append(words, "--addr", d.address, "-o", cmp.Or(a.format, "table"))
		if _, err := fmt.Fprintf(a.stdout, "\n$ rift %s\n", strings.Join(words, " ")); err != nil {
			return err
		}
		if err := a.within(a.stdout.Writer).runs(ctx, words...); err != nil {
			return err
		}
	}
	return nil
}

// serveAlone starts the node and waits until it serves.
func (d *demoCluster) serveAlone(ctx context.Context) error {
	file := filepath.Join(d.folder, "demo", "address")
	if err := d.serve("node", "--data", d.folder, "--listen", "127.0.0.1:0", "--addr-file", file, "--node-id", "demo"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, demoStart)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if text, err := os.ReadFile(file); err == nil {
			d.address = "http://" + strings.TrimSpace(string(text))
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// serve starts a node.
func (d *demoCluster) serve(name string, args ...string) error {
	node, err := d.start(name, append([]string{"serve", "--log-level", "warn"}, args...)...)
	if err == nil {
		d.nodes = append(d.nodes, node)
	}
	return err
}

// kill ends a node without warning, as a loss of power would.
func (d *demoCluster) kill(name string) {
	at := slices.IndexFunc(d.nodes, func(p *demoProcess) bool { return p.name == name })
	node := d.nodes[at]
	d.nodes = slices.Delete(d.nodes, at, at+1)
	node.killed.Store(true)
	_ = node.command.Process.Kill() // it may have ended just now
	<-node.ended
}

// demoWorkers are the workers with the types of items that they take. A training needs
// both slots of a worker, which selfplay would never leave free at the same time.
var demoWorkers = []struct{ name, types string }{
	{"gpu-1", "training"},
	{"gpu-2", "gauntlet,evaluation"},
	{"gpu-3", "selfplay"},
	{"gpu-4", "selfplay"},
}

// hire starts a worker that only pretends to run the items it takes.
func (d *demoCluster) hire(name, types string) error {
	return d.employ(name, types, "2", "demo", "job")
}

// employ starts a worker that runs a command of this program for each item.
func (d *demoCluster) employ(name, types, slots string, command ...string) error {
	w, err := d.start(name, append([]string{
		"worker", "--addr", d.address, "--node-id", name, "--slots", slots,
		"--types", types, "--capabilities", "gpu," + types,
		"--scratch", filepath.Join(d.folder, "demo", "scratch-"+name), "--poll", "200ms", "--node-heartbeat", "2s",
		"--drain-timeout", "5s", "--report-timeout", "5s", "--grace", "2s", "--log-level", "warn", "-o", "json",
		"--", d.program,
	}, command...)...)
	if err == nil {
		d.workers = append(d.workers, w)
	}
	return err
}

func (d *demoCluster) start(name string, args ...string) (*demoProcess, error) {
	if err := os.MkdirAll(filepath.Join(d.folder, "demo"), 0o755); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "data folder: %w", err)
	}
	p := &demoProcess{name: name, log: filepath.Join(d.folder, "demo", name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the process has its own descriptor
	p.command = exec.Command(d.program, args...)
	p.command.Dir, p.command.Stdout, p.command.Stderr = d.folder, log, log
	// Ctrl-C must reach only the demonstration, which stops the others in their
	// order.
	p.command.SysProcAttr = worker.OwnGroup()
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "RIFT_") {
			p.command.Env = append(p.command.Env, variable)
		}
	}
	if err := p.command.Start(); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "start %s: %w", name, err)
	}
	go func() {
		p.err = p.command.Wait()
		close(p.ended)
		if p.killed.Load() {
			return
		}
		d.broken(domain.Errorf(domain.Unavailable, "%s ended: %s, see %s", name, p.command.ProcessState, p.log))
	}()
	return p, nil
}

// close stops the workers, then the nodes, and returns the errors of those that did not
// end properly.
func (d *demoCluster) close() error {
	defer d.broken(nil)
	var ends []error
	for _, w := range d.workers {
		w.ask()
	}
	for _, w := range d.workers {
		ends = append(ends, w.await())
	}
	for _, node := range d.nodes {
		node.ask()
	}
	for _, node := range d.nodes {
		ends = append(ends, node.await())
	}
	return errors.Join(ends...)
}

// ask asks a process to end. If it has ended already, await returns its error.
func (p *demoProcess) ask() { _ = p.command.Process.Signal(syscall.SIGTERM) }

func (p *demoProcess) await() error {
	late := time.NewTimer(demoStop)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		_ = p.command.Process.Kill() // it may have ended just now
		<-p.ended
	}
	if p.err != nil {
		return domain.Errorf(domain.Unavailable, "%s ended: %s, see %s", p.name, p.command.ProcessState, p.log)
	}
	return nil
}

// demoFolder is the folder of a demonstration: the one that was named, which must be
// empty, or a new one.
func demoFolder(named string) (string, error) {
	if err := worker.Supported(); err != nil {
		return "", err
	}
	if named == "" {
		made, err := os.MkdirTemp("", "rift-demo-")
		if err != nil {
			return "", domain.Errorf(domain.Unavailable, "data folder: %w", err)
		}
		return made, nil
	}
	folder, err := filepath.Abs(named)
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err != nil {
		return "", domain.Errorf(domain.Unavailable, "data folder: %w", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		return "", domain.Errorf(domain.Conflict, "folder %s: want an empty one for the demonstration's log, found %d entries in it", named, len(left))
	}
	return folder, nil
}
